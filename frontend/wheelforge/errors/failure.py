"""The error of a hook that failed, for those who know us and for those who know `subprocess`."""

from __future__ import annotations

import subprocess

from wheelforge.errors.hooks import HookError
from wheelforge.errors.output import last_lines

_SIGNALS = {-number: f"signal {number}" for number in range(1, 65)}
_HINTS = {-9: "was there enough memory?"}


class HookFailedError(HookError, subprocess.CalledProcessError):
    """The process of a hook has failed.

    Its base elsewhere is what `build` and other users of the runner protocol catch.
    """

    code = "hook-failed"

    def __init__(self, hook: str, status: int, command: tuple[str, ...], output: bytes) -> None:
        super().__init__(status, command, output)
        self.hook = hook
        self.status = status
        """As a shell has it; negative: the signal that ended it."""

    def __reduce__(self) -> tuple[type[HookFailedError], tuple[object, ...]]:
        return HookFailedError, (self.hook, self.status, self.cmd, self.output)

    def __str__(self) -> str:
        how = _SIGNALS.get(self.status, f"status {self.status}")
        return f"`{self.hook}` has failed with {how}{last_lines(self.output)}"

    @property
    def hint(self) -> str:
        return _HINTS.get(self.status, "")
