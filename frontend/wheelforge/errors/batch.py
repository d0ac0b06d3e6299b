"""What can go wrong in one build of many, and nowhere else."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


class RequirementFailedError(BuildError):
    """What a build requires was to be built before it, and could not be."""

    code = "requirement-failed"
    exit_code = 3

    def __init__(self, source: str, requirement: str) -> None:
        super().__init__(source, requirement)
        self.source = source
        self.requirement = requirement

    def __str__(self) -> str:
        return f"`{self.source}` is not built: it requires `{self.requirement}`, which has failed"


class UnexpectedError(BuildError):
    """A mistake in wheelforge, which has ended one build of many."""

    code = "unexpected"
    exit_code = 5

    def __init__(self, source: str, kind: str, reason: str) -> None:
        super().__init__(source, kind, reason)
        self.source = source
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.source}` is not built, for a reason that nobody foresaw: {self.what}"

    @property
    def what(self) -> str:
        """What was not foreseen."""
        return ": ".join(filter(None, (self.kind, self.reason)))

    @property
    def hint(self) -> str:
        return "build it alone to see where that happens, and report it"


class MemoryExhaustedError(BuildError):
    """This process was given no more memory."""

    code = "memory-exhausted"
    exit_code = 5

    def __str__(self) -> str:
        return "there is not enough memory"

    @property
    def hint(self) -> str:
        return "build fewer at a time with `-j`, or allow this process more"
