"""The Y rules: an sdist has one top-level directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Kind, Member, Note
from wheelforge_isolation.archive.names import describe_paths, is_plain_name
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from wheelforge_isolation.archive.tree import Tree


def find_top(tree: Tree, stem: str, *, is_zip: bool) -> str:
    """Return the one top-level directory of ``tree``, made where an old archive has none."""
    tops = {path.partition("/")[0] for path in tree.entries}
    if len(tops) > 1:
        tops = _drop_finder_files(tree, tops)
    if not tops:
        raise RuleError("Y1", "the archive is empty")
    if len(tops) > 1 or tree.entries[next(iter(tops))].kind is Kind.FILE:
        return _wrap(tree, tops, stem, is_zip=is_zip)
    (top,) = tops
    if tree.entries[top].kind is not Kind.DIRECTORY:
        raise RuleError(
            "L8", "is a link in the place of the top-level directory", tree.entries[top]
        )
    return top


def _drop_finder_files(tree: Tree, tops: set[str]) -> set[str]:
    """Leave out what macOS packs beside the one directory."""
    litter = {top for top in tops if top == "__MACOSX" or top.startswith("._")}
    for path in [path for path in tree.entries if path.partition("/")[0] in litter]:
        text = f"{tree.entries.pop(path)} is litter of macOS and is left out"
        tree.notes.append(Note(rule="Y9", text=text, is_warning=False))
    return tops - litter


def _wrap(tree: Tree, tops: set[str], stem: str, *, is_zip: bool) -> str:
    """Give an old archive without a top-level directory the one that its name promises."""
    setup = tree.entries.get("setup.py")
    is_old = is_zip or "pyproject.toml" not in tree.entries
    if not (is_old and is_plain_name(stem) and setup and setup.kind is Kind.FILE):
        found = f"found {len(tops)}: {describe_paths(tops)}"
        raise RuleError("Y2", f"expected one top-level directory, {found}")
    tree.warn("Y2", f"the archive has no top-level directory; it is unpacked into {quoted(stem)}")
    inner = {f"{stem}/{path}": _lower(member, stem) for path, member in tree.entries.items()}
    tree.entries.clear()
    tree.entries[stem] = Member(number=0, name=stem, kind=Kind.DIRECTORY)
    tree.entries.update(inner)
    return stem


def _lower(member: Member, stem: str) -> Member:
    """Move ``member`` one level down; only a hard link names its target from the root."""
    if member.kind is Kind.HARDLINK:
        return member._replace(target=f"{stem}/{member.target}")
    return member
