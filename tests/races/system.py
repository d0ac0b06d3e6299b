"""Stand-ins for ``os``, ``shutil``, ``open`` and ``time`` in the isolation package.

All of it acts on one machine that is made up. What these do not know fails loudly: an operation
that escaped to the real machine would be proof of nothing.
"""

import contextlib
import errno
import io
import os
import posixpath
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import PosixPath
from pkgutil import walk_packages
from types import SimpleNamespace
from typing import Any

import pytest

import wheelforge_isolation
from tests.races.machine import (
    FIRST_DESCRIPTOR,
    Directory,
    File,
    Machine,
    Node,
    Open,
    Status,
    refuse,
)

MACHINE = Machine()
MODULES = [
    found.name for found in walk_packages(wheelforge_isolation.__path__, "wheelforge_isolation.")
]
"""Every module of every room: none can escape to the real machine for not being listed."""
_PURE = {"basename", "dirname", "join", "normpath", "abspath", "samestat", "splitext", "sep"}
_CONSTANT = {"name", "sep", "curdir", "fsencode", "fsdecode", "fspath", "strerror", "W_OK"}
_CONSTANT |= {name for name in dir(os) if name.startswith("O_")}
_PERMISSIONS = 0o7777


class SimulatedFile(io.BytesIO):
    """The content of a file when it was opened."""

    def __init__(self, content: bytes, descriptor: int) -> None:
        super().__init__(content)
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if not self.closed and self._descriptor in MACHINE.open:
            MACHINE.close(self._descriptor)
        super().close()


@dataclass(frozen=True, slots=True)
class SimulatedEntry:
    """One of the names that a directory held when it was looked at."""

    name: str
    path: str
    node: Node

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        del follow_symlinks  # there are no links
        return isinstance(self.node, Directory)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        del follow_symlinks
        return isinstance(self.node, File)

    def stat(self) -> Status:
        return SYSTEM.stat(self.path)


@dataclass(frozen=True, slots=True)
class SimulatedListing:
    """The result of ``scandir``."""

    entries: list[SimulatedEntry]

    def __iter__(self) -> Iterator[SimulatedEntry]:
        return iter(self.entries)

    def __enter__(self) -> Iterator[SimulatedEntry]:
        return iter(self.entries)

    def __exit__(self, *_: object) -> None:
        """There is nothing to be closed."""


class SimulatedPaths:
    """``os.path``."""

    def __getattr__(self, name: str) -> Any:  # ruff: ignore[any-type]
        if name not in _PURE:
            raise AttributeError(f"nothing stands in for os.path.{name}")
        return getattr(posixpath, name)

    def exists(self, path: str) -> bool:
        try:
            SYSTEM.stat(path)
        except OSError:
            return False
        return True

    lexists = exists

    def isdir(self, path: str) -> bool:
        return self.exists(path) and stat.S_ISDIR(MACHINE.find(os.fspath(path)).mode)

    def isfile(self, path: str) -> bool:
        return self.exists(path) and stat.S_ISREG(MACHINE.find(os.fspath(path)).mode)

    def islink(self, _: str) -> bool:
        return False

    def getsize(self, path: str) -> int:
        return SYSTEM.stat(path).st_size


