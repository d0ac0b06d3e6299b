"""The values that travel through a build, and what they are handed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from wheelforge.errors import BuildCancelledError, BuildNotStartedError, UsageError
from wheelforge.errors.usage import FieldTypes, check_types
from wheelforge_isolation.formats.urls import file_name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from wheelforge_isolation import ForgeError, Links, Stage, WheelKey


class Kind(Enum):
    """The kinds of result.

    METADATA is core metadata without an artifact: it is in `Outcome.metadata`.
    """

    SDIST = "sdist"
    WHEEL = "wheel"
    EDITABLE = "editable"
    METADATA = "metadata"


class Keep(Enum):
    """When the directory in which something was built stays; a note then says where it is."""

    NEVER = "never"
    FAILED = "failed"
    ALWAYS = "always"


class Era(Enum):
    """Whether an sdist is built with what there was when it was published; FALLBACK: if need be."""

    OFF = "off"
    FALLBACK = "fallback"
    ALWAYS = "always"


class Reuse(Enum):
    """Whose wheels are used again, if nothing has changed; ALL are directories too."""

    OFF = "off"
    SDISTS = "sdists"
    ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """One build as it is asked for; the same object for library and command line.

    Only `source` and `output` have to be given. A request is a value: any number of builds may
    share one. Paths are absolute, as nothing here depends on the working directory.
    """

    source: Path | str
    """A directory or an sdist, absolute; or a requirement or a URL, whose sdist is fetched."""
    output: Path
    """The directory that the artifacts are put into."""
    kinds: tuple[Kind, ...] = ()
    """Unless given: a wheel from an sdist; from a directory an sdist, and a wheel through it."""
    config_settings: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    hashes: tuple[str, ...] = ()
    """If any are given, an sdist must have one of them: each is like ``sha256:1f0c...``."""
    links: Links | None = None
    tree: Path | None = None
    """Where the sdist is unpacked, and stays; what an earlier one of its name left is replaced."""
    python: str | None = None
    """A path, or a version like 3.12; that of the settings unless given."""
    variables: Mapping[str, str] | None = field(default=None, hash=False)
    """All variables of this build's hooks, and where programs are found; else the settings'."""
    constraints: tuple[Path, ...] = ()
    """Files with constraints for what it is built with, besides those of the settings."""
    timeout_seconds: float | None = None
    """For each hook; that of the policy unless given."""
    cutoff: datetime | None = None
    """Build with what there was at this time, whatever the era says."""
    set_versions: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """The versions in the set that it is for, to which overrides match build requirements."""
    stops_early: bool = False
    """Whether nothing is built, as all that matters is what it would be built with."""
    chain: tuple[str, ...] = ()
    """The builds that need this one, outermost first, where it is a build requirement itself."""

    def __post_init__(self) -> None:
        if isinstance(self.source, str) and Path(self.source).is_absolute():
            object.__setattr__(self, "source", Path(self.source))
        check_types(self, _TYPES)
        for path in (self.source, self.output, self.tree, *self.constraints):
            if isinstance(path, Path) and not path.is_absolute():
                raise UsageError("request-invalid", f"`{path}` must be an absolute path")

    @property
    def label(self) -> str:
        """The name of the source in messages."""
        if not isinstance(self.source, str):
            return self.source.name
        if "git+" in self.source:
            from wheelforge_isolation.formats.git_urls import is_git_url, label_git_url

            if is_git_url(self.source):
                return label_git_url(self.source)
        # Of a URL no more than the name of the file, which holds no secrets.
        return file_name_of(self.source) or "source"


_TYPES: FieldTypes = {
    "source": (Path | str, None, "a Path, or the text of a requirement or URL"),
    "output": (Path, None, "a Path"),
    "kinds": (tuple, Kind, "a tuple of Kind"),
    "config_settings": (Mapping, str, "a mapping with texts as keys"),
    "hashes": (tuple, str, "a tuple of texts"),
    "tree": (Path | None, None, "a Path"),
    "python": (str | None, None, "a text"),
    "variables": ((Mapping, type(None)), None, "a mapping"),
    "constraints": (tuple, Path, "a tuple of Path"),
    "timeout_seconds": (float | int | None, None, "a number"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How builds are made, whatever is built; one policy holds for all builds of a forge."""

    keep: Keep = Keep.NEVER
    era: Era = Era.FALLBACK
    timeout_seconds: float | None = None
    source_date_epoch: str | None = None
    """Unless given, that of the sdist."""
    compiler_cache: str = "off"
    """``ccache``, ``sccache``, or ``auto`` for the one that is there."""
    reuse: Reuse = Reuse.SDISTS
    reuse_policy: str = "exact"
    """``frozen``: build requirements are those of the last build. ``abi``: some of them count."""
    rebuild: frozenset[str] = frozenset()
    """Of these, wheels are built in any case: normalised names, or ``:all:``."""
    verify_reuse: float = 0.0
    """The share of wheels to be used again that are built nevertheless, and compared."""
    umask: int = 0o022
    """Of hooks of what is unpacked: backends put modes of files into wheels. Those of a project in
    its own place have the user's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file that was built, checked and delivered: it is whole, and at `path`."""

    kind: Kind
    path: Path
    name: str
    version: str
    size_bytes: int
    sha256: str
    statement: str = ""
    """The SHA-256 of the statement of where it comes from, if there is one."""


