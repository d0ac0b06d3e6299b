"""What a resolution becomes: keys of wheels, and a way to have each of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wheelforge.errors import RequirementsError
from wheelforge_isolation import WheelKey, copy_file, digest, ensure_directory, read_wheel_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelforge.index import Candidate
    from wheelforge.resolve.supply import Builder, IndexLike
    from wheelforge.resolve.types import Pin, Resolution

    IsHere = Callable[[WheelKey], bool]


class Delivery:
    """The wheels of one resolution, as the store of environments takes them."""

    def __init__(
        self,
        resolution: Resolution,
        index: IndexLike,
        pins: Mapping[WheelKey, Pin],
        paths: Mapping[WheelKey, Path],
    ) -> None:
        self.keys = tuple(pins)
        self.resolution = resolution
        """With the hashes that had to be learned; worth remembering if it differs."""
        self.is_here: IsHere = lambda _: False
        """Says which wheels need not come when the first one has to be fetched."""
        self._index = index
        self._pins = pins
        self._paths = paths
        self._unasked = [*pins]
        """The wheels of which it is not known yet whether they have to be fetched."""

    def fetch(self, key: WheelKey, path: str) -> None:
        """Write the wheel that is meant to ``path``."""
        if key in self._paths:
            copy_file(str(self._paths[key]), path)
            return
        self._expect_rest(key)
        self._index.fetch(candidate_of(self._pins[key]), path)

    def _expect_rest(self, key: WheelKey) -> None:
        """Have the other wheels come as well, if this is the first that is not there."""
        waiting = [*self._unasked]
        self._unasked.clear()
        rest = (other for other in waiting if other not in {key, *self._paths})
        self._index.prefetch_files(
            candidate_of(self._pins[other]) for other in rest if not self.is_here(other)
        )


def hand_over(
    resolution: Resolution,
    index: IndexLike,
    builder: Builder | None,
    *,
    workspace: Path,
    chain: tuple[str, ...] = (),
) -> Delivery:
    """Return the wheels that ``resolution`` stands for, sdists built.

    A wheel whose hash nobody stated is fetched now, into ``workspace``, to learn it.
    """
    finder = _KeyFinder(index, builder, workspace, chain)
    finder.expect(resolution.pins)
    for pin in resolution.pins:
        finder.take(pin)
    known = resolution._replace(pins=tuple(finder.pins.values()))
    return Delivery(known, index, finder.pins, finder.paths)


class _KeyFinder:
    """Takes pins, and has the key of each."""

    def __init__(
        self, index: IndexLike, builder: Builder | None, workspace: Path, chain: tuple[str, ...]
    ) -> None:
        self.pins: dict[WheelKey, Pin] = {}
        self.paths: dict[WheelKey, Path] = {}
        self._index = index
        self._builder = builder
        self._workspace = workspace
        self._chain = chain

    def expect(self, pins: Iterable[Pin]) -> None:
        """Have what must be fetched to be known come at the same time."""
        unknown = [pin for pin in pins if pin.is_wheel and not _is_known(pin)]
        if unknown:
            self._index.prefetch_files(map(candidate_of, unknown))

    def take(self, pin: Pin) -> None:
        """Find the key of ``pin``, at the price of a download or a build where nobody knows it."""
        if pin.is_wheel and _is_known(pin):
            key = WheelKey(
                name=pin.name, version=pin.version, file_name=pin.file_name, sha256=pin.sha256
            )
        else:
            path = self._fetch(pin) if pin.is_wheel else self._build(pin)
            key = read_wheel_key(path)
            self.paths[key] = path
        if pin.is_wheel and not _is_known(pin):
            accepted = (f"sha256:{key.sha256}",) if pin.accepted else ()
            pin = pin._replace(sha256=key.sha256, accepted=accepted)
        self.pins[key] = pin

    def _fetch(self, pin: Pin) -> Path:
        ensure_directory(str(self._workspace))
        path = self._workspace / pin.file_name
        self._index.fetch(candidate_of(pin), str(path))
        check_hashes(path, pin.accepted)
        return path

    def _build(self, pin: Pin) -> Path:
        from wheelforge.resolve.supply import Supply

        return Supply(self._index, self._builder, self._chain).build(candidate_of(pin))


def candidate_of(pin: Pin) -> Candidate:
    """Return what ``pin`` was made of, as far as an index needs it to fetch the file."""
    from wheelforge.resolve import supply

    return supply.candidate_of(pin)


def _is_known(pin: Pin) -> bool:
    """Return whether the SHA-256 is known, and is one of those that are accepted if any are."""
    return bool(pin.sha256) and (not pin.accepted or f"sha256:{pin.sha256}" in pin.accepted)


def check_hashes(path: Path, accepted: Sequence[str]) -> None:
    """Refuse a file that has none of the hashes that were stated for it, if any were."""
    algorithms = {text.partition(":")[0] for text in accepted}
    known = {f"{algorithm}:{_hash(path, algorithm)}" for algorithm in algorithms}
    if accepted and not known.intersection(accepted):
        raise RequirementsError("hash-refused", path.name, digest(path), tuple(accepted))


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
