"""The hooks of one project's backend, asked through pyproject-hooks."""

from __future__ import annotations

import contextlib
import json
from os.path import relpath
from typing import TYPE_CHECKING, Any, Literal, cast

from build import BuildBackendException, BuildException, ProjectBuilder
from pyproject_hooks import BackendUnavailable, HookMissing, UnsupportedOperation

from wheelforge.errors import (
    BackendError,
    HookError,
    HookFailedError,
    HookMissingError,
    ResultInvalidError,
)
from wheelforge.hooks.environ import compose_environment
from wheelforge.hooks.in_process import is_missing_hook, read_answer, read_question
from wheelforge.models import Kind
from wheelforge_isolation import ensure_directory, replace_file
from wheelforge_isolation.errors import FileAccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from wheelforge.build.project import Project
    from wheelforge.hooks.runner import HookOptions
    from wheelforge.hooks.sandbox.confinement import Confinement
    from wheelforge.models import BuildEnvironment, Runner

_DISTRIBUTIONS: dict[Kind, Literal["sdist", "wheel", "editable"]] = {
    Kind.SDIST: "sdist",
    Kind.WHEEL: "wheel",
    Kind.EDITABLE: "editable",
    Kind.METADATA: "wheel",
}
_CONFUSIONS = (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError)
_LONGEST_FOUND = 200

_RETRY_SCRIPT = '''\
"""Runs the hook that failed once more, as it was run: {where}. Any Python 3 can run this.

All variables of that hook are below, secret ones too: do not pass this file on.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

CALL = json.loads({call!r})
GO = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"

with tempfile.TemporaryDirectory(dir=CALL["place"]) as name:
    place = pathlib.Path(name)
    (place / "input.json").write_text(CALL["question"], encoding="utf-8")
    argv, options = [*CALL["argv"], name], {{"cwd": CALL["directory"] or None}}
    if CALL["prefix"]:
        argv = [*CALL["prefix"], argv[0], "-I", "-S", "-c", GO, CALL["directory"] or "/", *argv]
    if CALL["filter"]:
        reader, writer = os.pipe()
        os.write(writer, bytes.fromhex(CALL["filter"]))
        os.close(writer)
        argv = [str(reader) if word is None else word for word in argv]
        options["pass_fds"] = [reader]
    status = subprocess.call(argv, env=CALL["variables"], **options)
    if (place / "output.json").exists():
        print((place / "output.json").read_text(encoding="utf-8"))
    sys.exit(status)
'''


