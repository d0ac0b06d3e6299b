"""The machine as hooks find it: processor, system, tools on the PATH, libraries.

Tools are known by path and digest, libraries by the versions of their packages. Each is
looked at once, and remembered as long as size, times and inode of the file are the same.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge_isolation import JsonCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from wheelforge_isolation import Interpreter

    Facts = dict[str, Any]
    Stamp = list[int]

_TOOLS = frozenset({
    *(
        "ar",
        "as",
        "autoconf",
        "automake",
        "bison",
        "c++",
        "cargo",
        "cc",
        "ccache",
        "clang",
        "clang++",
    ),
    *("cmake", "cython", "f77", "f95", "flex", "g++", "gcc", "gfortran", "git", "gmake", "go"),
    *("hg", "ld", "ld.gold", "ld.lld", "libtool", "m4", "make", "meson", "nasm", "ninja", "nm"),
    *("nvcc", "objcopy", "patch", "patchelf", "perl", "pkg-config", "pkgconf", "protoc"),
    *("ranlib", "rustc", "rustup", "sccache", "strip", "swig", "yasm", "zig"),
})
_AFFIXES = re.compile(r"(?:\w+-\w+-(?:\w+-)?)?(.+?)(?:-\d[\d.]*)?")
"""A Python names the compiler of its extensions with machine and version, mostly."""
_CONFIGS = ("-config", "_config")
"""Programs such as `pg_config` tell how to compile with a library."""
_VARIABLES = ("CC", "CXX", "CPP", "FC", "F77", "F90", "AR", "AS", "LD", "RANLIB", "NVCC")
"""Variables that name a tool."""
_DPKG = Path("/var/lib/dpkg/status")
_DPKG_FIELD = re.compile(rb"^(Package|Status|Version): (.*)$", re.MULTILINE)
_STAMPED = (
    *("/lib/apk/db/installed", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/pacman/local"),
    *("/usr/local/include", "/usr/local/lib", "/usr/local/lib/pkgconfig", "/opt/homebrew/opt"),
)
"""Lists of packages, and places of libraries that are in no package: their times tell."""
_USER_FILES = (
    *(".pydistutils.cfg", ".numpy-site.cfg", ".cargo/config", ".cargo/config.toml"),
    *(".rustup/settings.toml", ".rustup/update-hashes"),
)
"""Settings of tools, and the versions behind rustup, in the home of the user."""
_HOMES = {".cargo": "CARGO_HOME", ".rustup": "RUSTUP_HOME"}
"""Variables that say where such a directory is instead."""
_CPU, _SYSTEM = Path("/proc/cpuinfo"), Path("/etc/os-release")
_CPU_BYTES = 8192
_CPU_FACT = re.compile(rb"^(?:model name|CPU part|cpu model|flags|Features)\s*:.*$", re.MULTILINE)
_OS_NAME = re.compile(rb'^PRETTY_NAME="?([^"\n]*)', re.MULTILINE)
_DIGITS = 16
_END_BYTES = 1 << 16


def describe_platform(python: Interpreter) -> dict[str, str]:
    """Return system, processor and C library."""
    cpu = b"\n".join(_CPU_FACT.findall(_read(_CPU, _CPU_BYTES)))
    system = _OS_NAME.search(_read(_SYSTEM))
    platforms = (tag.rpartition("-")[2] for tag in python.tags)
    return {
        "system": python.markers["platform_system"],
        "release": python.markers["platform_release"],
        "machine": python.markers["platform_machine"],
        "distribution": system[1].decode(errors="replace") if system else "",
        "libc": next((each for each in platforms if "linux" in each.partition("_")[0][1:]), ""),
        "cpu": _shorten(cpu) if cpu else "",
    }


class _Look(NamedTuple):
    """The facts that were found with those variables, and the stamps of all that was looked at."""

    variables: Mapping[str, str]
    named: Sequence[str]
    stamps: Mapping[str, Stamp]
    found: Facts


class Toolchain:
    """The tools and libraries of this machine, remembered in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._memory = JsonCache(directory, "tools")
        self._known: Facts = self._memory.read() or {}
        self._has_news = False
        self._stamps: dict[str, Stamp] = {}
        self._last: _Look | None = None
        self._lock = Lock()

    def describe(self, variables: Mapping[str, str], named: Iterable[str] = ()) -> Facts:
        """Return all that hooks with these variables can find.

        Files count that are the values of variables which are ``named``.
        """
        named = sorted(named)
        with self._lock:
            last = self._last
            if (
                last is None
                or (last.variables, last.named) != (variables, named)
                or any(_stamp(path) != stamp for path, stamp in last.stamps.items())
            ):
                last = self._look(variables, named)
        found = last.found
        return {**found, "settings": {**dict(_list_settings(variables)), **found["settings"]}}

    def _look(self, variables: Mapping[str, str], named: Sequence[str]) -> _Look:
        """Look at everything; builds of a batch do so once, and see that all is as it was."""
        self._stamps = stamps = dict[str, "Stamp"]()
        found = {
            "tools": dict(self._list_tools(variables)),
            "libraries": self._list_libraries(),
            "settings": dict(self._list_files(variables, named)),
        }
        if self._has_news:
            self._has_news = False
            self._memory.write(self._known)
        self._last = _Look(dict(variables), named, stamps, found)
        return self._last

    def _stamp(self, path: Path) -> Stamp:
        return self._stamps.setdefault(str(path), _stamp(str(path)))

    def _list_tools(self, variables: Mapping[str, str]) -> Iterator[tuple[str, Facts]]:
        places = [Path(place) for place in os.get_exec_path(dict(variables))]
        places = [place for place in places if place.is_absolute()]
        nothing: Facts = {}
        for name in _VARIABLES:
            # The compiler stands behind a wrapper in `ccache gcc-12`.
            for number, word in enumerate(variables.get(name, "").split()):
                found = (self._remember(place / word, _describe_program) for place in places)
                program = next((each for each in found if each), nothing)
                if program or not number:
                    yield f"${name}" if not number else f"{word} of ${name}", program
        seen: dict[str, Facts] = {}
        for place in places:
            for name in self._remember(place, _list_names).get("names", ()):
                program = self._remember(place / name, _describe_program)
                # A wrapper such as ccache runs the next one of its name: all of them count.
                key = f"{name} in {place}" if name in seen else name
                if program and seen.get(name) != program:
                    seen[key] = program
                    yield key, program

    def _list_files(
        self, variables: Mapping[str, str], named: Iterable[str]
    ) -> Iterator[tuple[str, str]]:
        for name in named:
            path = Path(variables.get(name, ""))
            if path.is_absolute() and self._stamp(path) and path.is_file():
                yield f"${name}", self._remember(path, _describe_file).get("digest", "")

    def _list_libraries(self) -> Facts:
        """Return the versions of packages with headers, as far as the system tells."""
        stamps = {path: stamp[:2] for path in _STAMPED if (stamp := self._stamp(Path(path)))}
        return {**self._remember(_DPKG, _list_packages), **stamps}

    def _remember(self, path: Path, describe: Callable[[Path], Facts]) -> Facts:
        stamp, name = self._stamp(path), f"{describe.__name__} {path}"
        if not stamp:
            return {}
        if name not in self._known or self._known[name]["stamp"] != stamp:
            self._has_news = True
            self._known[name] = {"stamp": stamp, "facts": describe(path)}
        facts: Facts = self._known[name]["facts"]
        return facts


