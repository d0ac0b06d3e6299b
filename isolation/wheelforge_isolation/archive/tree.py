"""From the list of members to one consistent tree below one directory: the N, D and Y rules.

The whole list is judged before anything is written, so where a member stands in the archive decides
only which of two files of one name wins, never whether something escapes.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Kind, Limits, Member, Note, RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from wheelforge_isolation.archive.spool import Contents
    from wheelforge_isolation.files.capabilities import FilesystemCapabilities

_BARE = re.compile(r"[\w.+@,=~ ()/-]*", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x01-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_RAW = re.compile(r"[\udc80-\udcff]")
_WINDOWS_CHARACTER = re.compile(r'[<>:"|?*]|[. ](?:/|$)')
_WINDOWS_DEVICE = re.compile(
    r"(?:^|/)(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3])"
    r" *(?:\.[^/]*)?(?:/|$)",
    re.IGNORECASE,
)
_DECISIVE = {"PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg"}
"""Files that decide what is built: two versions of one are an attack, not an accident."""
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Every path of an archive once, parents before children, implied directories included."""

    entries: dict[str, Member] = field(default_factory=dict[str, Member])
    notes: list[Note] = field(default_factory=list[Note])
    may_replace: bool = True
    """Whether a later file of another content takes the place of an earlier one."""

    def warn(self, rule: str, text: str) -> None:
        """Remember something that was mended."""
        self.notes.append(Note(rule=rule, text=text))


def build_tree(
    members: list[Member], contents: Contents, limits: Limits, *, may_replace: bool = True
) -> Tree:
    """Put every member in its place, or refuse the archive."""
    tree = Tree(may_replace=may_replace)
    stripped = [member for member in members if member.name.startswith("/")]
    if stripped:
        tree.warn("N1", f"{stripped[0]} has an absolute path, which is taken as a relative one")
    for member in members:
        path = clean_name(member, limits)
        if not path:
            continue
        _add_parents(tree, path, member)
        if member.kind is Kind.DIRECTORY:
            entry = tree.entries.get(path, member)
            if entry.kind is not Kind.DIRECTORY:
                raise RuleError("D2", f"is a directory, and {entry} is not", member)
            tree.entries[path] = member
            continue
        leaf = member
        if member.kind is Kind.HARDLINK:
            leaf = _resolve_hardlink(tree, path, member, limits)
        _add_leaf(tree, path, leaf, contents)
    return tree


def _add_parents(tree: Tree, path: str, member: Member) -> None:
    parent = path.rpartition("/")[0]
    if not parent:
        return
    entry = tree.entries.get(parent)
    if entry is None:
        _add_parents(tree, parent, member)
        tree.entries[parent] = Member(number=member.number, name=parent, kind=Kind.DIRECTORY)
    elif entry.kind is Kind.SYMLINK:
        raise RuleError("L11", f"is stored below {entry}, which is a symlink", member)
    elif entry.kind is not Kind.DIRECTORY:
        raise RuleError("D4", f"is stored below {entry}, which is a file", member)


def _add_leaf(tree: Tree, path: str, member: Member, contents: Contents) -> None:
    entry = tree.entries.get(path)
    if entry is not None and entry.kind is Kind.DIRECTORY:
        rule = "D5" if member.kind is Kind.SYMLINK else "D3"
        raise RuleError(rule, f"is no directory, and {entry} is one", member)
    if entry is not None and not _is_same(entry, member, contents):
        is_decisive = path.count("/") <= 1 and path.rpartition("/")[2] in _DECISIVE
        if is_decisive or not tree.may_replace:
            rule = "D1" if tree.may_replace else "Z6"
            raise RuleError(rule, f"repeats {entry} with another content", member)
        tree.warn("D1" if entry.kind is member.kind else "D6", f"{member} replaces {entry}")
    tree.entries[path] = member


def _is_same(entry: Member, member: Member, contents: Contents) -> bool:
    if entry.kind is not member.kind or entry.target != member.target:
        return False
    if entry.size != member.size or entry.kind is not Kind.FILE:
        return entry.size == member.size
    return entry.offset == member.offset or contents.digest(entry) == contents.digest(member)


def _resolve_hardlink(tree: Tree, path: str, member: Member, limits: Limits) -> Member:
    """Return the regular file that a hard link makes: an independent copy, sharing no inode."""
    raise_if_unsafe_text(member, member.target, "target")
    parts = clean_parts(member.target)
    if member.target.startswith("/") or ".." in parts:
        target = quoted(member.target)
        raise RuleError("L17", f"is a hard link to {target}, outside the archive", member)
    raise_if_too_long(member, parts, limits, "L19")
    target = "/".join(parts)
    entry = tree.entries.get(target)
    if entry is None or target == path:
        raise RuleError(
            "L14", f"is a hard link to {quoted(target)}, which is not an earlier file", member
        )
    if entry.kind is Kind.DIRECTORY:
        raise RuleError("L16", f"is a hard link to {entry}, which is a directory", member)
    if entry.kind is not Kind.FILE:  # a symlink: what it leads to is known once the tree is whole
        return member._replace(target=target)
    return entry._replace(number=member.number, name=member.name)


