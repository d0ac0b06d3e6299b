"""Foreign things and their one reader each; nothing else in either package parses them.

The modules are pure: they read no file, ask no network, and know nothing of this process.
"""
