"""The N rules: which names are names everywhere, and what is left of them once cleaned."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Kind, Note, RuleError

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Limits, Member
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


def is_plain_name(name: str) -> bool:
    """Return whether ``name`` can be that of one directory, everywhere."""
    return bool(_BARE.fullmatch(name)) and clean_parts(name) == [name] and name != ".."
