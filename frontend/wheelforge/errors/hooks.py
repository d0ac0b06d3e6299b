"""Errors of hooks, of the build backend behind them, and of what it makes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from wheelforge.errors.base import BuildError, Kind
from wheelforge_isolation.formats.text import escape_controls

if TYPE_CHECKING:
    from wheelforge.errors.base import Text

TAIL_BYTES = 1 << 16
"""How much of an output is looked at; causes stand near its end."""
_LONGEST_LINE = 1000
_KILLED = -9
_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[^\[\]])?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Colours, links and whatever else a terminal would obey; what else could steer it is escaped."""


def plain_text(output: bytes | str) -> str:
    """Return the end of what a program has printed, safe to show."""
    text = output if isinstance(output, str) else output[-TAIL_BYTES:].decode(errors="replace")
    text = _SEQUENCES.sub("", text[-TAIL_BYTES:])
    # Carriage returns stay: they tell which part of a progress bar was seen last.
    return "\r".join(map(escape_controls, text.split("\r")))


def last_lines(output: bytes | str) -> str:
    """Return the last lines of what a program has printed, to be put after a message."""
    lines = plain_text(output).splitlines()[-20:]
    return "".join(f"\n  {line[:_LONGEST_LINE]}" for line in lines)


def _with_output(sentence: str) -> Callable[[HookError | BackendError], str]:
    """Return the sentence, and after it the last lines of what the hook has printed."""

    def write(error: HookError | BackendError) -> str:
        output = error.output if isinstance(error, HookError) else error.traceback
        return sentence.format_map(vars(error)) + last_lines(output)

    return write


def _describe_timeout(error: HookError) -> str:
    source = f"`{error.source}`: " if error.source else ""
    return f"{source}`{error.hook}` did not end within {error.seconds} s" + _last_output(
        error.output, error.log
    )


def _last_output(output: bytes, log: str) -> str:
    return last_lines(output) + (f"\nall of its output is in `{log}`" if log else "")


class HookError(BuildError):
    """A hook of the build backend did not come to a good end."""

    code = "hook"
    exit_code = 4
    hook: str
    seconds: float
    output: bytes
    source: str
    """The label of what is built; empty where the runner is used by itself, as is ``log``."""
    log: str
    reason: str
    wanted: str
    found: str

    kinds: ClassVar[dict[str, Kind]] = {
        "hook-timed-out": Kind(
            4,
            "hook seconds output source log",
            _describe_timeout,
            "if it would have ended, allow more with `--timeout`",
        ),
        "hook-cancelled": Kind(130, "hook", "`{hook}` was cancelled"),
        "hook-lost": Kind(
            5,
            "hook output",
            _with_output("the process that watched over `{hook}` is gone"),
            "was there enough memory?",
        ),
        "hook-not-started": Kind(5, "hook reason", "`{hook}` cannot be started: {reason}"),
        "hook-answer-invalid": Kind(
            4, "hook wanted found", "`{hook}` should answer with {wanted}, and there is: {found}"
        ),
    }


class HookFailedError(HookError, subprocess.CalledProcessError):
    """The process of a hook has failed.

    Its base elsewhere is what `build` and other users of the runner protocol catch.
    """

    code = "hook-failed"

    def __init__(self, hook: str, status: int, command: tuple[str, ...], output: bytes) -> None:
        subprocess.CalledProcessError.__init__(self, status, command, output)
        self.hook = hook
        self.status = status
        """As a shell has it; negative: the signal that ended it."""

    def __reduce__(self) -> tuple[type[HookFailedError], tuple[object, ...]]:
        return HookFailedError, (self.hook, self.status, self.cmd, self.output)

    def __str__(self) -> str:
        how = f"status {self.status}"
        if -self.status in range(1, 65):
            how = f"signal {-self.status}"
        return f"`{self.hook}` has failed with {how}{last_lines(self.output)}"

    @property
    def hint(self) -> str:
        return "was there enough memory?" if self.status == _KILLED else ""


