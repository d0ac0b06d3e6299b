"""A place to unpack in that notices whatever happens around it."""

import contextlib
import signal
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from tests.support.trees import Node, Tree, read_tree
from wheelforge_isolation import ForgeError, Links, Unpacked, unpack
from wheelforge_isolation.files.fs import remove_tree

PATIENCE_SECONDS = 10
_BAIT = ["outside", "a", "b/a", "p-1.0/a", "p-1.0/d/a", "q/a", "setup.py"]
"""Neighbours of the destination, by names that archives use."""


class TooSlowError(BaseException):
    """A single archive took longer than anybody would wait; no handler may swallow this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of unpacking an archive."""

    unpacked: Unpacked | None
    error: ForgeError | None
    tree: Tree
    """The content of the destination afterwards."""
    is_destination_there: bool
    is_outside_unchanged: bool


@dataclass(slots=True, kw_only=True)
class Arena:
    """Unpacks archives one after the other, among files that are none of their business."""

    root: Path
    before: Tree = field(default_factory=dict[str, Node])

    def __post_init__(self) -> None:
        for place in (self.root, self.root / "work"):
            for name in _BAIT:
                (place / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                (place / name).write_bytes(b"bait")
                (place / name).chmod(0o600)
        self.before = self._look_around()

    @property
    def destination(self) -> Path:
        return self.root / "work" / "destination"

    def unpack(self, name: str, content: bytes, links: Links, *, is_made: bool = False) -> Outcome:
        """Unpack ``content`` under that file name; the destination may have been made before."""
        archive = self.root / name
        archive.write_bytes(content)
        if is_made:
            self.destination.mkdir()
        unpacked, error = None, None
        try:
            with time_limit():
                unpacked = unpack(archive, self.destination, links=links)
        except ForgeError as caught:
            error = caught
        finally:
            archive.unlink()
            tree = read_tree(self.destination) if self.destination.exists() else None
            remove_tree(str(self.destination))
        return Outcome(
            unpacked=unpacked,
            error=error,
            tree=tree or {},
            is_destination_there=tree is not None,
            is_outside_unchanged=self._look_around() == self.before,
        )

    def _look_around(self) -> Tree:
        """Return all but the destination, with times where only an escape can change them."""
        tree = read_tree(self.root)
        for path, node in tree.items():
            if node.kind == "file":
                time = (self.root / path).stat().st_mtime_ns
                tree[path] = node._replace(target=str(time))
        return tree


@contextlib.contextmanager
def time_limit() -> Generator[None]:
    if not hasattr(signal, "setitimer"):  # there is no timer elsewhere
        yield
        return
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _give_up(*_: object) -> NoReturn:
    raise TooSlowError