def digest_file(path: Path) -> str:
    """Return a short digest of a file, or nothing if it cannot be read."""
    content = _read(path)
    return _shorten(content) if content else ""


def _list_settings(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _USER_FILES:
        folder, _, rest = name.partition("/")
        own = variables.get(_HOMES.get(folder, ""), "")
        path = Path(own, rest) if own else Path(variables.get("HOME", ""), name)
        try:
            files = sorted(path.iterdir())
        except OSError:  # it is a file, or not there
            files = [path]
        content = b"".join(map(_read, files)) if path.is_absolute() else b""
        if content:
            yield f"~/{name}", _shorten(content)


def _list_names(place: Path) -> Facts:
    """Return the names of tools in a directory."""
    try:
        names = sorted(path.name for path in place.iterdir())
    except OSError:
        names = []
    return {"names": list(filter(_is_tool, names))}


def _is_tool(name: str) -> bool:
    bare = _AFFIXES.fullmatch(name)
    return bool(bare and bare[1] in _TOOLS) or (
        name.endswith(_CONFIGS) and not name.startswith("python")
    )


def _describe_program(path: Path) -> Facts:
    """Return path and digest of a program; of a large one both ends count, and the size."""
    return _describe_file(path) if path.is_file() and os.access(path, os.X_OK) else {}


def _describe_file(path: Path) -> Facts:
    size = path.stat().st_size
    content = _read(path, _END_BYTES)
    if size > _END_BYTES:
        content += _read(path, _END_BYTES, max(_END_BYTES, size - _END_BYTES))
    return {"path": str(path.resolve()), "digest": _shorten(b"%d\n" % size + content)}


def _list_packages(path: Path) -> Facts:
    """Return the versions of installed packages with headers, as dpkg has them."""
    paragraphs = (dict(_DPKG_FIELD.findall(each)) for each in _read(path).split(b"\n\n"))
    return {
        each[b"Package"].decode(): each.get(b"Version", b"").decode()
        for each in paragraphs
        if each.get(b"Package", b"").endswith(b"-dev") and b" installed" in each.get(b"Status", b"")
    }


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)  # ruff: ignore[os-stat]  # of many, as texts
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _read(path: Path, size: int = -1, start: int = 0) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)
    except OSError:
        return b""


def _shorten(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
