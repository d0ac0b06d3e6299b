"""Describe one executable: load its stored description, or run the probe with it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from wheelforge_isolation.errors import (
    InterpreterTooOldError,
    InterpreterUnusableError,
    quoted,
)
from wheelforge_isolation.interpreter.interpreter import OLDEST, format_version, load_interpreter
from wheelforge_isolation.interpreter.remember import (
    describe_dependencies,
    load_description,
    stamp,
    store_description,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from wheelforge_isolation.interpreter.interpreter import Interpreter

TIMEOUT_SECONDS = 30.0
_ON_WINDOWS = os.name == "nt"
_IDENTITY_LENGTH = 16
_MAX_OUTPUT_BYTES = 1 << 20
_REPORTED = (
    *("executable", "prefix", "base_prefix", "base_executable", "scheme"),
    *("implementation", "version", "version_info", "soabi", "extension_suffix", "abiflags"),
    *("is_free_threaded", "is_debug", "platform", "build_details"),
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


class InterpreterInspector:
    """Describes interpreters, with stored descriptions or by running the probe."""

    def __init__(
        self, cache_dir: str, environment: Mapping[str, str], timeout_seconds: float
    ) -> None:
        self._cache_dir = cache_dir
        self._environment = environment
        self._timeout_seconds = timeout_seconds

    def inspect(self, executable: str) -> Interpreter:
        """Return the description of ``executable``."""
        dependencies = describe_dependencies(executable)
        fields = load_description(self._cache_dir, executable, dependencies)
        if fields is None:
            fields = self._probe(executable)
            if fields["executable"] == executable:
                store_description(self._cache_dir, executable, dependencies, fields)
        return load_interpreter(fields)

    def _probe(self, executable: str) -> dict[str, Any]:
        facts = _parse_facts(executable, self._run([executable, *_FLAGS]))
        if _is_same(executable, facts["executable"]):
            facts["executable"] = executable
        return _describe(facts)

    def _run(self, command: list[str]) -> _Outcome:
        """Run ``command`` until it ends, its time is over or its output is too long."""
        import subprocess
        import threading

        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_make_environment(self._environment),
                process_group=None if _ON_WINDOWS else 0,
            )
        except OSError as error:
            raise InterpreterUnusableError(command[0], error.strerror or str(error)) from error
        deadline = time.monotonic() + self._timeout_seconds
        timer = threading.Timer(self._timeout_seconds, _kill, [process])
        timer.start()
        try:
            output = _read_output(process)
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
        timeout = self._timeout_seconds if time.monotonic() >= deadline else None
        return _Outcome(output=output, status=process.returncode, timeout=timeout)


class _Outcome(NamedTuple):
    """The end of a process that was to run the probe."""

    output: bytes
    status: int
    timeout: float | None
    """The seconds after which the process was killed, if it was."""

    def describe_problem(self) -> str:
        """Return the reason why the output holds no facts."""
        if self.timeout is not None:
            return f"it did not answer within {self.timeout:g} s"
        outcome = f"it exited with code {self.status}"
        if self.status < 0:
            outcome = f"it was killed by signal {-self.status}"
        lines = [line.strip() for line in self.output.decode(errors="replace").splitlines()]
        lines = [line for line in lines if line]
        if not lines:
            return f"{outcome} and printed nothing"
        # The message of a traceback is its last line; other programs begin with the message.
        return f"{outcome} and printed {quoted(lines[-1 if 'Traceback' in lines[0] else 0])}"


def _read_output(process: subprocess.Popen[bytes]) -> bytes:
    with process, cast("IO[bytes]", process.stdout) as stream:
        return stream.read(_MAX_OUTPUT_BYTES)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, which would keep its output open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _make_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` without the variables that change the facts."""
    pairs = environment.items()
    kept = {name: value for name, value in pairs if not name.startswith(_STEERING)}
    # Without this variable macOS reports 10.16 to a Python that was built for an older macOS.
    return {**kept, "SYSTEM_VERSION_COMPAT": "0"}


def _parse_facts(executable: str, outcome: _Outcome) -> dict[str, Any]:
    _, _, answer = outcome.output.partition(_MARK.encode())
    try:
        facts: dict[str, Any] = json.loads(answer.partition(b"\n")[0])
    except ValueError:
        raise InterpreterUnusableError(executable, outcome.describe_problem()) from None
    if "executable" not in facts:
        raise InterpreterTooOldError(executable, facts["version"], format_version(OLDEST))
    return facts


def _is_same(executable: str, reported: str) -> bool:
    """Return whether ``executable`` is the Python that was probed, and did not start another."""
    try:
        return os.path.samefile(executable, reported)
    except OSError:
        return not reported


def _describe(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the interpreter that has reported ``facts``."""
    from wheelforge_isolation.interpreter.tags import list_tags, make_markers

    return {
        **{name: facts[name] for name in _REPORTED},
        "tags": list_tags(facts),
        "markers": make_markers(facts),
        "identity": _identify(facts),
    }


def _identify(facts: dict[str, Any]) -> str:
    """Return a digest of the facts that decide the content of an environment."""
    base = facts["base_executable"]
    identifying = (*(facts[name] for name in _IDENTIFYING), base, stamp(base))
    return hashlib.sha256(ascii(identifying).encode("ascii")).hexdigest()[:_IDENTITY_LENGTH]
