"""A hook as a child of this very process, for platforms on which nothing else can be relied on.

Everything that has left the hook's group (POSIX) or was orphaned (Windows) is not found, and a
sudden death of this process ends nobody.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING

from wheelforge.hooks.protocol import Outcome, Unserved
from wheelforge_isolation import kill_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelforge.hooks.protocol import Command, Watch

_ON_WINDOWS = sys.platform == "win32"
_GROUP_FLAG: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_GLANCE_SECONDS = 0.05
_DRAIN_SECONDS = 0.5
_PIECE_BYTES = 1 << 16


class Direct:
    """One hook, its process and the thread that reads what it prints."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._is_asked = threading.Event()
        self._is_through = threading.Event()
        self._problem: BaseException | None = None

    def run(self, command: Command, descriptors: Sequence[int] = ()) -> Outcome:
        """Run a command, and return how it ended, by itself or by us.

        It inherits the ``descriptors``.
        """
        try:
            process = subprocess.Popen(
                command.argv,
                cwd=command.directory or None,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # No Ctrl-C of ours reaches it.
                start_new_session=not _ON_WINDOWS,
                pass_fds=descriptors,
                umask=-1 if command.umask is None or _ON_WINDOWS else command.umask,
                creationflags=_GROUP_FLAG,
            )
        except OSError as error:
            raise Unserved(str(error)) from error
        reader = threading.Thread(target=self._read, args=[process.stdout], daemon=True)
        reader.start()
        try:
            with self._watch.cancellation.reaching(self._is_asked.set):
                self._watch.on_start()
                late = self._wait(process)
        finally:
            self._end(process)
            # The rest of the pipe; a process that holds it open after that is none of ours.
            reader.join(_DRAIN_SECONDS)
            self._is_through.set()
        if self._problem is not None:
            raise self._problem
        return Outcome(status=process.returncode, late=late)

    def _wait(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the end or for a reason to bring it about; return whether time is over."""
        while not self._is_asked.is_set():
            if self._watch.is_late:
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GLANCE_SECONDS)
                break
        return False

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End the process if it runs, and in any case what it has left in its group."""
        deadline = time.monotonic() + self._watch.grace_seconds
        if process.poll() is None:
            if sys.platform == "win32":
                process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0, deadline - time.monotonic()))
        kill_group(process)
        process.wait()

    def _read(self, stream: IO[bytes]) -> None:
        try:
            with stream:
                while content := os.read(stream.fileno(), _PIECE_BYTES):
                    if self._is_through.is_set():
                        return
                    self._watch.output.feed(content)
        except BaseException as error:  # ruff: ignore[blind-except]  # raised where it is seen
            self._problem = error
            self._is_asked.set()
