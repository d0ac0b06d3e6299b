"""What is asked of a runner, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HOOK_POSITION = 2


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class HookOptions:
    """Under which terms the hooks of one build run.

    Whoever asks for a runner says so with it; a runner of an embedder's own is told so by it.
    What is called is called by the thread that runs the hook, unless it is said otherwise.
    """

    base: Mapping[str, str] = field(default_factory=dict[str, str])
    """The variables that a hook's own are laid over; nothing is taken from this process."""
    timeout_seconds: float | None = None
    """For each hook."""
    grace_seconds: float = 3.0
    """Between asking a hook to end and killing it."""
    log: IO[bytes] | None = None
    """Gets all that hooks print; stays open."""
    on_output: Callable[[bytes], None] | None = None
    """Gets what hooks print, line by line, from the thread that runs the hook or another one."""
    on_ending: Callable[[HookResult], None] | None = None
    """Hears of every hook that has ended, well or not."""
    is_cancelled: Callable[[], bool] = _never
    """For a runner of an embedder's own: whether nobody wants what it runs any longer."""


class HookResult(NamedTuple):
    """How a hook has ended."""

    hook: str
    status: int
    """As a shell has it; negative: the signal that ended it."""
    output: bytes
    """The last of what was printed."""
    seconds: float
    forked: bool
    reason: str = ""
    """Why it was not forked although that was asked for."""
    peak_bytes: int = 0
    """The most memory that one of its processes had; 0: not known."""
    cpu_seconds: float = 0.0
    """Of all its processes; 0: not known."""
    strays: int = 0
    """Processes that were left behind, and ended."""


class Command(NamedTuple):
    """One hook to be run."""

    words: tuple[str, ...]
    directory: str
    """Nothing for where the server or this process is."""
    environment: Mapping[str, str]

    @property
    def hook(self) -> str:
        """The name of the hook, or of whatever else is run."""
        return self.words[min(_HOOK_POSITION, len(self.words) - 1)]


class Outcome(NamedTuple):
    """What is known of processes that have ended."""

    status: int
    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    strays: int = 0
    late: bool = False
    """Whether it was ended because its time was over."""
    is_lost: bool = False
    """Whether the process that should have ended it does not answer."""


class Unserved(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """A server could not take a command on; nothing has been run."""
