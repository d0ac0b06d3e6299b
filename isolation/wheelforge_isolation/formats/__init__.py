"""Foreign things and their one reader each; nothing else in either package parses them.

The modules are pure: they read no file, ask no network, and know nothing of this process. Each
bounds what it reads before it looks closer: the text may come from anywhere.
"""


class FormatError(ValueError):
    """The text is not of the format; the message says why, as part of a sentence."""
