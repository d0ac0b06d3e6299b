"""Wheels held against what is said of them: statements, signatures, a policy, and a rebuild."""
