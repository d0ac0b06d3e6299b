"""What a build backend has done wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wheelforge.errors.output import TAIL_BYTES, last_lines
from wheelforge.errors.root import BuildError

_PHASES = {
    "get_requires_for_build_wheel": "asking what its wheel needs",
    "get_requires_for_build_sdist": "asking what its sdist needs",
    "get_requires_for_build_editable": "asking what an editable install of it needs",
    "prepare_metadata_for_build_wheel": "preparing its metadata",
    "prepare_metadata_for_build_editable": "preparing its metadata",
    "build_wheel": "building the wheel",
    "build_sdist": "making the sdist",
    "build_editable": "building the editable wheel",
}


def how_to_require(module: str, distribution: str = "") -> str:
    """Return where to name the distribution that has ``module``, which may not be known."""
    what = f'"{distribution}"' if distribution else f"the distribution that has `{module}`"
    return f"add {what} to `requires` below `[build-system]` in the project's pyproject.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """How a hook of a build backend has failed."""

    source: str
    """What is built, as people call it."""
    hook: str
    status: int
    """As a shell has it; negative: the signal that ended it."""
    output: bytes = b""
    log: str = ""
    """The file that has all of the output, if there is one."""

    @property
    def phase(self) -> str:
        """What the hook is for, in words."""
        return _PHASES.get(self.hook, f"`{self.hook}`")

    def shortened(self) -> Failure:
        """Return it with no more output than anybody looks at."""
        return replace(self, output=self.output[-TAIL_BYTES:])


class BackendFailedError(BuildError):
    """A hook of the build backend has failed; the kinds below know why."""

    code = "backend-failed"
    exit_code = 4

    def __init__(self, failure: Failure, finding: str = "", remedy: str = "") -> None:
        super().__init__(failure, finding, remedy)
        self.failure = failure
        self.finding = finding
        """What is at fault, as the output calls it."""
        self.remedy = remedy
        """What is known to help, if something is."""

    def __str__(self) -> str:
        failure = self.failure
        why = f": {self.cause}" if self.cause else f" with status {failure.status}"
        log = f"\nall of its output is in `{failure.log}`" if failure.log else ""
        return (
            f"`{failure.source}`: {failure.phase} has failed{why}{last_lines(failure.output)}{log}"
        )

    @property
    def cause(self) -> str:
        """Why it has failed, or nothing if that is not known."""
        return ""


class BackendUnavailableError(BuildError):
    """The build backend cannot be imported."""

    code = "backend-unavailable"
    exit_code = 3

    def __init__(
        self, backend: str, traceback: str, module: str = "", distribution: str = ""
    ) -> None:
        super().__init__(backend, traceback, module, distribution)
        self.backend = backend
        self.traceback = traceback
        self.module = module
        """The module that was not found, if that is the reason."""
        self.distribution = distribution
        """The distribution that has this module, if it is known."""

    def __str__(self) -> str:
        return f"the build backend `{self.backend}` cannot be imported{last_lines(self.traceback)}"

    @property
    def hint(self) -> str:
        return how_to_require(self.module, self.distribution) if self.module else ""


class HookMissingError(BuildError):
    """The build backend has no such hook."""

    code = "hook-missing"
    exit_code = 3

    def __init__(self, hook: str) -> None:
        super().__init__(hook)
        self.hook = hook

    def __str__(self) -> str:
        return f"the build backend has no `{self.hook}`"

    @property
    def hint(self) -> str:
        return "is `build-system.build-backend` in the project's pyproject.toml what it should be?"


class HookUnsupportedError(BuildError):
    """The build backend says that it cannot do this here."""

    code = "hook-unsupported"
    exit_code = 4

    def __init__(self, hook: str, traceback: str) -> None:
        super().__init__(hook, traceback)
        self.hook = hook
        self.traceback = traceback

    def __str__(self) -> str:
        return f"the build backend does not support `{self.hook}` here{last_lines(self.traceback)}"
