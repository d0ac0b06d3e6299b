"""What is wrong with what somebody wants built."""

from __future__ import annotations

from wheelforge.errors.root import BuildError

_SHOWN = 10


class SourceInvalidError(BuildError):
    """What was named is neither a path that exists nor anything that an sdist could be had by."""

    code = "source-invalid"
    exit_code = 2

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.source}` is nothing that can be built: {self.reason}"


class SourceNotFoundError(BuildError):
    """The name is known, and there is no sdist of the versions that were asked for."""

    code = "source-not-found"
    exit_code = 3

    def __init__(
        self, requirement: str, reasons: tuple[str, ...], versions: tuple[str, ...]
    ) -> None:
        super().__init__(requirement, reasons, versions)
        self.requirement = requirement
        self.reasons = reasons
        self.versions = versions
        """Of which there are sdists, newest first."""

    def __str__(self) -> str:
        return f"there is no sdist for `{self.requirement}`: {'; '.join(self.reasons)}"

    @property
    def hint(self) -> str:
        if not self.versions:
            return ""
        rest = ", …" if len(self.versions) > _SHOWN else ""
        return f"there are sdists of {', '.join(self.versions[:_SHOWN])}{rest}"
