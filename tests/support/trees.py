"""Trees on disk, as values to compare."""

import os
import stat
from pathlib import Path
from typing import NamedTuple, TypeAlias


class Node(NamedTuple):
    """One file, directory or symbolic link."""

    kind: str
    mode: int = 0
    content: bytes = b""
    target: str = ""


Tree: TypeAlias = dict[str, Node]
"""Nodes by their path below the root."""


def read_tree(root: Path, *, follows_links: bool = False) -> Tree:
    """Return all that is below ``root``; followed links look like what they lead to."""
    tree: Tree = {}
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                node = _read_node(entry, follows_links=follows_links)
                tree[os.path.relpath(entry.path, root).replace(os.sep, "/")] = node
                if node.kind == "directory":
                    pending.append(entry.path)
    return tree


def _read_node(entry: os.DirEntry[str], *, follows_links: bool) -> Node:
    mode = entry.stat(follow_symlinks=follows_links).st_mode
    if stat.S_ISLNK(mode):
        # A path would tidy the text up, and the text is what matters.
        return Node("link", target=os.readlink(entry.path))  # ruff: ignore[os-readlink]
    if stat.S_ISDIR(mode):
        return Node("directory", stat.S_IMODE(mode))
    if not stat.S_ISREG(mode):
        return Node("other", stat.S_IMODE(mode))
    return Node("file", stat.S_IMODE(mode), Path(entry.path).read_bytes())
