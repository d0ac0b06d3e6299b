"""The script by which pyproject-hooks runs a hook, and the private names that it goes by.

Nothing of that is documented, so a release may change it. The script is read before any of it is
relied on: if a name is missing, hooks are spawned exactly as pyproject-hooks asks for it, and the
files that it exchanges with a hook are left alone.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import stat
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Generator

BACKEND = "_PYPROJECT_HOOKS_BUILD_BACKEND"
BACKEND_PATH = "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"
QUESTION = "input.json"
ANSWER = "output.json"
REFUSALS = ("unsupported", "no_backend", "hook_missing")
"""Keys of an answer by which a hook says that it did not run."""
_LARGEST_ANSWER = 16 << 20
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class HookScript(NamedTuple):
    """The script, and whether it is one of the known kind."""

    path: str
    objection: str
    """Why nothing may rely on its insides, or nothing."""


@functools.cache
def find_hook_script() -> HookScript:
    """Find the script without importing the package that it belongs to."""
    found = find_spec("pyproject_hooks")
    homes = (found and found.submodule_search_locations) or [""]
    path = Path(homes[0], "_in_process", "_in_process.py")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return HookScript(str(path), "this pyproject-hooks has no such script as is known")
    names = (BACKEND, BACKEND_PATH, QUESTION, ANSWER)
    missing = [name for name in names if f'"{name}"' not in text]
    what = f"the script of this pyproject-hooks knows no `{missing[0]}`" if missing else ""
    return HookScript(str(path), what)


def read_question(control: str) -> bytes | None:
    """Return the arguments of the hook that is run with the directory ``control``, if known."""
    if find_hook_script().objection:
        return None
    return Path(control, QUESTION).read_bytes()


def is_missing_hook(hook: str, output: bytes) -> bool:
    """Return whether the script failed as the backend has no such hook, one that each must have.

    Only for optional hooks the answer says so; else the script's traceback is the end of
    ``output``.
    """
    text = output.decode("utf-8", "replace")
    pattern = (
        rf'File "[^"\n]*_in_process\.py", line \d+, in {hook}\n'
        rf"(?: .*\n){{1,2}}AttributeError: .*'{hook}'.*\s*\Z"
    )
    return re.search(pattern, text) is not None


def read_answer(control: str) -> tuple[list[object], list[str]]:
    """Return what a hook returned, if it ran, and the warnings, which its answer then has no more.

    Otherwise pyproject-hooks would issue them in this process, for all of it. An answer that
    pyproject-hooks could not read raises an exception here.
    """
    if find_hook_script().objection:
        return [], []
    path = Path(control, ANSWER)
    answer: dict[str, Any] = json.loads(_read_regular_file(path))
    warnings = [str(warning["message"]) for warning in answer.pop("warnings", [])]
    # A new file: the hook's own may have other names, and is never written through.
    path.unlink()
    with path.open("x", encoding="utf-8") as file:
        json.dump({"return_val": None, **answer}, file)
    is_refused = any(answer.get(key) for key in REFUSALS)
    return [] if is_refused else [answer.get("return_val")], warnings


def copy_question(control: str, place: Path) -> None:
    """Put the arguments of a hook into the directory ``place``, which is empty."""
    with (place / QUESTION).open("xb") as file:
        file.write(Path(control, QUESTION).read_bytes())


@contextlib.contextmanager
def copy_answer(place: Path, control: str) -> Generator[None]:
    """Copy the answer that a hook has left in ``place`` in the end, if there is one.

    The hook may have put anything where the directory was.
    """
    directory = os.open(place, os.O_RDONLY) if os.open in os.supports_dir_fd else None
    try:
        yield
        with contextlib.suppress(FileNotFoundError):
            name = Path(ANSWER) if directory is not None else place / ANSWER
            content = _read_regular_file(name, directory)
            with Path(control, ANSWER).open("xb") as file:
                file.write(content)
    finally:
        if directory is not None:
            os.close(directory)


def _read_regular_file(path: Path, directory: int | None = None) -> bytes:
    """Return the content of ``path``, which a hook may have made a link, a fifo, or endless."""
    descriptor = os.open(path, os.O_RDONLY | _SAFELY, dir_fd=directory)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > _LARGEST_ANSWER:
            raise ValueError(f"it has {status.st_size:,} bytes")
        return file.read(_LARGEST_ANSWER)
