"""Configuration by TOML files: overrides for each package, and files with the lines of their keys.

Nothing of it is imported unless a file is there to be read.
"""
