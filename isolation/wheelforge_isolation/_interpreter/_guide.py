"""Asking one executable what it is, unless what it said is remembered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from typing import IO, TYPE_CHECKING, Any, cast

from wheelforge_isolation._interpreter import _memory
from wheelforge_isolation._interpreter._python import OLDEST, build_interpreter, dotted
from wheelforge_isolation.errors import (
    InterpreterTooOldError,
    InterpreterUnusableError,
    quoted,
)
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from wheelforge_isolation._interpreter._python import Interpreter

TIMEOUT_SECONDS = 30.0
_ON_WINDOWS = os.name == "nt"
_IDENTITY_LENGTH = 16
_MOST_OUTPUT_BYTES = 1 << 20
_DECISIVE = ("implementation", "soabi", "extension_suffix", "platform", "base_executable")
"""What decides, with the build and the time of the base, what an environment looks like."""
_REPORTED = (
    *("executable", "prefix", "base_prefix", "base_executable", "scheme"),
    *("implementation", "version", "version_info", "soabi", "extension_suffix", "abiflags"),
    *("is_free_threaded", "is_debug", "platform", "build_details"),
)
"""The fields of an interpreter that are facts as they were reported."""
_STEERING = ("PYTHON", "_PYTHON", "__PYVENV", "MACOSX_DEPLOYMENT_TARGET", "ARCHFLAGS")
"""How variables begin that make a Python answer something else."""
_MARK = "wheelforge-probe:"
# Understood by Python 2 as well, so that what is too old can say so. Never started with the
# working directory on its path: that belongs to a project, and may hold a json.py.
_START = f"""
import sys
sys.path[:] = [entry for entry in sys.path if entry]
if sys.version_info < {OLDEST}:
    print('\\n{_MARK}{{"version": "' + ".".join(map(str, sys.version_info[:3])) + '"}}')
else:
    with open(sys.argv[1], "rb") as script:
        exec(compile(script.read(), sys.argv[1], "exec"))
"""
# One by one what `-I` is, which Python 2 does not know; -B as we do not own where it would write.
_FLAGS = ("-E", "-s", "-S", "-B", "-c", _START)


class Guide(Value):
    """Knows Pythons, from memory or by asking them."""

    memory: str
    environment: Mapping[str, str]
    timeout_seconds: float

    def inspect(self, executable: str) -> Interpreter:
        """Return what ``executable`` is."""
        ground = _memory.describe_ground(executable)
        fields = _memory.recall(self.memory, executable, ground)
        if fields is None:
            fields = self._ask(executable)
            if fields["executable"] == executable:
                _memory.remember(self.memory, executable, ground, fields)
        return build_interpreter(fields)

    def _ask(self, executable: str) -> dict[str, Any]:
        command = (executable, *_FLAGS, _memory.PROBE, _MARK)
        facts = _parse_answer(executable, self._run(command))
        if _is_same(executable, facts["executable"]):
            facts["executable"] = executable
        return _describe(facts)

    def _run(self, command: tuple[str, ...]) -> _Ending:
        """Run ``command`` to its end, or until its time is over or it has said too much."""
        import subprocess
        import threading

        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_without_steering(self.environment),
                process_group=None if _ON_WINDOWS else 0,
            )
        except OSError as error:
            raise InterpreterUnusableError(command[0], error.strerror or str(error)) from error
        deadline = time.monotonic() + self.timeout_seconds
        timer = threading.Timer(self.timeout_seconds, _kill, [process])
        timer.start()
        try:
            output = _listen(process)
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
        late_after = self.timeout_seconds if time.monotonic() >= deadline else None
        return _Ending(output=output, status=process.returncode, late_after=late_after)


class _Ending(Value):
    """How a program ended."""

    output: bytes
    status: int
    late_after: float | None
    """Seconds, if that is how long it was waited for in vain."""

    def describe(self) -> str:
        """Return what is wrong with it as an answer."""
        if self.late_after is not None:
            return f"it did not answer within {self.late_after:g} s"
        outcome = f"it exits with {self.status}"
        if self.status < 0:
            outcome = f"signal {-self.status} ends it"
        lines = [line.strip() for line in self.output.decode(errors="replace").splitlines()]
        said = [line for line in lines if line]
        if not said:
            return f"{outcome}, and says nothing"
        # What a traceback is about comes last, anything else begins with the point.
        return f"{outcome}, and says {quoted(said[-1 if 'Traceback' in said[0] else 0])}"


def _listen(process: subprocess.Popen[bytes]) -> bytes:
    with process, cast("IO[bytes]", process.stdout) as stream:
        return stream.read(_MOST_OUTPUT_BYTES)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, and whatever it has started: that would keep its output open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _without_steering(environment: Mapping[str, str]) -> dict[str, str]:
    pairs = environment.items()
    kept = {name: value for name, value in pairs if not name.startswith(_STEERING)}
    # Without it macOS tells a Python that was built for an older one that it is 10.16.
    return {**kept, "SYSTEM_VERSION_COMPAT": "0"}


def _parse_answer(executable: str, ending: _Ending) -> dict[str, Any]:
    _, _, answer = ending.output.partition(_MARK.encode())
    try:
        facts: dict[str, Any] = json.loads(answer.partition(b"\n")[0])
    except ValueError:
        raise InterpreterUnusableError(executable, ending.describe()) from None
    if "executable" not in facts:
        raise InterpreterTooOldError(executable, facts["version"], dotted(OLDEST))
    return facts


def _is_same(executable: str, reported: str) -> bool:
    """Return whether a Python is what was started, and not something that this started in turn."""
    try:
        return os.path.samefile(executable, reported)
    except OSError:
        return not reported


def _describe(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an interpreter that has reported ``facts``."""
    from wheelforge_isolation._interpreter._tags import list_tags, make_markers

    return {
        **{name: facts[name] for name in _REPORTED},
        "tags": list_tags(facts),
        "markers": make_markers(facts),
        "identity": _identify(facts, facts["build"]),
    }


def _identify(facts: dict[str, Any], build: str) -> str:
    decisive = (
        build,
        *(facts[name] for name in _DECISIVE),
        _memory.stamp(facts["base_executable"]),
    )
    return hashlib.sha256(ascii(decisive).encode("ascii")).hexdigest()[:_IDENTITY_LENGTH]