class Phase(NamedTuple):
    """A stretch of time in a build."""

    name: str
    started: float
    """Seconds since 1970."""
    seconds: float


class BuildAttempt(NamedTuple):
    """One attempt of a build; there is a second one where other conditions may help."""

    reason: str
    """Empty for the first; ``unforked``: in processes that are not forked; ``era``."""
    era: datetime | None
    phases: tuple[Phase, ...]
    error: ForgeError | None
    log_span: tuple[int, int]
    """Where its part of the log begins and ends, in bytes."""


class Cause(NamedTuple):
    """Why a wheel was built, and not used again; or used, though not all is the same."""

    code: str
    """``first``, ``changed``, ``other-machine``, ``collected``, ``damaged``, ``asked``,
    ``verified``, ``unknown`` or ``remote``; of one that was used ``frozen`` or ``abi``."""
    sentence: str
    place: str = ""
    """The input that has changed first, as ``closure.wheels.setuptools.version``."""
    before: str = ""
    now: str = ""
    follows: tuple[str, ...] = ()
    """Other inputs that differ; they may come of the first one."""


class AppliedOverride(NamedTuple):
    """An entry of overrides that was in force for a build, and the keys of it that were."""

    package: str
    versions: str
    file: Path
    line: int
    keys: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        place = f"`{self.file.name}`, line {self.line}, `{self.package}{self.versions}`"
        return f"{place}: {', '.join(self.keys)} ({self.reason})"