class Backend:
    """The build backend of a project, in an environment that has it."""

    def __init__(
        self,
        project: Project,
        environment: BuildEnvironment,
        runner: Runner,
        warn: Callable[[str], None],
        config_settings: Mapping[str, object],
    ) -> None:
        self._last_call: dict[str, Any] = {}
        """The last hook as it was run, enough to run it again."""
        self._returned: object = None
        """The value that the last hook returned, if pyproject-hooks is of the known kind."""
        self._runner = runner
        self._warn = warn
        # `--config-json` may hold any JSON; backends get it as it is.
        self._settings = cast("Mapping[str, str | Sequence[str]]", config_settings)
        self._root = project.root
        with _explained("", self._root):
            self._builder = ProjectBuilder.from_isolated_env(environment, self._root, self._run)

    def ask_requirements(self, kind: Kind) -> frozenset[str]:
        """Return what the backend wants to have for ``kind``, beyond what the project says."""
        what = _DISTRIBUTIONS[kind]
        with _explained(f"get_requires_for_build_{what}", self._root):
            return frozenset(self._builder.get_requires_for_build(what, self._settings))

    def build(self, kind: Kind, directory: Path) -> object:
        """Have ``kind`` made in ``directory``; return what should be its name there."""
        what = _DISTRIBUTIONS[kind]
        hook = f"prepare_metadata_for_build_{what}" if kind is Kind.METADATA else f"build_{what}"
        with _explained(hook, self._root):
            made: str | None
            if kind is Kind.METADATA:
                made = self._builder.prepare(what, directory, self._settings)
            else:
                made = self._builder.build(what, directory, self._settings)
            if made is None:
                raise HookMissingError(hook)
        # pypa/build has joined what the hook returned to the directory.
        return relpath(made, directory) if self._returned is None else self._returned

    def write_retry_script(self, directory: Path, terms: HookOptions) -> None:
        """Write a script that makes the last call again into ``directory``, which is private.

        What the environment and pyproject-hooks demand is laid over the variables of the ``terms``,
        as for the call, and it is made in their sandbox.
        """
        if not self._last_call:
            return
        composed = compose_environment(terms.base, self._last_call["variables"])
        facts = {**self._last_call, "variables": composed, **_describe_sandbox(terms.confinement)}
        where = "in its sandbox" if facts["prefix"] else "in no sandbox"
        ensure_directory(str(directory))
        script = _RETRY_SCRIPT.format(call=json.dumps(facts), where=where)
        replace_file(str(directory / "retry.py"), script.encode())

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        question = read_question(cmd[-1])
        if question is not None:
            self._last_call = {
                "argv": cmd[:-1],
                "directory": cwd or "",
                "question": question.decode(),
                "variables": extra_environ,
            }
        try:
            self._runner(cmd, cwd, extra_environ)
        except HookFailedError as error:
            if is_missing_hook(error.hook, error.output):
                raise HookMissingError(error.hook) from error
            raise
        hook = cmd[-2]
        try:
            returned, warnings = read_answer(cmd[-1])
        except FileNotFoundError as error:
            raise HookError("hook-answer-invalid", hook, "a file", "none") from error
        except _CONFUSIONS as error:
            raise HookError("hook-answer-invalid", hook, "JSON", _clip(repr(error))) from error
        for self._returned in returned:
            _check_answer(hook, self._returned)
        for warning in warnings:
            self._warn(warning)


def _describe_sandbox(confinement: Confinement | None) -> dict[str, Any]:
    """Return what a script needs to start a hook in the same sandbox."""
    if confinement is None or not confinement.prefix:
        return {"prefix": [], "filter": "", "place": None}
    from wheelforge.hooks.sandbox.prefix import FILTER

    words, code = confinement.prefix
    return {
        "prefix": [None if word == FILTER else word for word in words],
        "filter": code.hex(),
        "place": str(confinement.private),
    }


def _check_answer(hook: str, answer: object) -> None:
    """Refuse what pypa/build would take apart, or fail over, without looking."""
    if not hook.startswith("get_requires"):
        if not isinstance(answer, str):
            raise ResultInvalidError(_clip(repr(answer)), "that is no name of a file")
        return
    found = _clip(repr(answer))
    texts = cast("list[object]", answer) if isinstance(answer, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise HookError("hook-answer-invalid", hook, "a list of requirements", found)


@contextlib.contextmanager
def _explained(hook: str, root: Path) -> Generator[None]:
    """Turn what pypa/build and pyproject-hooks have to say into errors of ours."""
    try:
        yield
    except BuildException as refusal:
        # The project was found sound before: now its directory, or the one for results, is not.
        raise FileAccessError("build in", str(root), str(refusal)) from refusal
    except BuildBackendException as wrapped:
        error = wrapped.exception
        if isinstance(error, BackendUnavailable):
            from wheelforge.diagnosis import find_missing_module

            trace = str(error.traceback)
            missing = find_missing_module(trace)
            name = error.backend_name or ""
            raise BackendError("backend-unavailable", name, trace, *missing) from error
        if isinstance(error, HookMissing):
            raise HookMissingError(error.hook_name) from error
        if isinstance(error, UnsupportedOperation):
            raise BackendError("hook-unsupported", hook, str(error.traceback)) from error
        raise error from None


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}..."
