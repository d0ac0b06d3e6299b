"""How a caller can be mistaken: an option, a request, a forge that is closed."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


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


class RequestInvalidError(BuildError):
    """A field of a build request has another type than it says, or a path is not absolute."""

    code = "request-invalid"
    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the build request is invalid: {self.reason}"


class ForgeClosedError(BuildError):
    """A forge was used after the end of its `open_forge` block."""

    code = "forge-closed"
    exit_code = 2

    def __str__(self) -> str:
        return "the forge is closed: its `open_forge` block has ended"


class BuildCancelledError(BuildError):
    """A build was cancelled before it was done."""

    code = "build-cancelled"
    exit_code = 130

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label

    def __str__(self) -> str:
        return f"the build of `{self.label}` was cancelled"
