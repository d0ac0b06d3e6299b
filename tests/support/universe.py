"""An index in memory: files with what they ask for, and everything that can be odd about them."""

import hashlib
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

from wheelforge.errors import BuildError, PackageNotFoundError
from wheelforge.index import Candidate, Index, IndexSettings, Metadata
from wheelforge.index.candidates import OTHER_NAME, Candidates, Selector, merge
from wheelforge.index.pages import Listed
from wheelforge.resolve import Resolution, ResolutionRequest, resolve
from wheelforge_isolation import Interpreter
from wheelforge_isolation.interpreter import Scheme

ORIGIN = "https://index.test/simple"
TAGS = ("cp311-cp311-linux_x86_64", "cp311-abi3-linux_x86_64", "py3-none-linux_x86_64")
PYTHON = Interpreter(
    executable=Path("/python/bin/python"),
    implementation="cpython",
    version="3.11.4",
    version_info=(3, 11),
    soabi="cpython-311",
    extension_suffix=".so",
    abiflags="",
    is_free_threaded=False,
    is_debug=False,
    platform="linux-x86_64",
    tags=(*TAGS, "py311-none-any", "py3-none-any"),
    markers={
        "implementation_name": "cpython",
        "implementation_version": "3.11.4",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "6.1",
        "platform_system": "Linux",
        "platform_version": "1",
        "python_full_version": "3.11.4",
        "python_version": "3.11",
        "sys_platform": "linux",
    },
    prefix=Path("/python"),
    base_prefix=Path("/python"),
    base_executable=Path("/python/bin/python"),
    scheme=Scheme(purelib="lib", platlib="lib", scripts="bin", data="data", headers="include"),
    identity="0123456789abcdef",
)


class Oddities(TypedDict):
    """Optional properties of a file."""

    tag: NotRequired[str]
    python: NotRequired[str]
    """The `Requires-Python` of its index page."""
    python_inside: NotRequired[str]
    yanked: NotRequired[str]
    uploaded: NotRequired[datetime]
    extras: NotRequired[tuple[str, ...]]
    hashes: NotRequired[Mapping[str, str]]
    is_sdist: NotRequired[bool]


class Terms(TypedDict, total=False):
    """The rest of a request."""

    python: Interpreter
    index_identity: str
    constraints: tuple[str, ...]
    hashes: Mapping[str, tuple[str, ...]]
    require_hashes: bool
    exclude_newer: datetime
    oldest: bool
    subject: str
    chain: tuple[str, ...]


def content_of(file_name: str) -> bytes:
    return f"content of {file_name}".encode()


def sha256_of(file_name: str) -> str:
    return hashlib.sha256(content_of(file_name)).hexdigest()