Verdict: TypeAlias = Literal[
    "built", "reused", "resumed", "fetched", "failed", "cancelled", "not-started"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a build has ended.

    `artifacts` are those that were delivered before `error`, if there is one. Everything is
    filled in as far as the build came, so that what failed can be told in full.
    """

    request: BuildRequest
    python: str = ""
    artifacts: tuple[Artifact, ...] = ()
    error: ForgeError | None = None
    """Why there are no more artifacts; nothing if all is well."""
    metadata: bytes = b""
    """The core metadata, if that was what was asked for."""
    sha256: str = ""
    """Of the source, if it is a file."""
    commit: str = ""
    """Of the source, if it is a repository."""
    phases: tuple[Phase, ...] = ()
    wheels: tuple[WheelKey, ...] = ()
    """The wheels that the environments were made of."""
    environments_found: int = 0
    """How many environments were in the cache."""
    environments_made: int = 0
    compiler_hits: int = 0
    """How many compilations were in the compiler cache, if one was wished for."""
    compiler_misses: int = 0
    is_resumed: bool = False
    """Whether the artifacts were there already, so that nothing was built."""
    is_reused: bool = False
    """Whether the wheel is one of an earlier build, with which nothing has changed."""
    is_fetched: bool = False
    """Whether it is a wheel of an index or a directory, as a set needs no more."""
    cause: Cause | None = None
    """Why it was built, if wheels of earlier builds are used again; or the policy that let it."""
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """Those of the notes that no event has told: they are about the outcome."""
    era: datetime | None = None
    """As of when the requirements were resolved, if not as of now."""
    overrides: tuple[AppliedOverride, ...] = ()
    """The entries that were in force for it."""
    peak_bytes: int = 0
    """The most memory that a hook's process had; 0: not known."""
    cpu_seconds: float = 0.0
    sandbox: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    """That of its hooks: `level`, `rung`, the `reasons` why it is no higher one, `network`."""
    log: Path | None = None
    id: str = ""
    backend: str = ""
    """As the project calls it: ``setuptools.build_meta``."""
    attempts: tuple[BuildAttempt, ...] = ()
    needs: tuple[str, ...] = ()
    """The ids of the builds of the same batch whose wheels it was built with."""
    waits: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    """Seconds: in the queue for a ``dependency``, ``memory``, a ``slot``; later for a ``token``."""

    @property
    def verdict(self) -> Verdict:
        """How it ended, in a word; `resumed`: the artifacts were there already."""
        if self.error is None:
            if self.is_resumed or self.is_fetched:
                return "resumed" if self.is_resumed else "fetched"
            return "reused" if self.is_reused else "built"
        if isinstance(self.error, BuildNotStartedError):
            return "not-started"
        return "cancelled" if self.error.exit_code == BuildCancelledError.exit_code else "failed"

    def summarize(self, error: ForgeError) -> str:
        """Return ``error`` in one line that does not name the source."""
        text: str = getattr(error, "summary", None) or str(error)
        return text.partition("\n")[0].removeprefix(f"`{self.request.label}`: ")

    @property
    def whole(self) -> Phase | None:
        """The phase that is the build itself, if it was begun."""
        return next((phase for phase in self.phases if not phase.name), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentRequest:
    """The environment that a build wants; a provider is given it.

    A build asks twice if the backend says that it requires more: the second request has the
    requirements of the first as well. The rest is as in the `BuildRequest`.
    """

    requirements: tuple[str, ...]
    label: str
    sha256: str = ""
    commit: str = ""
    chain: tuple[str, ...] = ()
    python: str | None = None
    constraints: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """All variables of the build: its hooks find programs by their PATH."""
    set_versions: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    cutoff: datetime | None = None
    """Files published later do not exist, unless nothing else would do."""
    replacements: tuple[str, ...] = ()
    """Requirements in the place of all of the same names, wherever these come from."""
    excluded: tuple[str, ...] = ()
    """Names of which nothing is required, whatever says so."""
    overrides: tuple[AppliedOverride, ...] = ()
    """The entries of overrides that are in force for the source."""


class BuildEnvironment(Protocol):
    """Where hooks run; everything that pypa/build calls an isolated environment is one."""

    @property
    def python_executable(self) -> str:
        """The Python that runs them."""
        ...

    def make_extra_environ(self) -> Mapping[str, str] | None:
        """Return the variables that they need."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedEnvironment:
    """An environment, and what it was made of: a provider returns it.

    Only `environment` has to be given: anything with `python_executable` and
    `make_extra_environ`, as pypa/build has it. The rest is passed on in the outcome.
    """

    environment: BuildEnvironment
    wheels: tuple[WheelKey, ...] = ()
    notes: tuple[str, ...] = ()
    is_new: bool = True
    """Whether it was made for this, and not found in a cache."""
    is_lasting: bool = False
    """Whether nobody changes it, so that what was imported from it serves other builds too."""


class EnvironmentProvider(Protocol):
    """Makes environments; any number of threads may ask at once.

    What it raises ends the build: a `ForgeError` becomes the outcome's error, anything else comes
    out of the forge as it is. It owns what it returns, which is in use until the forge is closed.
    """

    def prepare(self, request: EnvironmentRequest, build: Builder) -> PreparedEnvironment:
        """Return an environment with all that is needed; ``build`` makes wheels of sdists."""
        ...


class Runner(Protocol):
    """Runs one hook in a process of its own; what `pyproject_hooks` calls a runner.

    The process gets the variables of `compose_environment(terms.base, extra_environ)`. A runner
    returns when the hook has ended well, and raises otherwise.
    """

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
