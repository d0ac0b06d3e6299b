"""The values that travel through a build, and what they are handed to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from wheelforge_isolation import ForgeError, Links, Stage, WheelKey


class Kind(Enum):
    """What can be built."""

    SDIST = "sdist"
    WHEEL = "wheel"
    EDITABLE = "editable"
    METADATA = "metadata"


class Keep(Enum):
    """When the directory in which something was built stays."""

    NEVER = "never"
    FAILED = "failed"
    ALWAYS = "always"


class Era(Enum):
    """Whether an sdist is built with what there was when it was published."""

    OFF = "off"
    FALLBACK = "fallback"
    """If it cannot be built with what there is today."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What one caller wants built; the same object for library and command line."""

    source: Path | str
    """A directory or an sdist, absolute; or a requirement or a URL, whose sdist is fetched."""
    output: Path
    """Where the artifacts go."""
    kinds: tuple[Kind, ...] = ()
    """Unless given: a wheel from an sdist; from a directory an sdist, and a wheel through it."""
    config_settings: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    """For the backend."""
    links: Links | None = None
    tree: Path | None = None
    """Where the sdist is unpacked, and stays; absent or empty."""
    cutoff: datetime | None = None
    """Build with what there was at this time, whatever the era says."""
    stops_early: bool = False
    """Whether nothing is built, as all that matters is what it would be built with."""
    chain: tuple[str, ...] = ()
    """What this is built for, outermost first, where it is a build requirement itself."""

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return self.source if isinstance(self.source, str) else self.source.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How builds are made, whatever is built."""

    keep: Keep = Keep.NEVER
    era: Era = Era.FALLBACK
    timeout_seconds: float | None = None
    """For each hook."""
    source_date_epoch: str | None = None
    """Unless given, that of the sdist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that was built and delivered."""

    kind: Kind
    path: Path
    name: str
    version: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of time in a build."""

    name: str
    started: float
    """Seconds since 1970."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a build has ended."""

    request: BuildRequest
    python: str = ""
    """The version that it was built with."""
    artifacts: tuple[Artifact, ...] = ()
    error: ForgeError | None = None
    """Why there are no more artifacts; nothing if all is well."""
    metadata: bytes = b""
    """The core metadata, if that was what was asked for."""
    sha256: str = ""
    """Of the source, if it is a file."""
    phases: tuple[Phase, ...] = ()
    wheels: tuple[WheelKey, ...] = ()
    """What the environments were made of."""
    environments_found: int = 0
    """How many environments were in the cache."""
    environments_made: int = 0
    is_resumed: bool = False
    """Whether the artifacts were there already, so that nothing was built."""
    notes: tuple[str, ...] = ()
    era: datetime | None = None
    """As of when the requirements were resolved, if not as of now."""
    peak_bytes: int = 0
    """The most memory that a hook's process had; 0: not known."""
    cpu_seconds: float = 0.0
    log: Path | None = None
    """What the backend printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What has to be there before a backend can be asked for anything."""

    requirements: tuple[str, ...]
    label: str
    """Whose they are."""
    sha256: str = ""
    """Of the sdist whose they are."""
    chain: tuple[str, ...] = ()
    cutoff: datetime | None = None
    """What was published later does not exist, unless nothing else would do."""


class BuildEnvironment(Protocol):
    """Where hooks run; everything that pypa/build calls an isolated environment is one."""

    @property
    def python_executable(self) -> str:
        """The Python that runs them."""
        ...

    def make_extra_environ(self) -> Mapping[str, str] | None:
        """Return the variables that they need."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """An environment, and what it was made of."""

    environment: BuildEnvironment
    wheels: tuple[WheelKey, ...] = ()
    notes: tuple[str, ...] = ()
    is_new: bool = True
    """Whether it was made for this, and not found in a cache."""


class Provider(Protocol):
    """Makes environments; any number of threads may ask at once."""

    def provide(self, need: Need, build: Builder) -> Provision:
        """Return an environment with all that is needed; ``build`` makes wheels of sdists."""
        ...


class Runner(Protocol):
    """Runs one hook in a process of its own; what `pyproject_hooks` calls a runner."""

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run ``cmd``; an error unless it ends well."""
        ...


if TYPE_CHECKING:
    Builder = Callable[[BuildRequest], Outcome]
    Staging = Callable[[str], AbstractContextManager[Stage]]
