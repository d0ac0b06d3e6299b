"""A sandbox for hooks: the files, processes and networks that code of strangers can reach.

A sandbox is a prefix: words that are put before the command by which the server of one build's
hooks is started. All that a hook runs, the import of its backend included, is inside from its first
instruction on. `SANDBOX.md` says what each rung of the ladder promises, and what it does not.
"""
