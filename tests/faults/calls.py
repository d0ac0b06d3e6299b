"""System calls as strace writes them: which change a file system, and how each of them can fail."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

LAST = "exit_group"
MARK = "getppid"
"""Calls that a process repeats until the answer betrays that it is traced."""
MARK_ANSWER = 424242
_DENIED = "EACCES EPERM"
_FULL = "ENOSPC EDQUOT"
_EVER = "EIO EINTR ESTALE"
_MAKE = f"{_FULL} {_DENIED} {_EVER}"
_CHANGE = {
    "mkdir": f"{_MAKE} EMLINK ENOSYS",
    "rmdir": f"{_DENIED} {_EVER} {_FULL}",
    "unlink": f"{_DENIED} {_EVER} {_FULL}",
    "rename": f"{_MAKE} EXDEV EMLINK",
    "link": f"{_MAKE} EXDEV EMLINK ENOSYS",
    "symlink": f"{_MAKE} ENOSYS",
    "chmod": f"{_FULL} {_DENIED} {_EVER} ENOSYS",
    "fchmod": f"{_FULL} {_DENIED} {_EVER} ENOSYS",
    "chown": f"{_FULL} {_DENIED} {_EVER} ENOSYS",
    "utimensat": f"{_FULL} {_DENIED} {_EVER} ENOSYS",
    "write": f"{_FULL} {_EVER}",
    "pwrite64": f"{_FULL} {_EVER}",
    "writev": f"{_FULL} {_EVER}",
    "sendfile": f"{_FULL} {_EVER} ENOSYS",
    "copy_file_range": f"{_FULL} {_EVER} EXDEV ENOSYS",
    "truncate": f"{_MAKE}",
    "ftruncate": f"{_FULL} {_EVER}",
    "fallocate": f"{_FULL} {_EVER} ENOSYS",
}
_AT = {
    "mkdirat": "mkdir",
    "unlinkat": "unlink",
    "renameat": "rename",
    "renameat2": "rename",
    "linkat": "link",
    "symlinkat": "symlink",
    "fchmodat": "chmod",
    "fchmodat2": "chmod",
    "fchownat": "chown",
    "fchown": "chown",
    "lchown": "chown",
}
_CHANGES = {**_CHANGE, **{name: _CHANGE[other] for name, other in _AT.items()}}
_LOOK = {
    "read": _EVER,
    "pread64": _EVER,
    "stat": f"{_DENIED} {_EVER}",
    "lstat": f"{_DENIED} {_EVER}",
    "newfstatat": f"{_DENIED} {_EVER}",
    "fstat": "EIO ESTALE",
    "statx": f"{_DENIED} {_EVER} ENOSYS",
    "statfs": f"{_DENIED} {_EVER} ENOSYS",
    "access": f"{_DENIED} {_EVER}",
    "faccessat": f"{_DENIED} {_EVER}",
    "faccessat2": f"{_DENIED} {_EVER}",
    "readlink": f"{_DENIED} {_EVER}",
    "readlinkat": f"{_DENIED} {_EVER}",
    "getdents64": f"{_DENIED} {_EVER}",
    "fsync": f"{_FULL} {_EVER} ENOSYS",
    "fdatasync": f"{_FULL} {_EVER} ENOSYS",
    "flock": f"ENOLCK ENOSYS {_DENIED} {_EVER}",
    "fcntl": "",
    "ioctl": f"{_FULL} EPERM EXDEV {_EVER}",
    "lseek": "",
}
_OPEN = f"{_DENIED} EMFILE {_EVER}"
_OPENS = {"open", "openat", "creat"}
_CREATES = re.compile(r"\bO_(CREAT|TRUNC|TMPFILE)\b")
_CLONES = re.compile(r"\b(FICLONE|BTRFS_IOC_CLONE)\b")
CHANGING = frozenset({*_CHANGES, *_OPENS, "ioctl", LAST})
TRACED = frozenset({*CHANGING, *_LOOK})
_LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)\)? += (-?\d+|\?|0x[0-9a-f]+)(.*)")
_PLACES = re.compile(r'<(/[^>]*)>|"(/[^"]*)"|"([^"]*)"')
_OF_ONE_PLACE = {"write", "pwrite64", "writev", "read", "pread64", "readlink"}
_NONCES = re.compile(
    r"(?<=/)[0-9a-f]{2}(?=/[0-9a-f]{32})|[0-9a-f]{32,}|\b\d+-[0-9a-f]{32}|(?<=\.)[0-9a-f]{8}\b|(?<=temporary/)\w{8,}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call of one process."""

    name: str
    ordinal: int
    """Which one of its name it is in the process."""
    what: str
    """The name and the places it is about, those with random names made alike."""
    flags: str
    has_worked: bool
    is_injected: bool = False

    @property
    def changes(self) -> bool:
        """Whether a file system was another one afterwards."""
        if self.name in _OPENS:
            return self.has_worked and bool(_CREATES.search(self.flags))
        if self.name == "ioctl":
            return self.has_worked and bool(_CLONES.search(self.flags))
        return self.has_worked and self.name in _CHANGES

    @property
    def errors(self) -> Sequence[str]:
        """How it can fail."""
        if self.name in _OPENS:
            return f"{_OPEN} {_FULL if _CREATES.search(self.flags) else ''}".split()
        if self.name == "ioctl" and not _CLONES.search(self.flags):
            return []
        return (_CHANGES.get(self.name) or _LOOK.get(self.name, "")).split()


@dataclass(slots=True)
class Reader:
    """Reads what strace has written of one process, and knows what is below ``roots``."""

    root: str
    roots: tuple[str, ...]
    _counts: Counter[str] = field(default_factory=Counter[str])

    def read(self, lines: Iterable[str]) -> Iterator[Call]:
        """Yield the calls that are about something below the roots."""
        for line in lines:
            match = _LINE.match(line) if "(" in line else None
            if match is None or match[1] == MARK:
                continue
            name, arguments, result, rest = match.groups()
            self._counts[name] += 1
            places = self._places(name, arguments)
            if name == LAST or any(place.startswith(self.roots) for place in places):
                yield Call(
                    name=name,
                    ordinal=self._counts[name],
                    what=self._describe(name, places),
                    flags=_without_strings(arguments),
                    has_worked=not result.startswith("-"),
                    is_injected="INJECTED" in rest,
                )

    def _places(self, name: str, arguments: str) -> list[str]:
        found = [match.groups() for match in _PLACES.finditer(arguments)]
        if name in _OF_ONE_PLACE:
            found = found[:1]
        places: list[str] = []
        for opened, whole, part in found:
            if part is not None and places:
                places[-1] = f"{places[-1]}/{part}"
            else:
                places.append(opened or whole or part or "")
        return [place for place in places if place.startswith("/")]

    def _describe(self, name: str, places: list[str]) -> str:
        shown = (_NONCES.sub("#", place.removeprefix(self.root)) for place in places)
        return " ".join([name, *shown])


def _without_strings(arguments: str) -> str:
    return re.sub(r'"[^"]*"\.*|<[^>]*>', "", arguments)
