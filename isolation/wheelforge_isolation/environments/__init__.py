"""Environments: an interpreter, and the wheels that are installed for it."""
