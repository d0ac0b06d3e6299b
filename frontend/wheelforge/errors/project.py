"""What is wrong with the project."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


class ProjectInvalidError(BuildError):
    """The source is no project that could be built."""

    code = "project-invalid"
    exit_code = 3

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.source}` cannot be built: {self.reason}"
