"""A process that has imported everything, does nothing, and is forked for each job.

The fork is a worker: it has one line to the server, gets one job, and ends. So the server itself
runs no code of any project, stays small however much it builds, and a build may change directory,
variables and umask of its process as its client has them.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Work = Callable[[socket.socket, list[int]], NoReturn]
    """Does the job that a line says, with files for the three standard streams."""

_MOST_FILES = 4
_FAILED = 70
_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}


class Zygote:
    """The process, as the server sees it; started before the server has any thread."""

    def __init__(
        self, prepare: Callable[[], None], work: Work, closed: Sequence[socket.socket] = ()
    ) -> None:
        """Start it; it does not have the sockets ``closed``."""
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            for each in (ours, *closed):
                each.close()
            _wait_for_jobs(theirs, prepare, work)
        theirs.close()
        self._line = ours

    def fork(self, streams: list[int]) -> socket.socket:
        """Return a line to a new worker, which has these standard streams."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._line, [b"."], [theirs.fileno(), *streams])
            except BaseException:
                ours.close()
                raise
        return ours

    def fileno(self) -> int:
        """Return the descriptor that can be read once the process has ended, and not before."""
        return self._line.fileno()

    def close(self) -> None:
        """Let it end."""
        self._line.close()


def _wait_for_jobs(line: socket.socket, prepare: Callable[[], None], work: Work) -> NoReturn:
    code = _FAILED
    try:
        for number in (*_HEEDED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)  # the server is to be told, and ends this
        prepare()
        _fork_workers(line, work)
        code = 0
    except Exception as error:  # ruff: ignore[blind-except]  # the server sees no more than its end
        sys.stderr.write(f"error: the process that workers are forked from: {error!r}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


def _fork_workers(line: socket.socket, work: Work) -> None:
    while files := socket.recv_fds(line, 1, _MOST_FILES)[1]:
        if os.fork() == 0:
            line.close()
            _become_worker(work, files)
        for file in files:
            os.close(file)


def _become_worker(work: Work, files: list[int]) -> NoReturn:
    for number in signal.valid_signals() - _IGNORED_BY_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:  # as the server was started, or above
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    work(socket.socket(fileno=files[0]), files[1:])
