"""One use of the command line, from its words to its exit code, and its standard streams."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from wheelforge.cli.arguments import parse_words
from wheelforge.cli.sources import check_sources
from wheelforge.errors import BuildCancelledError, UnexpectedError, UsageError
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.cli.hosted import Hosting


def run_words(words: Sequence[str], refusal: str = "", hosting: Hosting | None = None) -> int:
    """Do what ``words`` ask for, and return the exit code.

    A server has not done it for the reason ``refusal``; or this is ``hosting`` a command for one.
    """
    try:
        with _ending_on_request():
            return _run(words, refusal, hosting) or 0
    except ForgeError as error:
        return _fail(error)
    except OSError as error:
        return explain_refusal(error)
    except KeyboardInterrupt:
        # Where the signal hits a text that is executed, as for a data class, CPython takes note and
        # dies of it in the end, instead of returning our code; to execute another one resets that.
        exec("")  # ruff: ignore[exec-builtin]
        sys.stderr.write("interrupted\n")
        return BuildCancelledError.exit_code
    except MemoryError:
        return _fail(UnexpectedError("memory-exhausted"))


def _run(words: Sequence[str], refusal: str, hosting: Hosting | None) -> int | None:
    options = parse_words(words)
    check_sources(getattr(options, "sources", None) or ())
    if hosting is not None:
        hosting.check(options)
    elif getattr(options, "server", None):
        from wheelforge.cli.delegation import try_server

        code = try_server(options, words, refusal)
        if code is not None:
            return code
    module, _, function = options.run.partition(".")
    run: Callable[..., int | None] = getattr(import_module(f"wheelforge.cli.{module}"), function)
    with _naming_origins(options):
        return run(options)


@contextlib.contextmanager
def _naming_origins(options: CommandOptions) -> Generator[None]:
    """Let an error about an option say which variable or file has set it."""
    try:
        yield
    except UsageError as error:
        origin = options.origins.get(error.args[1]) if error.code == "option-invalid" else None
        if origin is None:
            raise
        _, option, reason = error.args
        raise UsageError("option-invalid", option, f"{reason}; it is set by {origin}") from error


def explain_refusal(error: OSError) -> int:
    """Say what the system has refused, unless the reader is gone; return the exit code."""
    from wheelforge_isolation import raising_file_errors

    path = _find_place(error) if error.filename is None else os.fsdecode(error.filename)
    try:
        with raising_file_errors("use", path):
            raise error
    except ForgeError as problem:
        return problem.exit_code if isinstance(error, BrokenPipeError) else _fail(problem)


def _find_place(error: OSError) -> str:
    """Return what an error is about that names no file."""
    if not isinstance(error, FileNotFoundError):
        return "standard output"
    try:
        pathlib.Path.cwd()
    except FileNotFoundError:
        return "the working directory"
    return "TMPDIR" if "temporary" in str(error) else "standard output"


def _fail(error: ForgeError) -> int:
    from wheelforge.cli.console import Console

    Console().show_error(error)
    return error.exit_code


@contextlib.contextmanager
def _ending_on_request() -> Generator[None]:
    """Let a request to end, or the end of the terminal, have the same effect as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)])]
    # With `nohup` the end of the terminal is not to end anything.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_missing_streams() -> None:
    """Open the null device as each standard stream that was closed when this process started.

    The next file to be opened would get the descriptor instead, and whatever is printed later.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # ruff: ignore[builtin-open, open-file-with-context-handler]


def abandon_output() -> None:
    """Drop what standard output could not take: at its end Python would try to write it again."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)
