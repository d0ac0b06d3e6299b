"""Caches that machines share: built wheels with their records, read through and written behind."""
