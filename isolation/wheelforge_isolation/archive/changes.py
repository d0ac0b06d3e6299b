"""Changes to an unpacked tree, held to the rules that its archive was held to.

All of them are judged before the first file is written. Nothing is read or written through a link,
and nothing but regular files is made, replaced or removed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from wheelforge_isolation.archive.members import Kind, Limits, Member, RuleError
from wheelforge_isolation.archive.tree import check_names, clean_name
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.capabilities import FilesystemCapabilities

_LIMITS = Limits()


def read_tree_file(root: Path, name: str) -> bytes | None:
    """Return the content of the file ``name`` below ``root``, nothing where there is none.

    ValueError where a rule forbids that name, or it leads through a link, or is no file.
    """
    path = _locate(root, name)
    if not path.exists():
        return None
    if path.stat().st_size > _LIMITS.member_bytes:
        raise ValueError(f"`{name}` is too large")
    with fs.raising_file_errors("read", str(path)):
        return path.read_bytes()


def change_tree(root: Path, changes: Mapping[str, bytes | None]) -> None:
    """Give files below ``root`` their new contents; those without one are removed.

    ValueError, before anything is changed, where a rule forbids that.
    """
    paths = {name: _locate(root, name) for name in changes}
    if any(content is not None and not paths[name].exists() for name, content in changes.items()):
        entries = {name: Member(number=0, name=name) for name in _list_files(root)}
        entries |= {name: Member(number=0, name=name) for name in changes}
        try:
            check_names(entries, FilesystemCapabilities(str(root)))
        except RuleError as broken:
            raise ValueError(f"{broken.reason} [{broken.rule}]") from broken
    for name, content in changes.items():
        path = str(paths[name])
        is_program = os.path.lexists(path) and bool(os.lstat(path).st_mode & stat.S_IXUSR)
        fs.remove_file(path)
        if content is not None:
            fs.ensure_directory(os.path.dirname(path))
            fs.create_file(path, [content], executable=is_program)


def _locate(root: Path, name: str) -> Path:
    try:
        clean = clean_name(Member(number=0, name=name, kind=Kind.FILE), _LIMITS)
    except RuleError as broken:
        raise ValueError(f"`{name}` {broken.reason.partition(' ')[2]} [{broken.rule}]") from broken
    if name.startswith("/") or clean != name:
        raise ValueError(f"`{name}` is no plain path below the project")
    path = root
    for part in clean.split("/"):
        if path != root and os.path.lexists(path) and not stat.S_ISDIR(os.lstat(path).st_mode):
            raise ValueError(f"`{name}` leads through something that is no directory")
        path /= part
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise ValueError(f"`{name}` is no regular file")
    return path


def _list_files(root: Path) -> Iterator[str]:
    for directory, _, files in os.walk(root):
        for file in files:
            yield os.path.relpath(os.path.join(directory, file), root).replace(os.sep, "/")
