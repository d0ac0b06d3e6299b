"""Run inside a build environment, by the server: notices each use of a relative path.

A hook runs in its project, but the server imports the backend in a directory that is no more:
nothing is found there, and nothing can be made. So a look at a path that a project does not have
either comes out the same, and everything else that has to do with the working directory is found.
CPython tells an audit hook of most functions that take a path; those of `os` that it is silent
about are replaced while the backend is imported. C code that opens files by itself is not noticed.
"""

# ruff: file-ignore[any-type, os-path-join, os-mkdir, os-rmdir, hardcoded-temp-file]

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LOOKS = frozenset({"os.getxattr", "os.listdir", "os.listxattr", "os.scandir"})
"""The audit events of a look at the path that comes first."""
ONE_PATH = (
    "open os.chdir os.chmod os.chown os.mkdir os.remove os.removexattr os.rmdir os.setxattr"
    " os.truncate os.utime sqlite3.connect"
)
TWO_PATHS = "os.link os.rename os.symlink"
PATHS_OF_EVENTS = {
    **dict.fromkeys([*LOOKS, *ONE_PATH.split()], 1),
    **dict.fromkeys(TWO_PATHS.split(), 2),
}
"""The audit events that begin with paths, and with how many."""
SILENT_LOOKS = ("access", "lstat", "pathconf", "readlink", "stat", "statvfs")
"""The functions of `os` that look at a path, and raise no audit event."""
DIRECTORY = ("getcwd", "getcwdb")
FEWEST_REFERENCES = 2
"""A local variable, and the argument of what counts them."""


def pass_on(name: str) -> Any:
    """Return an attribute that is the one of the original."""
    return property(lambda substitute: getattr(substitute.original, name))


class Substitute:
    """Behaves as the builtin function that it stands for, but tells first how it is called.

    It equals that function, as a member of `os.supports_fd` for instance, and does not become a
    method of a class that has it as an attribute: what is imported may depend on either.
    """

    __slots__ = ("original", "report")
    # Attributes that every object has; everything else goes through `__getattr__`.
    __class__ = pass_on("__class__")  # pyright: ignore[reportIncompatibleMethodOverride]
    __doc__ = pass_on("__doc__")
    __module__ = pass_on("__module__")

    def __init__(self, original: Callable[..., Any], report: Callable[[object], None]) -> None:
        self.original = original
        self.report = report

    def __call__(self, /, *arguments: Any, **options: Any) -> Any:
        """Tell the path, and call the original."""
        if options.get("dir_fd") is None:
            self.report(arguments[0] if arguments else options.get("path", ""))
        return self.original(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __eq__(self, other: object) -> bool:
        return self is other or self.original == other

    def __hash__(self) -> int:
        return hash(self.original)

    def __repr__(self) -> str:
        return repr(self.original)


class PathProbe:
    """Notices every use of the working directory between its start and its end."""

    def __init__(self) -> None:
        self.absent: set[str] = set()
        """Relative paths at which nothing was found."""
        self.found: list[str] = []
        """Other uses that the import makes of the directory, in words that follow its name."""
        self._events: dict[str, int] = {}
        self._substitutes: dict[str, Substitute] = {}

    def start(self) -> None:
        """Begin; an audit hook stays for as long as the process, so that this is done once."""
        self._events.update(PATHS_OF_EVENTS)
        sys.addaudithook(self._on_event)
        for name in (*DIRECTORY, *SILENT_LOOKS):
            report = self._find_directory if name in DIRECTORY else self._find_look
            self._substitutes[name] = Substitute(getattr(os, name), report)
            setattr(os, name, self._substitutes[name])

    def stop(self) -> None:
        """End; find it too if one of the functions cannot be put back everywhere."""
        self._events.clear()
        while self._substitutes:
            name, substitute = self._substitutes.popitem()
            setattr(os, name, substitute.original)
            if sys.getrefcount(substitute) > FEWEST_REFERENCES:
                put_back(substitute)
            if sys.getrefcount(substitute) > FEWEST_REFERENCES:
                self.found.append(f"keeps `os.{name}`")

    def _on_event(self, event: str, arguments: tuple[object, ...]) -> None:
        paths = arguments[: self._events.get(event, 0)]
        for path in paths:
            self._find(path, is_look=event in LOOKS or is_reading(event, arguments))

    def _find_directory(self, _: object) -> None:
        self.found.append("reads the working directory")

    def _find_look(self, path: object) -> None:
        self._find(path, is_look=True)

    def _find(self, path: object, *, is_look: bool) -> None:
        name = "." if path is None else decode(path)
        if name[:1] in {"", "/"}:
            return
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if is_look and parts and ".." not in parts and "\0" not in name:
            self.absent.add("/".join(parts))
        else:
            self.found.append(f"uses the relative path `{name}`")


def is_reading(event: str, arguments: tuple[object, ...]) -> bool:
    """Return whether that opens a file, and could neither make nor change one."""
    return event == "open" and arguments[-1] in {os.O_RDONLY, os.O_RDONLY | os.O_CLOEXEC}


def decode(path: object) -> str:
    """Return a path as text, or nothing if it is none, or a descriptor."""
    find_name: Callable[[], object] = getattr(path, "__fspath__", lambda: path)
    name = find_name()
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else ""


def put_back(substitute: Substitute) -> None:
    """Put the function into the modules, classes and objects that have taken its substitute."""
    holders: list[Any] = gc.get_referrers(substitute)
    for holder in holders:
        is_dictionary = hasattr(holder, "items")  # of a module, a class or an older object
        names: dict[str, Any] = holder if is_dictionary else getattr(holder, "__dict__", {})
        found = [name for name, value in names.items() if value is substitute]
        classes = [it for it in gc.get_referrers(names) if isinstance(it, type)] if found else []
        for name in found:
            names[name] = substitute.original
            for owner in classes:  # or what it remembers of its attributes would stay
                setattr(owner, name, substitute.original)


def leave_directory() -> None:
    """Stand in a directory that is no more: nothing is found there, and nothing can be made.

    Where no directory can be made this process stays where it was started, which is no project.
    """
    place = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"wheelforge-{os.urandom(8).hex()}")
    try:
        os.mkdir(place, 0o700)
        os.chdir(place)
        os.rmdir(place)
    except OSError:
        return
