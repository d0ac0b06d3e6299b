"""Interpreters, as they describe themselves: in a stored description, or in answer to the probe."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from wheelforge_isolation.errors import InterpreterTooOldError, InterpreterUnusableError, quoted
from wheelforge_isolation.files.atomic import JsonCache

if TYPE_CHECKING:
    import subprocess
    from importlib.machinery import ModuleSpec

OLDEST = (3, 9)
"""The oldest Python that the probe and the hook servers run on."""
TIMEOUT_SECONDS = 30.0
_ON_WINDOWS = os.name == "nt"
_FORMAT = 2
_SETTINGS = "pyvenv.cfg"
_IDENTITY_LENGTH = 16
_MAX_OUTPUT_BYTES = 1 << 20
_PATHS = ("executable", "prefix", "base_prefix", "base_executable", "include")
_REPORTED = (
    *(*_PATHS, "scheme", "implementation", "version", "version_info", "soabi"),
    *("extension_suffix", "abiflags", "is_free_threaded", "is_debug", "platform", "markers"),
    "build_details",
)
"""The fields of an interpreter that are facts as the probe has reported them."""
_IDENTIFYING = ("build", "implementation", "soabi", "extension_suffix", "platform")
_STEERING = ("PYTHON", "_PYTHON", "__PYVENV", "MACOSX_DEPLOYMENT_TARGET", "ARCHFLAGS")
"""Prefixes of the variables that change what a Python reports."""
_PROBE = os.path.join(os.path.dirname(__file__), "probe.py")
_MARK = "wheelforge-probe:"
# Python 2 understands this too, so that an old version can be reported. The working directory is
# taken off the path: it belongs to a project, which may have a json.py.
_START = f"""
import sys
sys.path[:] = [entry for entry in sys.path if entry]
if sys.version_info < {OLDEST}:
    print('\\n{_MARK}{{"version": "' + ".".join(map(str, sys.version_info[:3])) + '"}}')
else:
    with open(sys.argv[1], "rb") as script:
        exec(compile(script.read(), sys.argv[1], "exec"))
"""
# The parts of `-I`, which Python 2 does not know; -B because the interpreter may be anybody's.
_FLAGS = ("-E", "-s", "-S", "-B", "-c", _START, _PROBE, _MARK)


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
    include: Path = Path()
    """Where its headers are, if it has any."""
    build_details: Mapping[str, object] | None = field(default=None, hash=False)
    """The ``build-details.json`` of PEP 739, from Python 3.14 on."""

    @property
    def title(self) -> str:
        """Implementation and version, as in ``CPython 3.13.0 (free-threaded)``."""
        implementation = self.markers["platform_python_implementation"]
        threads = " (free-threaded)" if self.is_free_threaded else ""
        return f"{implementation} {self.version}{threads}"


def format_version(numbers: tuple[int, ...]) -> str:
    """Return version numbers joined by dots."""
    return ".".join(map(str, numbers))


def inspect_interpreter(
    executable: str, cache_dir: str, environment: Mapping[str, str], timeout_seconds: float
) -> Interpreter:
    """Return the description of ``executable``."""
    dependencies = _describe_dependencies(executable)
    stored = JsonCache(Path(cache_dir), "python")
    fields = stored.read(dependencies)
    if fields is None or fields.pop("base_stamp") != _stamp(fields["base_executable"]):
        fields = _describe(_probe(executable, environment, timeout_seconds))
        if fields["executable"] == executable:
            stamped = {**fields, "base_stamp": _stamp(fields["base_executable"])}
            stored.write(stamped, dependencies)
    values: dict[str, Any] = {
        **fields,
        **{name: Path(fields[name]) for name in _PATHS},
        "version_info": tuple(fields["version_info"]),
        "tags": tuple(fields["tags"]),
        "scheme": Scheme(**fields["scheme"]),
    }
    return Interpreter(**values)


def _describe_dependencies(executable: str) -> str:
    """Return everything that the description of ``executable`` depends on, without running it."""
    directory = os.path.dirname(executable)
    homes = (directory, os.path.dirname(directory))
    settings = [_stamp(os.path.join(home, _SETTINGS)) for home in homes]
    files = (executable, os.path.realpath(executable), _stamp(executable), settings)
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
    from importlib.util import find_spec

    # `packaging` is found without importing it, which takes longer than all the rest. Contents
    # are compared, not paths, because several installations may share one directory.
    packaging = cast("ModuleSpec", find_spec("packaging")).origin or ""
    own = [os.path.join(os.path.dirname(__file__), name) for name in ("probe.py", "tags.py")]
    contents = (Path(path).read_bytes() for path in (packaging, *own))
    return hashlib.sha256(b"".join(contents)).hexdigest()


def _stamp(path: str) -> list[int]:
    """Return size and time of the file ``path``, or nothing if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _probe(
    executable: str, environment: Mapping[str, str], timeout_seconds: float
) -> dict[str, Any]:
    output, status, is_late = _run([executable, *_FLAGS], environment, timeout_seconds)
    _, _, answer = output.partition(_MARK.encode())
    try:
        facts: dict[str, Any] = json.loads(answer.partition(b"\n")[0])
    except ValueError:
        problem = f"it did not answer within {timeout_seconds:g} s"
        if not is_late:
            problem = _describe_problem(output, status)
        raise InterpreterUnusableError(executable, problem) from None
    if "executable" not in facts:
        raise InterpreterTooOldError(executable, facts["version"], format_version(OLDEST))
    # The same Python, unless the program has started another one.
    try:
        is_same = os.path.samefile(executable, facts["executable"])
    except OSError:
        is_same = not facts["executable"]
    if is_same:
        facts["executable"] = executable
    return facts


