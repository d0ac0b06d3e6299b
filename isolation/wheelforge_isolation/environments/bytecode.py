"""Modules are compiled in processes of the Python they are for, while others are on their way.

What is compiled stays in the memory of such a process until all wheels are there and it is known
whose file goes where. Then it writes what goes somewhere, below directories that it does not make
itself: a process that outlives its master must not bring back what a collector has removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Self, cast

from wheelforge_isolation.errors import EnvironmentFailedError, quoted

if TYPE_CHECKING:
    from subprocess import Popen

_MOST_PROCESSES = 3
_UNCHECKED, _CHECKED = 1, 3
"""Flags in the head of a bytecode file: when its source is compared."""
_GO_AHEAD = ("", "")
_PROGRAM = """
import contextlib, importlib.machinery, importlib.util, marshal, os, sys
directory, head = sys.argv[1], importlib.util.MAGIC_NUMBER + bytes((int(sys.argv[2]), 0, 0, 0))

def words():
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *found, rest = (rest + chunk).split(b"\\0")
        yield from map(os.fsdecode, found)

def compile_module(source, place):
    loader = importlib.machinery.SourceFileLoader("", source)
    data = loader.get_data(source)
    code = loader.source_to_code(data, place)
    return head + importlib.util.source_hash(data) + marshal.dumps(code)

def write(place, content):
    file = open(place, "xb")
    try:
        with file:
            file.write(content)
    except OSError:
        os.unlink(place)

made, all_words, parent, is_wanted = {}, words(), os.getppid(), False
for source, place in zip(all_words, all_words):
    if not place:
        is_wanted = True
        break
    made.pop(place, None)
    try:
        if source:
            made[place] = compile_module(source, os.path.join(directory, place))
    except Exception:
        pass  # no Python of this version, or no Python at all
for place, content in made.items():
    if not is_wanted or os.getppid() != parent:
        sys.exit("the process that wants the bytecode is gone")
    target = importlib.util.cache_from_source(os.path.join(directory, place))
    with contextlib.suppress(OSError):  # another process has just made it as well
        os.mkdir(os.path.dirname(target))
    with contextlib.suppress(OSError):
        write(target, content)
"""


class Compiler:
    """Compiles what goes to places below ``directory``; used as a context.

    What is shared is not to change, so nobody will look whether the bytecode is still right.
    """

    def __init__(self, python: str, directory: str, *, is_shared: bool) -> None:
        mode = str(_UNCHECKED if is_shared else _CHECKED)
        # Without the site module: nothing that a wheel brings is run here.
        options = ("-I", "-S", "-W", "ignore", "-c")
        self._command = (python, *options, _PROGRAM, directory, mode)
        self._processes: list[Popen[bytes]] = []
        self._expected: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            _end_words(process)
            process.communicate()

    def expect(self, modules: Sequence[tuple[str, str]]) -> None:
        """Compile ``modules``, which are likely places with their sources."""
        if modules and not self._processes:
            self._start()
        for place, source in modules:
            number = self._expected.get(place, ("", len(self._expected) % len(self._processes)))[1]
            self._expected[place] = (source, number)
            self._say(number, source, place)
        for process in self._processes:
            with contextlib.suppress(OSError):
                cast("IO[bytes]", process.stdin).flush()

    def write(self, modules: Mapping[str, str]) -> None:
        """Write the bytecode of ``modules``, which are sources by their places; of no others."""
        for place, (source, number) in self._expected.items():
            if modules.get(place) != source:
                self._say(number, modules.get(place, ""), place)
        for number, process in enumerate(self._processes):
            # EOF may also mean that this process died; so an explicit go-ahead is required.
            self._say(number, *_GO_AHEAD)
            _end_words(process)

    def finish(self) -> None:
        """Wait until all is written."""
        while self._processes:
            process = self._processes.pop()
            said = process.communicate()[0].decode(errors="replace").strip()
            if process.returncode:
                last = quoted(said.rpartition("\n")[2])
                reason = f"it exits with {process.returncode}, saying {last}"
                raise EnvironmentFailedError(self._command[0], reason)

    def _start(self) -> None:
        from subprocess import PIPE, STDOUT, Popen

        for _ in range(min(os.cpu_count() or 1, _MOST_PROCESSES)):
            try:
                process = Popen(self._command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env={})
            except OSError as error:
                reason = error.strerror or str(error)
                raise EnvironmentFailedError(self._command[0], reason) from error
            self._processes.append(process)

    def _say(self, number: int, *words: str) -> None:
        stream = self._processes[number].stdin
        # A process that is dead by now says why when it is waited for.
        with contextlib.suppress(OSError):
            cast("IO[bytes]", stream).write(b"".join(os.fsencode(word) + b"\0" for word in words))


def _end_words(process: Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdin = None
