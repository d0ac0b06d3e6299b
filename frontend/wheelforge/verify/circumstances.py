"""The circumstances of a build that is made once more: all that a wheel should not depend on."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wheelforge.hooks.environ import share_jobs
from wheelforge.hooks.pool import RunnerPool
from wheelforge.hooks.sandbox.confinement import Confinement
from wheelforge.hooks.sandbox.ladder import find_other_user
from wheelforge_isolation import ensure_directory, reorder_entries, temporary_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from wheelforge.hooks.runner import HookOptions, HookRunner

    T = TypeVar("T")

VARIABLES = {
    "TZ": "Pacific/Chatham",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "4242",
    **share_jobs(1),
}
UMASK = 0o027
_MEMORY, _ROOM_BYTES = "/dev/shm", 2 << 30  # ruff: ignore[hardcoded-temp-file]
_PROBE = "probe"
_LIBRARY = "faketime/libfaketime.so.1"
_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_LATER = {
    "FAKETIME": "+400d",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "NO_FAKE_STAT": "1",
}
"""The clock of waits, and the times of files, stay as they are."""


def find_clock() -> dict[str, str]:
    """Return variables that make it another year, where libfaketime is installed."""
    if sys.platform != "linux":
        return {}
    for place in map(Path, _PLACES):
        for path in (place / _LIBRARY, *sorted(place.glob(f"*/{_LIBRARY}"))):
            if path.is_file():
                return {"LD_PRELOAD": str(path), **_LATER}
    return {}


@contextlib.contextmanager
def open_place() -> Generator[tuple[Path, bool]]:
    """Yield a private directory, and whether entries below it can come in another order.

    That is one in memory, where the usual file system has an order of its own.
    """
    for parent in (None, *_list_memory()):
        with temporary_directory(parent) as place:
            for name in "badc":
                ensure_directory(str(Path(place, _PROBE, name)))
            if reorder_entries(str(Path(place, _PROBE))):
                yield Path(place), True
                return
    with temporary_directory() as place:
        yield Path(place), False


def _list_memory() -> Iterator[str]:
    """Yield a file system in memory, if there is one with room, where programs can be run."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has none of it
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize >= _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC:
            yield _MEMORY


class OtherCircumstances(RunnerPool):
    """Runs hooks of trees below ``place`` in other circumstances than those of a usual build."""

    def __init__(self, place: Path, *, reorders: bool) -> None:
        super().__init__()
        self._place = place
        self._reorders = reorders
        self._user = find_other_user()
        self._clock = find_clock()
        self._reordered = set[tuple[int, int]]()

    @property
    def unchanged(self) -> list[str]:
        """The circumstances that cannot be other ones here."""
        found = {
            "user": bool(self._user),
            "time": bool(self._clock),
            "order of entries": self._reorders,
            "number of cores": hasattr(os, "sched_setaffinity"),
        }
        return [name for name, is_other in found.items() if not is_other]

    def change(self, variables: Mapping[str, str], *, changes_time: bool) -> dict[str, str]:
        """Return the variables of the build."""
        clock = self._clock if changes_time and "LD_PRELOAD" not in variables else {}
        return {**variables, **clock, **VARIABLES}

    def run(self, build: Callable[[], T]) -> T:
        """Call ``build`` in a thread with one core, which all that it starts has as well."""
        with ThreadPoolExecutor(1, initializer=_limit_to_one_core) as thread:
            try:
                return thread.submit(build).result()
            except BaseException:
                self.cancel()
                raise

    @contextlib.contextmanager
    def open(
        self, *, python: str, backend: str, environment: Mapping[str, str], terms: HookOptions
    ) -> Generator[HookRunner]:
        """Yield a runner; the tree is laid out by now."""
        for tree in self._place.glob("*/*"):
            status = tree.lstat()
            identity = status.st_dev, status.st_ino
            # A requirement may be built meanwhile: twice would be the usual order again.
            if stat.S_ISDIR(status.st_mode) and identity not in self._reordered:
                self._reordered.add(identity)
                reorder_entries(str(tree))
        confinement = terms.confinement
        if confinement is None and self._user:
            confinement = Confinement(prefix=self._user, private=self._place / "private")
        umask = terms.umask and UMASK
        terms = replace(terms, umask=umask, confinement=confinement)
        with super().open(
            python=python, backend=backend, environment=environment, terms=terms
        ) as runner:
            yield runner


def _limit_to_one_core() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no cores of its own
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
