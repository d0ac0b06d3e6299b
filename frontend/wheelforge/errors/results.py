"""What is wrong with what a backend has made."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


class ResultInvalidError(BuildError):
    """What a backend has made is not what it should be; it is not delivered."""

    code = "result-invalid"
    exit_code = 4

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(result, reason)
        self.result = result
        self.reason = reason

    def __str__(self) -> str:
        return f"the backend has made `{self.result}`, which cannot be delivered: {self.reason}"

    @property
    def hint(self) -> str:
        return "tell whoever maintains the project, or its build backend"
