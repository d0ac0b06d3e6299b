"""The hooks of one project's backend, asked through pyproject-hooks."""

from __future__ import annotations

import contextlib
from os.path import relpath
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from wheelforge.errors import (
    BackendError,
    HookError,
    HookFailedError,
    HookMissingError,
    ResultInvalidError,
)
from wheelforge.hooks.in_process import is_missing_hook, read_question, take_answer
from wheelforge.models import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from wheelforge.build.project import Project
    from wheelforge.models import BuildEnvironment, Runner

_DISTRIBUTIONS: dict[Kind, Literal["sdist", "wheel", "editable"]] = {
    Kind.SDIST: "sdist",
    Kind.WHEEL: "wheel",
    Kind.EDITABLE: "editable",
    Kind.METADATA: "wheel",
}
_CONFUSIONS = (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError)
_LONGEST_FOUND = 200


class HookCall(NamedTuple):
    """One hook as it was run, enough to run it again."""

    words: tuple[str, ...]
    directory: str
    variables: Mapping[str, str]
    question: bytes
    """The arguments, as pyproject-hooks writes them."""

    @property
    def hook(self) -> str:
        """Its name."""
        return self.words[-2]


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
        from build import ProjectBuilder

        self.last_call: HookCall | None = None
        self._returned: object = None
        """The value that the last hook returned, if pyproject-hooks is of the known kind."""
        self._runner = runner
        self._warn = warn
        # `--config-json` may hold any JSON; backends get it as it is.
        self._settings = cast("Mapping[str, str | Sequence[str]]", config_settings)
        self._builder = ProjectBuilder.from_isolated_env(environment, project.root, self._run)

    def ask_requirements(self, kind: Kind) -> frozenset[str]:
        """Return what the backend wants to have for ``kind``, beyond what the project says."""
        what = _DISTRIBUTIONS[kind]
        with _explained(f"get_requires_for_build_{what}"):
            return frozenset(self._builder.get_requires_for_build(what, self._settings))

    def build(self, kind: Kind, directory: Path) -> object:
        """Have ``kind`` made in ``directory``; return what should be its name there."""
        what = _DISTRIBUTIONS[kind]
        if kind is not Kind.METADATA:
            with _explained(f"build_{what}"):
                made = self._builder.build(what, directory, self._settings)
            return self._name(made, directory)
        hook = f"prepare_metadata_for_build_{what}"
        with _explained(hook):
            prepared = self._builder.prepare(what, directory, self._settings)
            if prepared is None:
                raise HookMissingError(hook)
        return self._name(prepared, directory)

    def _name(self, made: str, directory: Path) -> object:
        """Return what the hook returned; pypa/build has joined it to the directory."""
        return relpath(made, directory) if self._returned is None else self._returned

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        question = read_question(cmd[-1])
        if question is not None:
            self.last_call = HookCall(
                words=tuple(cmd),
                directory=cwd or "",
                variables=dict(extra_environ or {}),
                question=question,
            )
        try:
            self._runner(cmd, cwd, extra_environ)
        except HookFailedError as error:
            if is_missing_hook(error.hook, error.output):
                raise HookMissingError(error.hook) from error
            raise
        self._take_answer(cmd[-2], cmd[-1])

    def _take_answer(self, hook: str, control: str) -> None:
        try:
            returned, warnings = take_answer(control)
        except FileNotFoundError as error:
            raise HookError("hook-answer-invalid", hook, "a file", "none") from error
        except _CONFUSIONS as error:
            raise HookError("hook-answer-invalid", hook, "JSON", _clip(repr(error))) from error
        for self._returned in returned:
            _check_answer(hook, self._returned)
        for warning in warnings:
            self._warn(warning)


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
def _explained(hook: str) -> Generator[None]:
    """Turn what pypa/build and pyproject-hooks have to say into errors of ours."""
    from build import BuildBackendException
    from pyproject_hooks import BackendUnavailable, HookMissing, UnsupportedOperation

    try:
        yield
    except BuildBackendException as wrapped:
        error = wrapped.exception
        if isinstance(error, BackendUnavailable):
            raise _unavailable(error.backend_name or "", str(error.traceback)) from error
        if isinstance(error, HookMissing):
            raise HookMissingError(error.hook_name) from error
        if isinstance(error, UnsupportedOperation):
            raise BackendError("hook-unsupported", hook, str(error.traceback)) from error
        raise error from None


def _unavailable(backend: str, traceback: str) -> BackendError:
    from wheelforge.diagnosis import find_missing_module

    return BackendError("backend-unavailable", backend, traceback, *find_missing_module(traceback))


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}..."