class SimulatedSystem:  # ruff: ignore[too-many-public-methods]
    """``os``."""

    path = SimulatedPaths()

    def __getattr__(self, name: str) -> Any:  # ruff: ignore[any-type]
        if name not in _CONSTANT:
            raise AttributeError(f"nothing stands in for os.{name}")
        return getattr(os, name)

    def getpid(self) -> int:
        return MACHINE.turns.current

    def access(self, path: str, _: int) -> bool:
        """Return whether it is there: on this machine everybody may do everything."""
        return self.path.exists(path)

    def urandom(self, size: int) -> bytes:
        return MACHINE.number().to_bytes(size, "little")

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        MACHINE.step("open")
        node = self._find_or_create(os.fspath(path), flags, mode)
        if isinstance(node, Directory) and flags & (os.O_WRONLY | os.O_RDWR):
            refuse(errno.EISDIR, path)
        descriptor = FIRST_DESCRIPTOR + MACHINE.number()
        MACHINE.open[descriptor] = Open(node, MACHINE.turns.current, bool(flags & os.O_APPEND))
        return descriptor

    def _find_or_create(self, path: str, flags: int, mode: int) -> Node:
        if not flags & os.O_CREAT:
            return MACHINE.find(path)
        parent, name = MACHINE.find_parent(path)
        if name not in parent.entries:
            file = File(MACHINE.number(), stat.S_IFREG | mode, MACHINE.time_ns())
            MACHINE.set_entry(parent, name, file)
        elif flags & os.O_EXCL:
            refuse(errno.EEXIST, path)
        return MACHINE.find(path)

    def write(self, descriptor: int, data: bytes) -> int:
        MACHINE.step("write")
        opened = MACHINE.open[descriptor]
        node = opened.node
        assert isinstance(node, File)
        start = len(node.content) if opened.appends else opened.position
        node.content = node.content[:start] + data + node.content[start + len(data) :]
        node.mtime_ns = MACHINE.time_ns()
        opened.position = start + len(data)
        return len(data)

    def close(self, descriptor: int) -> None:
        MACHINE.turns.check()
        MACHINE.close(descriptor)

    def fsync(self, descriptor: int) -> None:
        MACHINE.step("fsync")
        node = MACHINE.open[descriptor].node
        if isinstance(node, File):
            node.safe = (node.content, node.mtime_ns)
        else:
            node.former.clear()

    def fchmod(self, descriptor: int, mode: int) -> None:
        node = MACHINE.open[descriptor].node
        node.mode = stat.S_IFMT(node.mode) | mode

    def chmod(self, path: str, mode: int) -> None:
        MACHINE.step("chmod")
        node = MACHINE.find(os.fspath(path))
        node.mode = stat.S_IFMT(node.mode) | mode

    def fstat(self, descriptor: int) -> Status:
        MACHINE.step("fstat")
        return _describe(MACHINE.open[descriptor].node)

    def stat(self, path: str) -> Status:
        MACHINE.step("stat")
        return _describe(MACHINE.find(os.fspath(path)))

    lstat = stat

    def utime(self, path: str, times: tuple[float, float] | None = None) -> None:
        MACHINE.step("utime")
        node = MACHINE.find(os.fspath(path))
        node.mtime_ns = MACHINE.time_ns() if times is None else int(times[1] * 1e9)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        MACHINE.step("mkdir")
        parent, name = MACHINE.find_parent(os.fspath(path))
        if name in parent.entries:
            refuse(errno.EEXIST, path)
        node = Directory(MACHINE.number(), stat.S_IFDIR | mode, MACHINE.time_ns())
        MACHINE.set_entry(parent, name, node)

    def makedirs(self, path: str, mode: int = 0o777, *, exist_ok: bool = False) -> None:
        above = posixpath.dirname(os.fspath(path))
        if above != path and not self.path.exists(above):
            with contextlib.suppress(FileExistsError):
                self.makedirs(above, mode, exist_ok=exist_ok)
        try:
            self.mkdir(path, mode)
        except OSError:
            if not exist_ok or not self.path.isdir(path):
                raise

    def replace(self, source: str, destination: str) -> None:
        MACHINE.step("replace")
        parent, name = MACHINE.find_parent(os.fspath(source))
        node = MACHINE.find(os.fspath(source))
        new_parent, new_name = MACHINE.find_parent(os.fspath(destination))
        rival = new_parent.entries.get(new_name)
        if isinstance(rival, Directory):
            refuse(errno.EISDIR if isinstance(node, File) else errno.ENOTEMPTY, destination)
        MACHINE.set_entry(new_parent, new_name, node)
        MACHINE.set_entry(parent, name, None)

    rename = replace

    def link(self, source: str, destination: str) -> None:
        MACHINE.step("link")
        node = MACHINE.find(os.fspath(source))
        parent, name = MACHINE.find_parent(os.fspath(destination))
        if name in parent.entries:
            refuse(errno.EEXIST, destination)
        MACHINE.set_entry(parent, name, node)

    def unlink(self, path: str) -> None:
        MACHINE.step("unlink")
        if isinstance(MACHINE.find(os.fspath(path)), Directory):
            refuse(errno.EISDIR, path)
        MACHINE.set_entry(*MACHINE.find_parent(os.fspath(path)), None)

    def rmdir(self, path: str) -> None:
        MACHINE.step("rmdir")
        node = MACHINE.find(os.fspath(path))
        if not isinstance(node, Directory):
            refuse(errno.ENOTDIR, path)
        if node.entries:
            refuse(errno.ENOTEMPTY, path)
        MACHINE.set_entry(*MACHINE.find_parent(os.fspath(path)), None)

    def listdir(self, path: str) -> list[str]:
        return [entry.name for entry in self.scandir(path)]

    def scandir(self, path: str) -> SimulatedListing:
        MACHINE.step("scandir")
        node = MACHINE.find(os.fspath(path))
        if not isinstance(node, Directory):
            refuse(errno.ENOTDIR, path)
        top = os.fspath(path)
        return SimulatedListing([
            SimulatedEntry(name, posixpath.join(top, name), found)
            for name, found in node.entries.items()
        ])

    def walk(self, top: str, *, topdown: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
        try:
            entries = self.scandir(top)
        except OSError:
            return
        directories = [entry.name for entry in entries if entry.is_dir()]
        names = [entry.name for entry in entries if entry.is_file()]
        if topdown:
            yield top, directories, names
        for directory in directories:
            yield from self.walk(posixpath.join(top, directory), topdown=topdown)
        if not topdown:
            yield top, directories, names


def _describe(node: Node) -> Status:
    if isinstance(node, Directory):
        return Status(node.mode, node.number, node.mtime_ns, 0, 1)
    return Status(node.mode, node.number, node.mtime_ns, len(node.content), node.links)


SYSTEM = SimulatedSystem()


def open_file(path: str, _: str = "rb") -> SimulatedFile:
    """Stand in for ``open``, of files that are read or only synchronised."""
    descriptor = SYSTEM.open(path, os.O_RDONLY)
    node = MACHINE.open[descriptor].node
    if isinstance(node, Directory):
        MACHINE.close(descriptor)
        refuse(errno.EISDIR, path)
    return SimulatedFile(node.content, descriptor)


def write_file(path: str, content: bytes) -> None:
    """Write a file as anybody would."""
    descriptor = SYSTEM.open(path, os.O_WRONLY | os.O_CREAT)
    SYSTEM.write(descriptor, content)
    SYSTEM.close(descriptor)


def _remove_tree(path: str) -> None:
    for entry in SYSTEM.scandir(path):
        if entry.is_dir():
            _remove_tree(entry.path)
        else:
            SYSTEM.unlink(entry.path)
    SYSTEM.rmdir(path)


def _copy_file(source: str, destination: str) -> None:
    with open_file(source) as file:
        write_file(os.fspath(destination), file.read())


def _lock(descriptor: int, *, blocking: bool) -> bool:
    assert not blocking
    MACHINE.step("lock")
    node = MACHINE.open[descriptor].node
    assert isinstance(node, File)
    if node.holder not in {0, descriptor}:
        return False
    node.holder = descriptor
    return True


class SimulatedPath(PosixPath):
    """A path on the machine that is made up."""

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        del follow_symlinks
        return SYSTEM.path.exists(str(self))

    def stat(self, *, follow_symlinks: bool = True) -> Any:  # ruff: ignore[any-type]
        del follow_symlinks
        return SYSTEM.stat(str(self))

    def read_bytes(self) -> bytes:
        with open_file(str(self)) as file:
            return file.read()

    def read_text(self, *_: object, encoding: str | None = None, **__: object) -> str:
        return self.read_bytes().decode(encoding or "utf-8")


@contextlib.contextmanager
def simulated() -> Generator[pytest.MonkeyPatch]:
    """Have every module work on the machine that is made up."""
    clock = SimpleNamespace(
        time=lambda: MACHINE.now, monotonic=lambda: MACHINE.now, sleep=MACHINE.pause
    )
    shell = SimpleNamespace(rmtree=_remove_tree, copyfile=_copy_file)
    stand_ins: dict[str, object] = {
        "os": SYSTEM,
        "time": clock,
        "shutil": shell,
        "boot_id": lambda: MACHINE.boot,
    }
    with pytest.MonkeyPatch.context() as patch:
        for module in map(import_module, MODULES):
            for name in stand_ins.keys() & vars(module).keys():
                patch.setattr(module, name, stand_ins[name])
            patch.setattr(module, "open", open_file, raising=False)
        patch.setattr("filelock.lock_descriptor", _lock)
        yield patch
