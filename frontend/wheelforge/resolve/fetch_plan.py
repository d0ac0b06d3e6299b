"""From a resolution to wheels: their keys, and a way to fetch each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors import RequirementsError
from wheelforge_isolation import WheelKey, copy_file, digest, ensure_directory, read_wheel_key
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from wheelforge.index import Candidate, Index
    from wheelforge.resolve.types import Builder, Pin, Resolution


class FetchPlan:
    """The wheels of one resolution, as the store of environments takes them."""

    def __init__(
        self,
        resolution: Resolution,
        index: Index,
        pins: Mapping[WheelKey, Pin],
        paths: Mapping[WheelKey, Path],
    ) -> None:
        self.keys = tuple(pins)
        self.resolution = resolution
        """With the hashes that had to be learned; worth remembering if it differs."""
        self.is_here: Callable[[WheelKey], bool] = lambda _: False
        """Says which wheels need not come when the first one has to be fetched."""
        self._index = index
        self._pins = pins
        self._paths = paths
        self._unasked = [*pins]
        """The wheels of which it is not known yet whether they have to be fetched."""

    def fetch(self, key: WheelKey, path: str) -> None:
        """Write a wheel to ``path``; the first one that is not here has the others come as well."""
        if key in self._paths:
            copy_file(str(self._paths[key]), path)
            return
        waiting = [*self._unasked]
        self._unasked.clear()
        rest = (other for other in waiting if other not in {key, *self._paths})
        self._index.prefetch_files(
            candidate_of(self._pins[other]) for other in rest if not self.is_here(other)
        )
        self._index.fetch(candidate_of(self._pins[key]), path)

    def is_downloaded(self, key: WheelKey) -> bool:
        """Return whether a wheel comes from another machine as it is."""
        return key not in self._paths and local_path(self._pins[key].url) is None


def prepare_wheels(
    resolution: Resolution,
    index: Index,
    builder: Builder | None,
    *,
    workspace: Path,
    chain: tuple[str, ...] = (),
) -> FetchPlan:
    """Return the plan for the wheels of ``resolution``, its sdists built.

    A wheel of which no hash is stated is fetched now, into ``workspace``, to learn it.
    """
    unknown = [pin for pin in resolution.pins if pin.is_wheel and not _is_known(pin)]
    if unknown:
        index.prefetch_files(map(candidate_of, unknown))
    pins: dict[WheelKey, Pin] = {}
    paths: dict[WheelKey, Path] = {}
    for pin in resolution.pins:
        if pin.is_wheel and _is_known(pin):
            key = WheelKey(
                name=pin.name, version=pin.version, file_name=pin.file_name, sha256=pin.sha256
            )
            pins[key] = pin
            continue
        if not pin.is_wheel:
            path = build_sdist(candidate_of(pin), builder, chain)
            key = read_wheel_key(path)
            pins[key] = pin
        else:
            ensure_directory(str(workspace))
            path = workspace / pin.file_name
            index.fetch(candidate_of(pin), str(path))
            check_hashes(path, pin.accepted)
            key = read_wheel_key(path)
            accepted = (f"sha256:{key.sha256}",) if pin.accepted else ()
            pins[key] = pin._replace(sha256=key.sha256, accepted=accepted)
        paths[key] = path
    known = resolution._replace(pins=tuple(pins.values()))
    return FetchPlan(known, index, pins, paths)


def build_sdist(candidate: Candidate, builder: Builder | None, chain: tuple[str, ...]) -> Path:
    """Return a wheel of an sdist, unless that is what ``chain`` is building already."""
    if candidate.name in chain:
        start = chain.index(candidate.name)
        raise RequirementsError("build-cycle", (*chain[start:], candidate.name))
    if builder is None:
        raise RequirementsError("needs-build", candidate.file_name, candidate.origin)
    return builder(candidate)


def candidate_of(pin: Pin) -> Candidate:
    """Return the file of ``pin``, as far as an index needs to know it to fetch it."""
    from wheelforge.index import Candidate
    from wheelforge_isolation.formats.file_names import parse_version

    # Of several hashes that are accepted it is not known which one it has to be.
    stated = dict([pin.accepted[0].split(":", 1)]) if len(pin.accepted) == 1 else {}
    return Candidate(
        name=pin.name,
        version=parse_version(pin.version),
        file_name=pin.file_name,
        url=pin.url,
        hashes={**stated, **({"sha256": pin.sha256} if pin.sha256 else {})},
        is_wheel=pin.is_wheel,
        origin=pin.origin,
    )


def _is_known(pin: Pin) -> bool:
    """Return whether the SHA-256 is known, and is one of those that are accepted if any are."""
    return bool(pin.sha256) and (not pin.accepted or f"sha256:{pin.sha256}" in pin.accepted)


def check_hashes(path: Path, accepted: Sequence[str]) -> None:
    """Refuse a file that has none of the hashes that were stated for it, if any were."""
    known: set[str] = set()
    for algorithm in {text.partition(":")[0] for text in accepted}:
        with path.open("rb") as file:
            known.add(f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}")
    if accepted and known.isdisjoint(accepted):
        raise RequirementsError("hash-refused", path.name, digest(path), tuple(accepted))