def _how_to_import(error: BackendError) -> str:
    if error.module:
        return _how_to_require(error.module, error.distribution)
    if error.traceback:
        return ""
    return "check `build-backend`, `backend-path` and `requires` below `[build-system]`"


_SINCE = {"tomllib": "3.11", "annotationlib": "3.14", "compression": "3.14"}


def _how_to_require(module: str, distribution: str) -> str:
    if module in _SINCE:
        return f"it came with Python {_SINCE[module]}: build with that or a newer one (`--python`)"
    named = f'"{distribution}"' if distribution else f"the distribution that has `{module}`"
    return f"add {named} to `requires` below `[build-system]` in the project's pyproject.toml"


class BackendError(BuildError):
    """The build backend cannot be imported, or says that it cannot do something here."""

    hook: str
    backend: str
    traceback: str
    module: str
    """The module that was not found, if that is the reason."""
    distribution: str
    """The distribution that has this module, if it is known."""

    kinds: ClassVar[dict[str, Kind]] = {
        "backend-unavailable": Kind(
            3,
            "backend traceback module distribution",
            _with_output("the build backend `{backend}` cannot be imported"),
            _how_to_import,
        ),
        "hook-unsupported": Kind(
            4, "hook traceback", _with_output("the build backend does not support `{hook}` here")
        ),
    }


class HookMissingError(BuildError):
    """The build backend has no such hook."""

    code = "hook-missing"
    hook: str
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            3,
            "hook",
            "the build backend has no `{hook}`",
            "is `build-system.build-backend` in the project's pyproject.toml what it should be?",
        )
    }


class ResultInvalidError(BuildError):
    """The file that a backend has made is not what it should be; it is not delivered."""

    code = "result-invalid"
    result: str
    reason: str
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            4,
            "result reason",
            "the backend has made `{result}`, which cannot be delivered: {reason}",
            "tell whoever maintains the project, or its build backend",
        )
    }


def _unforeseen(error: UnexpectedError) -> str:
    reason = ": ".join(filter(None, (error.kind, error.reason)))
    return f"`{error.source}` is not built, for a reason that nobody foresaw: {reason}"


class UnexpectedError(BuildError):
    """A mistake in wheelforge itself, or no memory for it."""

    code = "unexpected"
    source: str
    kind: str
    reason: str

    kinds: ClassVar[dict[str, Kind]] = {
        "unexpected": Kind(
            5,
            "source kind reason",
            _unforeseen,
            "build it alone to see where that happens, and report it",
        ),
        "memory-exhausted": Kind(
            5,
            "",
            "there is not enough memory",
            "build fewer at a time with `-j`, or allow this process more",
        ),
    }


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


class Failure(NamedTuple):
    """How a hook of a build backend has failed."""

    source: str
    """The label of what is built."""
    hook: str
    status: int
    """As a shell has it; negative: the signal that ended it."""
    output: bytes = b""
    log: str = ""
    """The file that has all of the output, if there is one."""

    @property
    def phase(self) -> str:
        """The purpose of the hook, in words."""
        return _PHASES.get(self.hook, f"`{self.hook}`")

    def shortened(self) -> Failure:
        """Return it with no more output than anybody looks at."""
        return self._replace(output=self.output[-TAIL_BYTES:])


class BackendFailedError(BuildError):
    """A hook of the build backend has failed; the code tells why, where the output does."""

    code = "backend-failed"
    exit_code = 4
    failure: Failure
    finding: str
    """The thing at fault, as the output calls it."""
    remedy: str
    """The thing that is known to help, if there is one."""

    @property
    def cause(self) -> str:
        """Why it has failed, or nothing if that is not known."""
        return super().__str__()

    @property
    def summary(self) -> str:
        """The failure in one line; without a known cause, the last line of the output tells it."""
        first = str(self).partition("\n")[0]
        last = last_lines(self.failure.output).rpartition("\n")[2].strip()
        return f"{first}: {last}" if last and not self.cause else first

    def __str__(self) -> str:
        failure = self.failure
        why = f": {self.cause}" if self.cause else f" with status {failure.status}"
        output = _last_output(failure.output, failure.log)
        return f"`{failure.source}`: {failure.phase} has failed{why}{output}"


