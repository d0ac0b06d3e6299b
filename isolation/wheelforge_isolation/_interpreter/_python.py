"""What one Python is, as it describes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (3, 9)
"""What `packaging` still runs on, which says what a Python's tags are."""
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


def build_interpreter(facts: dict[str, Any]) -> Interpreter:
    """Return the interpreter of whose description ``facts`` is the JSON form."""
    paths = {name: Path(facts[name]) for name in _PATHS}
    tuples = {name: tuple(facts[name]) for name in _TUPLES}
    scheme = Scheme(**facts["scheme"])
    values: dict[str, Any] = {**facts, **paths, **tuples, "scheme": scheme}
    return Interpreter(**values)


def dotted(numbers: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, numbers))
