"""The options under which a runner runs hooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wheelforge.hooks.runner import HookResult


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
    on_start: Callable[[str], None] | None = None
    """Hears the name of every hook that has been started."""
    on_ending: Callable[[HookResult], None] | None = None
    """Hears of every hook that has ended, well or not."""
    is_cancelled: Callable[[], bool] = _never
    """For a runner of an embedder's own: whether nobody wants what it runs any longer."""
