"""What one Python is, as it describes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (3, 9)
"""The oldest Python that the probe and the servers of hooks are made for."""
_PATHS = ("executable", "prefix", "base_prefix", "base_executable")
_TUPLES = ("version_info", "tags")


class Scheme(Value):
    """Where a virtual environment keeps things, relative to its root, with forward slashes."""

    purelib: str
    platlib: str
    scripts: str
    data: str
    headers: str
    """Each distribution has a directory of its own below it."""


class Interpreter(Value):
    """One Python, as it describes itself."""

    executable: Path
    """As it was found: what it links to may be in no virtual environment."""
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
    """Of the wheels it takes, best first."""
    markers: Mapping[str, str] = field(hash=False)
    prefix: Path
    base_prefix: Path
    base_executable: Path
    """In no virtual environment, and no link; what environments are made from."""
    scheme: Scheme
    identity: str
    """Equal for those whose environments are interchangeable."""
    build_details: Mapping[str, object] | None = field(default=None, hash=False)
    """The ``build-details.json`` of PEP 739, from Python 3.14 on."""


def build_interpreter(fields: dict[str, Any]) -> Interpreter:
    """Return the interpreter of which ``fields`` is the JSON form."""
    paths = {name: Path(fields[name]) for name in _PATHS}
    tuples = {name: tuple(fields[name]) for name in _TUPLES}
    scheme = Scheme(**fields["scheme"])
    values: dict[str, Any] = {**fields, **paths, **tuples, "scheme": scheme}
    return Interpreter(**values)


def dotted(numbers: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, numbers))