def _if_known(fact: str, text: str, otherwise: str) -> Callable[[BackendFailedError], str]:
    """Return a text for an error that knows this fact, and another one for those that do not."""

    def write(error: BackendFailedError) -> str:
        facts = vars(error)
        return (text if facts[fact] else otherwise).format_map(facts)

    return write


def _how_to_require_it(error: BackendFailedError) -> str:
    way, named = _how_to_require(error.finding, error.remedy), error.remedy or "NAME"
    override = f'`build-requires.add = ["{named}"]` in a file for `--overrides` does the same'
    return way if error.finding in _SINCE else f"{way}; without changing the project, {override}"


def _how_to_find_it(error: BackendFailedError) -> str:
    if "/" in error.finding:
        return "correct the variable that names it: `CC`, `CXX` or one of its kind"
    return f"install {error.remedy or 'it, and see that it is on PATH'}"


def _newer_requirement(error: BackendFailedError) -> str:
    library = error.remedy.partition("<")[0]
    return f"it relies on `{error.finding}`, which a newer `{library}` does not accept"


def _older_requirement(error: BackendFailedError) -> str:
    line = f"`{error.remedy}`" if "<" in error.remedy else f"an older `{error.remedy}`"
    return (
        f"ask for {line} in a file for `--build-constraint`, "
        "or build with what there was when it was published: `--era always`"
    )


_CAUSES: dict[str, tuple[Text, Text]] = {
    "backend-failed": ("", "{remedy}"),
    "header-missing": (
        "the header `{finding}` is missing",
        _if_known(
            "remedy",
            "install {remedy}",
            "install the development files of what has it, unless it is the project's own: "
            "`apt-file search {finding}` or `dnf provides '*/{finding}'` tells",
        ),
    ),
    "library-missing": (
        "the library `{finding}` is missing",
        _if_known("remedy", "install {remedy}", "install its development files"),
    ),
    "tool-missing": ("it needs `{finding}`, which was not found", _how_to_find_it),
    "module-missing": ("the Python module `{finding}` is missing", _how_to_require_it),
    "removed-from-python": (
        "it uses `{finding}`, which newer Pythons do not have",
        _if_known(
            "remedy",
            "look for a newer version of it, or build with `--python {remedy}`",
            "look for a newer version of it",
        ),
    ),
    "requirement-too-new": (_newer_requirement, _older_requirement),
    "build-disk-full": (
        "there is no room on the disk",
        "make room, or name another place with `--cache-dir` or `TMPDIR`",
    ),
    "build-out-of-memory": (
        _if_known(
            "finding",
            "it was ended by {finding}, most often a sign of too little memory",
            "there was too little memory",
        ),
        (
            "let it do less at once; many builds heed `MAX_JOBS=1`, "
            "`CMAKE_BUILD_PARALLEL_LEVEL=1` or `CARGO_BUILD_JOBS=1`"
        ),
    ),
    "build-network": (
        _if_known("finding", "it could not reach `{finding}`", "it could not reach the network"),
        (
            "see that this machine can: what a build fetches by itself comes from no index; in a"
            " sandbox an override has to allow it, by `sandbox.network = true`"
        ),
    ),
    "build-access": (
        _if_known("finding", "it was refused access to `{finding}`", "it was refused access"),
        "whose file is that? A build has to write in its own directories only",
    ),
    "build-crashed": ("it was ended by {finding}", ""),
    "version-unknown": (
        "`{finding}` finds no version control that tells its version",
        "build its sdist, or state the version: `{remedy}=1.0` in the environment",
    ),
    "python-two": (
        "it is written for Python 2 ({finding})",
        "look for a newer version of it, or for what has replaced it",
    ),
    "python-refused": (
        "it refuses this Python ({finding})",
        _if_known(
            "remedy",
            "build with another one: `--python`, or try `{remedy}` in the environment",
            "build with another one: `--python`",
        ),
    ),
}
BackendFailedError.kinds = {
    code: Kind(4, "failure finding remedy", cause, hint) for code, (cause, hint) in _CAUSES.items()
}
