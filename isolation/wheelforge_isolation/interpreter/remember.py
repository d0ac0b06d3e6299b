"""Stored descriptions of interpreters, each valid as long as everything it depends on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wheelforge_isolation.errors import IsolationError
from wheelforge_isolation.files import fs
from wheelforge_isolation.formats.sealed import seal_json, unseal_json

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_SETTINGS = "pyvenv.cfg"
_FORMAT = 2
_NAME_LENGTH = 32


def describe_dependencies(executable: str) -> str:
    """Return everything that the description of ``executable`` depends on, without running it."""
    directory = os.path.dirname(executable)
    homes = (directory, os.path.dirname(directory))
    settings = [stamp(os.path.join(home, _SETTINGS)) for home in homes]
    files = (executable, os.path.realpath(executable), stamp(executable), settings)
    return ascii((_FORMAT, files, _describe_system(), _digest_code()))


def _describe_system() -> object:
    """Return the part of tags and markers that the system decides."""
    if sys.platform == "win32":
        return tuple(sys.getwindowsversion())
    library = None
    with contextlib.suppress(ValueError, OSError):
        library = os.confstr("CS_GNU_LIBC_VERSION")
    system = os.uname()
    return library, system.sysname, system.release, system.version, system.machine


@functools.cache
def _digest_code() -> str:
    """Return a digest of the code that makes descriptions."""
    from importlib.util import find_spec

    # `packaging` is found without importing it, which takes longer than all the rest. Contents
    # are compared, not paths, because several installations may share one directory.
    packaging = cast("ModuleSpec", find_spec("packaging")).origin or ""
    own = [os.path.join(os.path.dirname(__file__), name) for name in ("probe.py", "tags.py")]
    contents = (Path(path).read_bytes() for path in (packaging, *own))
    return hashlib.sha256(b"".join(contents)).hexdigest()


def stamp(path: str) -> list[int]:
    """Return size and time of the file ``path``, or nothing if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def load_description(directory: str, executable: str, dependencies: str) -> dict[str, Any] | None:
    """Return the stored description of ``executable`` if its ``dependencies`` are the same."""
    try:
        content = Path(_name_file(directory, executable)).read_bytes()
    except OSError:
        return None
    fields: dict[str, Any] | None = unseal_json(content, dependencies)
    if fields is None or fields.pop("base_stamp") != stamp(fields["base_executable"]):
        return None
    return fields


def store_description(
    directory: str, executable: str, dependencies: str, fields: dict[str, Any]
) -> None:
    """Store the description of ``executable``, unless ``directory`` cannot be written to."""
    from wheelforge_isolation.files.atomic import replace_file

    fields = {**fields, "base_stamp": stamp(fields["base_executable"])}
    with contextlib.suppress(IsolationError):
        fs.ensure_directory(directory)
        replace_file(_name_file(directory, executable), seal_json(fields, dependencies))


def _name_file(directory: str, executable: str) -> str:
    name = hashlib.sha256(os.fsencode(executable)).hexdigest()[:_NAME_LENGTH]
    return os.path.join(directory, f"{name}.json")
