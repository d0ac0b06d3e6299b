"""What a resolution becomes: keys of wheels, and a way to have each of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wheelforge.errors import HashRefusedError
from wheelforge_isolation import WheelKey, copy_file, ensure_directory, read_wheel_key
from wheelforge_isolation.values import Value, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from wheelforge._resolve._question import Pin, Resolution
    from wheelforge._resolve._supply import Builder, IndexLike

    IsHere = Callable[[WheelKey], bool]


class Delivery(Value):
    """The wheels of one resolution, as the store of environments takes them."""

    keys: tuple[WheelKey, ...]
    resolution: Resolution
    """With the hashes that had to be learned; worth remembering if it differs."""
    index: IndexLike
    is_here: IsHere = field(default=lambda _: False, repr=False)
    """Says which wheels need not come when the first one has to be fetched."""
    _pins: Mapping[WheelKey, Pin] = field(repr=False)
    _paths: Mapping[WheelKey, Path] = field(repr=False)
    _unasked: list[WheelKey] = field(repr=False)
    """Of which nobody knows yet whether they have to be fetched."""

    def fetch(self, key: WheelKey, path: str) -> None:
        """Write the wheel that is meant to ``path``."""
        if key in self._paths:
            copy_file(str(self._paths[key]), path)
            return
        from wheelforge._resolve._supply import candidate_of

        self._expect_rest(key)
        self.index.fetch(candidate_of(self._pins[key]), path)

    def _expect_rest(self, key: WheelKey) -> None:
        """Have the other wheels come as well, if this is the first that is not there."""
        from wheelforge._resolve._supply import candidate_of

        waiting = [*self._unasked]
        self._unasked.clear()
        rest = (other for other in waiting if other not in {key, *self._paths})
        self.index.prefetch_files(
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
    counter = _Counter(index, builder, workspace, chain)
    counter.expect(resolution.pins)
    for pin in resolution.pins:
        counter.take(pin)
    return Delivery(
        keys=tuple(counter.pins),
        resolution=replace(resolution, pins=tuple(counter.pins.values())),
        index=index,
        _pins=counter.pins,
        _paths=counter.paths,
        _unasked=[*counter.pins],
    )


class _Counter:
    """Takes pins, and has the key of each."""

    def __init__(
        self, index: IndexLike, builder: Builder | None, workspace: Path, chain: tuple[str, ...]
    ) -> None:
        self.pins: dict[WheelKey, Pin] = {}
        self.paths: dict[WheelKey, Path] = {}
        self._sources = (index, builder, chain)
        self._workspace = workspace

    def expect(self, pins: Iterable[Pin]) -> None:
        """Have what must be fetched to be known come at the same time."""
        unknown = [pin for pin in pins if pin.is_wheel and not _is_known(pin)]
        if unknown:
            from wheelforge._resolve._supply import candidate_of

            self._sources[0].prefetch_files(map(candidate_of, unknown))

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
            pin = replace(pin, sha256=key.sha256, accepted=accepted)
        self.pins[key] = pin

    def _fetch(self, pin: Pin) -> Path:
        from wheelforge._resolve._supply import candidate_of

        ensure_directory(str(self._workspace))
        path = self._workspace / pin.file_name
        self._sources[0].fetch(candidate_of(pin), str(path))
        _check(pin, path)
        return path

    def _build(self, pin: Pin) -> Path:
        from wheelforge._resolve._supply import Supply, candidate_of

        return Supply(*self._sources).build(candidate_of(pin))


def _is_known(pin: Pin) -> bool:
    """Return whether the SHA-256 is known, and is one of those that are accepted if any are."""
    return bool(pin.sha256) and (not pin.accepted or f"sha256:{pin.sha256}" in pin.accepted)


def _check(pin: Pin, path: Path) -> None:
    """Refuse a file that has none of the hashes that were stated for it."""
    content = path.read_bytes()
    known = {
        f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        for algorithm in {text.partition(":")[0] for text in pin.accepted}
    }
    if pin.accepted and not known.intersection(pin.accepted):
        raise HashRefusedError(pin.file_name, hashlib.sha256(content).hexdigest(), pin.accepted)