def find_top(tree: Tree, stem: str, *, is_zip: bool) -> str:
    """Return the one top-level directory of ``tree``, made where an old archive has none."""
    tops = {path.partition("/")[0] for path in tree.entries}
    if len(tops) > 1:
        # macOS packs files of its own beside the one directory.
        litter = {top for top in tops if top == "__MACOSX" or top.startswith("._")}
        for path in [path for path in tree.entries if path.partition("/")[0] in litter]:
            text = f"{tree.entries.pop(path)} is litter of macOS and is left out"
            tree.notes.append(Note(rule="Y9", text=text, is_warning=False))
        tops -= litter
    if not tops:
        raise RuleError("Y1", "the archive is empty")
    first = tree.entries[min(tops)]
    if len(tops) > 1 or first.kind is Kind.FILE:
        return _wrap(tree, tops, stem, is_zip=is_zip)
    if first.kind is not Kind.DIRECTORY:
        raise RuleError("L8", "is a link in the place of the top-level directory", first)
    return tops.pop()


def _wrap(tree: Tree, tops: set[str], stem: str, *, is_zip: bool) -> str:
    """Give an old archive without a top-level directory the one that its name promises."""
    setup = tree.entries.get("setup.py")
    is_old = is_zip or "pyproject.toml" not in tree.entries
    is_plain = bool(_BARE.fullmatch(stem)) and clean_parts(stem) == [stem] and stem != ".."
    if not (is_old and is_plain and setup and setup.kind is Kind.FILE):
        shown = ", ".join(map(quoted, sorted(tops)[:_MOST_SHOWN]))
        found = f"{len(tops)}: {shown}{', …' if len(tops) > _MOST_SHOWN else ''}"
        raise RuleError("Y2", f"expected one top-level directory, found {found}")
    tree.warn("Y2", f"the archive has no top-level directory; it is unpacked into {quoted(stem)}")
    inner = {f"{stem}/{path}": member for path, member in tree.entries.items()}
    for path, member in inner.items():
        if member.kind is Kind.HARDLINK:  # it alone names its target from the root
            inner[path] = member._replace(target=f"{stem}/{member.target}")
    tree.entries.clear()
    tree.entries[stem] = Member(number=0, name=stem, kind=Kind.DIRECTORY)
    tree.entries.update(inner)
    return stem


# Names: which are names everywhere, and what is left of them once cleaned


def clean_name(member: Member, limits: Limits) -> str:
    """Return the path of ``member`` below the archive's root, where "" is the root itself."""
    raise_if_unsafe_text(member, member.name, "name")
    parts = clean_parts(member.name)
    if not member.name or (not parts and member.kind is not Kind.DIRECTORY):
        raise RuleError("N9" if member.name else "N8", "has an empty name", member)
    if ".." in parts:
        steps = accumulate(-1 if part == ".." else 1 for part in parts)
        raise RuleError("N2" if min(steps) < 0 else "N3", "has a '..' component", member)
    raise_if_too_long(member, parts, limits)
    return "/".join(parts)


def clean_parts(name: str) -> list[str]:
    """Split ``name`` into the components that mean something."""
    return [part for part in name.split("/") if part not in {"", "."}]


def raise_if_unsafe_text(member: Member, text: str, what: str) -> None:
    """Refuse characters that no name, and no link's target, may have on any platform."""
    if _BARE.fullmatch(text):
        return
    if "\0" in text:
        raise RuleError("N6", f"has a NUL in its {what}", member)
    if _CONTROL.search(text):
        raise RuleError("N7", f"has a control character in its {what}", member)
    if text.startswith("\\\\") or _DRIVE.match("/".join(clean_parts(text))):
        raise RuleError("N4", f"has a Windows drive or share in its {what}", member)
    if "\\" in text:
        raise RuleError("N5", f"has a backslash in its {what}", member)


def raise_if_too_long(member: Member, parts: list[str], limits: Limits, rule: str = "N15") -> None:
    """Refuse what some platform could not hold, however the staging directory is named."""
    if len(parts) > limits.depth:
        raise RuleError(rule, f"is {len(parts)} levels deep (limit {limits.depth})", member)
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if max(sizes, default=0) > limits.component_bytes:
        raise RuleError(rule, f"has a component of {max(sizes)} bytes", member)
    length = sum(sizes) + len(parts) - 1
    if length > limits.path_bytes:
        raise RuleError(rule, f"is {length} bytes long (limit {limits.path_bytes})", member)


def check_names(entries: dict[str, Member], capabilities: FilesystemCapabilities) -> list[Note]:
    """Hold the names of a whole tree against what the file system can hold."""
    notes: list[Note] = []
    for path, member in entries.items():
        device = _WINDOWS_DEVICE.search(path)
        if device or _WINDOWS_CHARACTER.search(path):
            rule = "N11" if device else "N12"
            if capabilities.has_windows_names:
                raise RuleError(rule, "has a name that Windows reserves", member)
            text = f"{member} cannot be unpacked on Windows"
            notes.append(Note(rule=rule, text=text, is_warning=False))
    for path, member in entries.items():
        if not path.isascii() and _RAW.search(path):
            if not capabilities.takes_raw_names:
                raise RuleError("N14", "has a name that is not UTF-8", member)
            notes.append(Note(rule="N14", text=f"{member} has a name that is not UTF-8"))
    return notes + _check_twins(entries, capabilities)


def _check_twins(entries: dict[str, Member], capabilities: FilesystemCapabilities) -> list[Note]:
    notes: list[Note] = []
    seen: dict[str, str] = {}
    for path, member in entries.items():
        twin = seen.setdefault(fold(path), path)
        if twin == path:
            continue
        text = f"differs from {entries[twin]} only by letter case or Unicode form"
        are_files = member.kind is Kind.FILE and entries[twin].kind is Kind.FILE
        if not are_files or capabilities.folds_names:
            raise RuleError("N13", text, member)
        notes.append(Note(rule="N13", text=f"{member} {text}"))
    return notes


def fold(path: str) -> str:
    """Return what ``path`` is to a file system that folds names."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
