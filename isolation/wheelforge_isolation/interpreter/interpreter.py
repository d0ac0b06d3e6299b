"""The description of one Python interpreter."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (3, 9)
"""The oldest Python that the probe and the hook servers run on."""
_PATHS = ("executable", "prefix", "base_prefix", "base_executable")
_TUPLES = ("version_info", "tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The installation paths of a virtual environment, relative to its root, with slashes."""

    purelib: str
    platlib: str
    scripts: str
    data: str
    headers: str
    """Each distribution has a directory of its own below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python interpreter, as it describes itself."""

    executable: Path
    """As it was found; links are not followed, as the target may be in no virtual environment."""
    implementation: str
    version: str
    version_info: tuple[int, int]
    soabi: str
    extension_suffix: str
    abiflags: str
    is_free_threaded: bool
    is_debug: bool
    platform: str
    tags: tuple[str, ...]
    """The tags of compatible wheels, best first."""
    markers: Mapping[str, str] = field(hash=False)
    prefix: Path
    base_prefix: Path
    base_executable: Path
    """The executable that environments are made from: in no virtual environment, and no link."""
    scheme: Scheme
    identity: str
    """Equal for interpreters whose environments are interchangeable."""
    build_details: Mapping[str, object] | None = field(default=None, hash=False)
    """The ``build-details.json`` of PEP 739, from Python 3.14 on."""

    @property
    def title(self) -> str:
        """Implementation and version, as in ``CPython 3.13.0 (free-threaded)``."""
        implementation = self.markers["platform_python_implementation"]
        threads = " (free-threaded)" if self.is_free_threaded else ""
        return f"{implementation} {self.version}{threads}"


def load_interpreter(fields: dict[str, Any]) -> Interpreter:
    """Return the interpreter with these ``fields``, read from JSON."""
    paths = {name: Path(fields[name]) for name in _PATHS}
    tuples = {name: tuple(fields[name]) for name in _TUPLES}
    scheme = Scheme(**fields["scheme"])
    values: dict[str, Any] = {**fields, **paths, **tuples, "scheme": scheme}
    return Interpreter(**values)


def format_version(numbers: tuple[int, ...]) -> str:
    """Return version numbers joined by dots."""
    return ".".join(map(str, numbers))
