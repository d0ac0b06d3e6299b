"""What Pythons said of themselves, each answer under a seal that covers all it depends on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wheelforge_isolation import _fs
from wheelforge_isolation.errors import IsolationError

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

PROBE = os.path.join(os.path.dirname(__file__), "_probe.py")
_TAGS = os.path.join(os.path.dirname(__file__), "_tags.py")
_SETTINGS = "pyvenv.cfg"
_FORMAT = 2
_NAME_LENGTH = 32


def describe_ground(executable: str) -> str:
    """Return all that what is known of ``executable`` depends on, short of asking it."""
    directory = os.path.dirname(executable)
    homes = (directory, os.path.dirname(directory))
    settings = [stamp(os.path.join(home, _SETTINGS)) for home in homes]
    files = (executable, os.path.realpath(executable), stamp(executable), settings)
    return ascii((_FORMAT, files, _describe_system(), _digest_authors()))


def _describe_system() -> object:
    """Return what tags and markers depend on and no Python carries with it."""
    if sys.platform == "win32":
        return tuple(sys.getwindowsversion())
    library = None
    with contextlib.suppress(ValueError, OSError):
        library = os.confstr("CS_GNU_LIBC_VERSION")
    system = os.uname()
    return library, system.sysname, system.release, system.version, system.machine


def _find_packaging() -> str:
    """Return where our `packaging` begins, without importing it: that takes far too long."""
    from importlib.util import find_spec

    return cast("ModuleSpec", find_spec("packaging")).origin or ""


@functools.cache
def _digest_authors() -> str:
    """Return what tells apart the releases of those that work an answer out."""
    # Contents, not paths: several installations may share one memory.
    contents = (Path(path).read_bytes() for path in (_find_packaging(), _TAGS, PROBE))
    return hashlib.sha256(b"".join(contents)).hexdigest()


def stamp(path: str) -> list[int]:
    """Return what changes when the file ``path`` does, or nothing where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _sealed(ground: str, body: bytes) -> bytes:
    """Return a record of ``body``, which holds as long as ``ground`` does."""
    digest = hashlib.sha256(ground.encode("ascii") + body).hexdigest()
    return b'{"seal":"%b","answer":%b}' % (digest.encode("ascii"), body)


_BODY_START = len(_sealed("", b"")) - 1


def recall(directory: str, executable: str, ground: str) -> dict[str, Any] | None:
    """Return what ``executable`` said, if that holds on the same ``ground``."""
    try:
        content = Path(_find_record(directory, executable)).read_bytes()
    except OSError:
        return None
    body = content[_BODY_START:-1]
    if content != _sealed(ground, body):
        return None
    facts: dict[str, Any] = json.loads(body)
    is_current = facts.pop("base_stamp") == stamp(facts["base_executable"])
    return facts if is_current else None


def remember(directory: str, executable: str, ground: str, facts: dict[str, Any]) -> None:
    """Remember what ``executable`` said; who may not write does not, and is none the worse."""
    from wheelforge_isolation._drafts import replace_file

    facts = {**facts, "base_stamp": stamp(facts["base_executable"])}
    content = _sealed(ground, json.dumps(facts).encode("ascii"))
    with contextlib.suppress(IsolationError):
        _fs.ensure_directory(directory)
        replace_file(_find_record(directory, executable), content)


def _find_record(directory: str, executable: str) -> str:
    name = hashlib.sha256(os.fsencode(executable)).hexdigest()[:_NAME_LENGTH]
    return os.path.join(directory, f"{name}.json")
