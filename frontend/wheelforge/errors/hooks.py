"""How the process of a hook can come to a bad end."""

from __future__ import annotations

from wheelforge.errors.output import last_lines
from wheelforge.errors.root import BuildError


class HookError(BuildError):
    """A hook of the build backend did not come to a good end."""

    code = "hook"
    exit_code = 4


class HookTimedOutError(HookError):
    """A hook was ended because it took too long."""

    code = "hook-timed-out"

    def __init__(self, hook: str, seconds: float, output: bytes) -> None:
        super().__init__(hook, seconds, output)
        self.hook = hook
        self.seconds = seconds
        self.output = output

    def __str__(self) -> str:
        return f"`{self.hook}` did not end within {self.seconds} s{last_lines(self.output)}"

    @property
    def hint(self) -> str:
        return "if it would have ended, allow more with `--timeout`"


class HookCancelledError(HookError):
    """A hook was ended, or not begun, because somebody asked for that."""

    code = "hook-cancelled"
    exit_code = 130

    def __init__(self, hook: str) -> None:
        super().__init__(hook)
        self.hook = hook

    def __str__(self) -> str:
        return f"`{self.hook}` was cancelled"


class HookLostError(HookError):
    """The process that watches over a hook is gone, and nobody knows how the hook has ended."""

    code = "hook-lost"
    exit_code = 5

    def __init__(self, hook: str, output: bytes) -> None:
        super().__init__(hook, output)
        self.hook = hook
        self.output = output

    def __str__(self) -> str:
        return f"the process that watched over `{self.hook}` is gone{last_lines(self.output)}"

    @property
    def hint(self) -> str:
        return "was there enough memory?"


class HookNotStartedError(HookError):
    """No process could be made for a hook."""

    code = "hook-not-started"
    exit_code = 5

    def __init__(self, hook: str, reason: str) -> None:
        super().__init__(hook, reason)
        self.hook = hook
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.hook}` cannot be started: {self.reason}"


class HookAnswerInvalidError(HookError):
    """A hook has given an answer that means nothing, or none at all."""

    code = "hook-answer-invalid"

    def __init__(self, hook: str, wanted: str, found: str) -> None:
        super().__init__(hook, wanted, found)
        self.hook = hook
        self.wanted = wanted
        self.found = found

    def __str__(self) -> str:
        return f"`{self.hook}` should answer with {self.wanted}, and there is: {self.found}"
