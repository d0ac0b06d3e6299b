"""The hooks of one project's backend, asked through pyproject-hooks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from wheelforge._models import Kind
from wheelforge._runners import read_question, take_warnings
from wheelforge.errors import (
    BackendUnavailableError,
    HookAnswerInvalidError,
    HookMissingError,
    HookUnsupportedError,
)
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from wheelforge._models import BuildEnvironment, Runner
    from wheelforge._project import Project

_HOOKS = {
    Kind.SDIST: "build_sdist",
    Kind.WHEEL: "build_wheel",
    Kind.EDITABLE: "build_editable",
    Kind.METADATA: "prepare_metadata_for_build_wheel",
}
_REQUIRES_HOOKS = {
    Kind.SDIST: "get_requires_for_build_sdist",
    Kind.WHEEL: "get_requires_for_build_wheel",
    Kind.EDITABLE: "get_requires_for_build_editable",
    Kind.METADATA: "get_requires_for_build_wheel",
}
_CONFUSIONS = (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError)
_LONGEST_FOUND = 200


class HookCall(Value):
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
        from pyproject_hooks import BuildBackendHookCaller

        self.last_call: HookCall | None = None
        self._environment = environment
        self._runner = runner
        self._warn = warn
        self._settings = config_settings
        self._caller = BuildBackendHookCaller(
            str(project.root),
            project.backend,
            backend_path=project.backend_path or None,
            runner=self._run,
            python_executable=environment.python_executable,
        )

    def ask_requirements(self, kind: Kind) -> frozenset[str]:
        """Return what the backend wants to have for ``kind``, beyond what the project says."""
        hook = _REQUIRES_HOOKS[kind]
        with _explained(hook):
            answer: object = getattr(self._caller, hook)(self._settings)
        found = _clip(repr(answer))
        texts = cast("list[object]", answer) if isinstance(answer, list) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise HookAnswerInvalidError(hook, "a list of requirements", found)
        return frozenset(map(str, texts))

    def build(self, kind: Kind, directory: Path) -> object:
        """Have ``kind`` made in ``directory``; return what should be its name there."""
        hook = _HOOKS[kind]
        options = {"_allow_fallback": False} if kind is Kind.METADATA else {}
        with _explained(hook):
            return getattr(self._caller, hook)(str(directory), self._settings, **options)

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        variables = {**(self._environment.make_extra_environ() or {}), **(extra_environ or {})}
        question = read_question(cmd[-1])
        if question is not None:
            self.last_call = HookCall(
                words=tuple(cmd), directory=cwd or "", variables=variables, question=question
            )
        self._runner(cmd, cwd, variables)
        self._tell_warnings(cmd[-2], cmd[-1])

    def _tell_warnings(self, hook: str, control: str) -> None:
        try:
            warnings = take_warnings(control)
        except FileNotFoundError as error:
            raise HookAnswerInvalidError(hook, "a file", "none") from error
        except _CONFUSIONS as error:
            raise HookAnswerInvalidError(hook, "JSON", _clip(repr(error))) from error
        for warning in warnings:
            self._warn(warning)


@contextlib.contextmanager
def _explained(hook: str) -> Generator[None]:
    """Turn what pyproject-hooks has to say into errors of ours."""
    from pyproject_hooks import BackendUnavailable, HookMissing, UnsupportedOperation

    try:
        yield
    except BackendUnavailable as error:
        raise _unavailable(error.backend_name or "", str(error.traceback)) from error
    except HookMissing as error:
        raise HookMissingError(error.hook_name) from error
    except UnsupportedOperation as error:
        raise HookUnsupportedError(hook, str(error.traceback)) from error


def _unavailable(backend: str, traceback: str) -> BackendUnavailableError:
    from wheelforge._diagnosis import find_missing_module

    return BackendUnavailableError(backend, traceback, *find_missing_module(traceback))


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}..."
