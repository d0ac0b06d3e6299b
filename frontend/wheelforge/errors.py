"""What can go wrong in a build, as facts."""

from __future__ import annotations

from wheelforge_isolation import ForgeError


class BuildError(ForgeError):
    """The root of this package's errors."""

    code = "build"


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


class BackendFailedError(BuildError):
    """The project's build backend, or what it needs, failed."""

    code = "backend-failed"
    exit_code = 4

    def __init__(self, source: str, reason: str, output: str = "") -> None:
        super().__init__(source, reason, output)
        self.source = source
        self.reason = reason
        self.output = output

    def __str__(self) -> str:
        tail = "".join(f"\n  {line}" for line in self.output.splitlines()[-20:])
        return f"`{self.source}`: {self.reason}{tail}"
