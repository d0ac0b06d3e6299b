"""What is wrong with how wheelforge was called."""

from __future__ import annotations

from wheelforge.errors._root import BuildError


class OptionInvalidError(BuildError):
    """An option makes no sense with what it was given, or beside another one."""

    code = "option-invalid"
    exit_code = 2

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(option, reason)
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.option}` cannot be used: {self.reason}"