def _run(
    command: list[str], environment: Mapping[str, str], timeout_seconds: float
) -> tuple[bytes, int, bool]:
    """Run ``command``; return its output and status, and whether it was killed for being late."""
    import subprocess
    import threading

    kept = {name: value for name, value in environment.items() if not name.startswith(_STEERING)}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Without this macOS reports 10.16 to a Python that was built for an older macOS.
            env={**kept, "SYSTEM_VERSION_COMPAT": "0"},
            process_group=None if _ON_WINDOWS else 0,
        )
    except OSError as error:
        raise InterpreterUnusableError(command[0], error.strerror or str(error)) from error
    deadline = time.monotonic() + timeout_seconds
    timer = threading.Timer(timeout_seconds, kill_group, [process])
    timer.start()
    try:
        with process:
            output = cast("IO[bytes]", process.stdout).read(_MAX_OUTPUT_BYTES)
    except BaseException:
        kill_group(process)
        raise
    finally:
        timer.cancel()
    return output, process.returncode, time.monotonic() >= deadline


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group, and its children, which would keep its output open."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        import subprocess

        taskkill = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(taskkill, capture_output=True, check=False)


def _describe_problem(output: bytes, status: int) -> str:
    outcome = f"it exited with code {status}"
    if status < 0:
        outcome = f"it was killed by signal {-status}"
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return f"{outcome} and printed nothing"
    # The message of a traceback is its last line; other programs begin with the message.
    return f"{outcome} and printed {quoted(lines[-1 if 'Traceback' in lines[0] else 0])}"


def _describe(facts: dict[str, Any]) -> dict[str, Any]:
    from wheelforge_isolation.interpreter.tags import list_tags

    base = facts["base_executable"]
    identifying = (*(facts[name] for name in _IDENTIFYING), base, _stamp(base))
    identity = hashlib.sha256(ascii(identifying).encode("ascii")).hexdigest()
    return {
        **{name: facts[name] for name in _REPORTED},
        "tags": list_tags(facts),
        "identity": identity[:_IDENTITY_LENGTH],
    }
