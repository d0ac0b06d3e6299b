"""Where candidates, metadata and files come from: an index, a builder, a URL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wheelforge.errors import RequirementInvalidError, RequirementsError
from wheelforge.index import Candidate
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_version, parse_wheel_name
from wheelforge_isolation.formats.urls import (
    FETCHED_SCHEMES,
    check_url,
    file_name_of,
    fragment_of,
    local_path,
    redact,
    scheme_of,
    without_fragment,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.version import Version

    from wheelforge.index import Metadata
    from wheelforge.index.candidates import Candidates
    from wheelforge.resolve.types import Pin

    Builder = Callable[[Candidate], Path]

_ALGORITHMS = {"sha256", "sha384", "sha512"}
_UNKNOWN = parse_version("0")


class IndexLike(Protocol):
    """What knows which files there are, and has them; a ``file:`` URL is among what it reads."""

    def find(self, name: str) -> Candidates:
        """Return the files of the project ``name``; an error where it is not known."""
        ...

    def prefetch(self, names: Iterable[str]) -> None:
        """Expect to be asked about ``names``."""
        ...

    def prefetch_metadata(self, candidates: Iterable[Candidate]) -> None:
        """Expect to be asked about ``candidates``."""
        ...

    def prefetch_files(self, candidates: Iterable[Candidate]) -> None:
        """Expect to be asked for the files of ``candidates``."""
        ...

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return what a wheel says of itself."""
        ...

    def fetch(self, candidate: Candidate, path: str) -> None:
        """Write the file to ``path``."""
        ...


class Supply:
    """An index, and a builder of what has no wheel; each file is built once."""

    def __init__(
        self, index: IndexLike, builder: Builder | None, chain: tuple[str, ...] = ()
    ) -> None:
        self.index = index
        self._builder = builder
        self._chain = chain
        self._built: dict[str, Path] = {}

    @property
    def can_build(self) -> bool:
        """Whether an sdist is of any use."""
        return self._builder is not None

    def build(self, candidate: Candidate) -> Path:
        """Return a wheel of the sdist ``candidate``."""
        if candidate.url in self._built:
            return self._built[candidate.url]
        if candidate.name in self._chain:
            start = self._chain.index(candidate.name)
            raise RequirementsError("build-cycle", (*self._chain[start:], candidate.name))
        if self._builder is None:
            raise RequirementsError("needs-build", candidate.file_name, candidate.origin)
        self._built[candidate.url] = self._builder(candidate)
        return self._built[candidate.url]

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return what a wheel says of itself, or the wheel that is built of an sdist.

        ValueError where what was built is not what was to be built.
        """
        if not candidate.is_wheel:
            built = wheel_at(self.build(candidate))
            if (built.name, built.version) != (candidate.name, candidate.version):
                raise ValueError(f"what is built of it is `{built.file_name}`")
            candidate = built
        return self.index.read_metadata(candidate)

    def complete(self, located: Candidate) -> Candidate:
        """Return what is at a URL with its version; ValueError where it is called otherwise."""
        file_name = located.file_name
        if not located.is_wheel:
            file_name = self.build(located).name
        name, version = _read_name(file_name)
        if name != located.name:
            raise ValueError(f"what is there is `{name}`")
        return replace(located, version=version)


def wheel_at(path: Path) -> Candidate:
    """Return the wheel in the file ``path`` as a candidate."""
    name, version = _read_name(path.name)
    return Candidate(
        name=name,
        version=version,
        file_name=path.name,
        url=path.as_uri(),
        hashes={},
        is_wheel=True,
    )


def candidate_of(pin: Pin) -> Candidate:
    """Return what ``pin`` was made of, as far as is needed to have it."""
    # Of several that are accepted nobody can say which one it has to be.
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


def _read_name(file_name: str) -> tuple[str, Version]:
    wheel = parse_wheel_name(file_name)
    return wheel.name, wheel.version


def _judge_url(url: str) -> str:
    """Return why a URL is of no use, or nothing."""
    try:
        check_url(url)
    except FormatError as error:
        return str(error)
    if scheme_of(url) not in FETCHED_SCHEMES:
        return "only `https:`, `http:` and `file:` URLs are"
    path = local_path(url)
    if path is not None and not Path(path).exists():
        return f"there is no `{path}`"
    return "" if file_name_of(url) else "it does not end with the name of a file"


def locate(name: str, url: str, whose: str) -> Candidate:
    """Return what is at ``url``, without its version, as far as that can be said unseen."""
    problem = _judge_url(url)
    if problem:
        raise RequirementInvalidError(f"{name} @ {redact(url)}", whose, problem)
    bare, file_name = without_fragment(url), file_name_of(url)
    return Candidate(
        name=name,
        version=_UNKNOWN,
        file_name=file_name,
        # The rest of the fragment, such as a subdirectory, is for whoever builds it.
        url=bare if file_name.endswith(".whl") else url,
        hashes={
            key: value.lower() for key, value in fragment_of(url).items() if key in _ALGORITHMS
        },
        is_wheel=file_name.endswith(".whl"),
        origin=without_secrets(bare),
    )