@dataclass(slots=True, kw_only=True)
class Universe(Index):
    """Everything there is; it can be asked in place of an index."""

    files: list[Listed] = field(default_factory=list[Listed])
    python: Interpreter = PYTHON
    metadata: dict[str, Metadata] = field(default_factory=dict[str, Metadata])
    built: list[str] = field(default_factory=list[str])
    fetched: list[str] = field(default_factory=list[str])
    workshop: Path = Path("/nowhere")
    """Where wheels are built."""
    seed: int | None = None
    """Files are listed in an order that depends on it."""

    def add(self, name: str, version: str, *requires: str, **oddities: Unpack[Oddities]) -> str:
        """Add a file that asks for ``requires``; return its name."""
        stem = f"{name.replace('-', '_')}-{version}"
        is_sdist = oddities.get("is_sdist", False)
        wheel_name = f"{stem}-{oddities.get('tag', 'py3-none-any')}.whl"
        file_name = f"{stem}.tar.gz" if is_sdist else wheel_name
        hashes = oddities.get("hashes", {"sha256": sha256_of(file_name)})
        self.files.append(
            Listed(
                url=f"{ORIGIN}/files/{file_name}",
                file_name=file_name,
                hashes=hashes,
                requires_python=oddities.get("python", ""),
                yanked=oddities.get("yanked"),
                uploaded=str(oddities.get("uploaded", "")),
                metadata_hashes=None,
            )
        )
        self.metadata[wheel_name] = Metadata(
            requires=requires,
            requires_python=oddities.get("python_inside", ""),
            extras=frozenset(oddities.get("extras", ())),
        )
        return file_name

    def add_many(self, name: str, *versions: str) -> None:
        """Add wheels that ask for nothing."""
        for version in versions:
            self.add(name, version)

    def add_lines(self, *lines: str) -> None:
        """Add wheels, each as in ``a 1.0: b>=2 | c; extra == 'x'``."""
        for line in lines:
            file, _, requires = line.partition(": ")
            extras = tuple(re.findall(r"extra == '(\\w+)'", requires))
            self.add(*file.split(), *filter(None, requires.split(" | ")), extras=extras)

    def put(self, directory: Path, name: str, version: str, *requires: str) -> str:
        """Write a wheel that no index knows; return its URL."""
        file_name = self.add(name, version, *requires)
        self.files.pop()
        path = directory / file_name
        path.write_bytes(content_of(file_name))
        return path.as_uri()

    # The index

    def find(self, name: str) -> Candidates:
        files = list(self.files)
        if self.seed is not None:
            random.Random(self.seed).shuffle(files)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
        found = Selector(IndexSettings(), self.python.tags).select(name, files, ORIGIN)
        del found.left_out[OTHER_NAME]
        if not (found.usable or found.elsewhere):
            raise PackageNotFoundError(name, (ORIGIN,), ())
        return merge([found])

    def prefetch(self, names: Iterable[str]) -> None:
        assert "" not in set(names)

    def prefetch_metadata(self, candidates: Iterable[Candidate]) -> None:
        assert all(candidate.name for candidate in candidates)

    def prefetch_files(self, candidates: Iterable[Candidate]) -> None:
        assert all(candidate.is_wheel for candidate in candidates)

    def read_metadata(self, candidate: Candidate) -> Metadata:
        assert candidate.is_wheel
        return self.metadata[candidate.file_name]

    def fetch(self, candidate: Candidate, path: str) -> None:
        self.fetched.append(candidate.file_name)
        Path(path).write_bytes(content_of(candidate.file_name))

    # The builder

    def build(self, candidate: Candidate) -> Path:
        """Return the wheel that belongs to an sdist."""
        self.built.append(candidate.file_name)
        stem = candidate.file_name.removesuffix(".tar.gz")
        path = self.workshop / f"{stem}-py3-none-any.whl"
        path.write_bytes(content_of(path.name))
        return path

    # Resolving

    def resolve(
        self, *requirements: str, build: bool = False, **terms: Unpack[Terms]
    ) -> Resolution:
        """Resolve ``requirements``; ``terms`` are the rest of the request."""
        self.python = terms.get("python", PYTHON)
        return resolve(ask(*requirements, **terms), self, self.build if build else None)

    def pins(self, *requirements: str, build: bool = False, **terms: Unpack[Terms]) -> list[str]:
        """Return what is pinned, as ``name version``."""
        pins = self.resolve(*requirements, build=build, **terms).pins
        return [f"{pin.name} {pin.version}" for pin in pins]

    def files_of(
        self, *requirements: str, build: bool = False, **terms: Unpack[Terms]
    ) -> list[str]:
        """Return the names of the files that are pinned."""
        return [pin.file_name for pin in self.resolve(*requirements, build=build, **terms).pins]

    def refuse(self, *requirements: str, build: bool = False, **terms: Unpack[Terms]) -> BuildError:
        """Return the reason why ``requirements`` cannot be resolved."""
        try:
            resolution = self.resolve(*requirements, build=build, **terms)
        except BuildError as error:
            return error
        raise AssertionError(resolution)


def ask(*requirements: str, **terms: Unpack[Terms]) -> ResolutionRequest:
    given: Terms = {"python": PYTHON, **terms}
    return ResolutionRequest(requirements=requirements, **given)
