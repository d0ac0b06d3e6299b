"""A server in the background: a process of its own, which has nothing of the one that starts it.

Its output goes to the starter until it is ready, so that an error is told there, and then to a log.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

from wheelforge.errors import ServiceError
from wheelforge.service.retention import limit_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PATIENCE_SECONDS = 60.0
_READY = b"\0"
_STANDARD = 3


def go_to_background(log: Path, kept: Sequence[int] = ()) -> int | None:
    """Start a process that returns nothing; this one returns the exit code once that is ready.

    It keeps the descriptors ``kept``, which come after the standard ones, and no others.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    limit_log(log)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return _wait(pid, reader)
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (writer, 1), (writer, 2)):
        os.dup2(source, target)
    os.closerange(max((*kept, _STANDARD - 1)) + 1, os.sysconf("SC_OPEN_MAX"))
    return None


def _wait(pid: int, reader: int) -> int:
    """Show what the new process says until it is ready, or has ended."""
    try:
        content = _read(reader)
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.close(reader)
    sys.stderr.write(content.replace(_READY, b"").decode(errors="replace"))
    return 0 if _READY in content else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(reader: int) -> bytes:
    deadline, content = time.monotonic() + _PATIENCE_SECONDS, b""
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(reader, 1 << 16)
        if not piece:
            return content
        content += piece
    raise ServiceError("server-failed", f"it was not ready in {_PATIENCE_SECONDS:.0f} s")


def write_to_log(log: Path, *, is_ready: bool = False) -> None:
    """Let all that this process says go to the log from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    if is_ready:
        os.write(2, _READY)
    file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
