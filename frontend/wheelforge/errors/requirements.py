"""Why the requirements of a build cannot be met."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


class RequirementInvalidError(BuildError):
    """A requirement or a constraint is not one, or not one that can be met here."""

    code = "requirement-invalid"
    exit_code = 3

    def __init__(self, requirement: str, whose: str, reason: str) -> None:
        super().__init__(requirement, whose, reason)
        self.requirement = requirement
        self.whose = whose
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.requirement}`, a requirement of {self.whose}, is of no use: {self.reason}"


class RequirementsConflictError(BuildError):
    """There are no files that satisfy all that is asked for."""

    code = "requirements-conflict"
    exit_code = 3

    def __init__(self, names: tuple[str, ...], summary: str, details: tuple[str, ...]) -> None:
        super().__init__(names, summary, details)
        self.names = names
        self.summary = summary
        self.details = details

    def __str__(self) -> str:
        return "\n  ".join((self.summary, *self.details))


class ResolutionUnfinishedError(BuildError):
    """There may be an answer, and it was not found in reasonable time."""

    code = "resolution-unfinished"
    exit_code = 3

    def __init__(self, subject: str, rounds: int) -> None:
        super().__init__(subject, rounds)
        self.subject = subject
        self.rounds = rounds

    def __str__(self) -> str:
        return f"the requirements of {self.subject} were not resolved in {self.rounds} rounds"

    @property
    def hint(self) -> str:
        return "name versions, in the requirements or with `--build-constraint`"


class BuildCycleError(BuildError):
    """To build something it would have to be there already."""

    code = "build-cycle"
    exit_code = 3

    def __init__(self, ring: tuple[str, ...]) -> None:
        super().__init__(ring)
        self.ring = ring

    def __str__(self) -> str:
        return f"{' needs '.join(f'`{name}`' for name in self.ring)} to be built"

    @property
    def hint(self) -> str:
        return f"a wheel of {' or '.join(f'`{name}`' for name in self.ring[:-1])} ends the ring"


class NeedsBuildError(BuildError):
    """What an sdist asks for is known only once it is built, which is not possible here."""

    code = "needs-build"
    exit_code = 3

    def __init__(self, file_name: str, origin: str) -> None:
        super().__init__(file_name, origin)
        self.file_name = file_name
        self.origin = origin

    def __str__(self) -> str:
        return f"`{self.file_name}` at `{self.origin}` would have to be built first"


class NotRememberedError(BuildError):
    """Without a network only what was resolved before is known, and this was not."""

    code = "not-remembered"

    def __init__(self, requirements: tuple[str, ...], subject: str, circumstances: str) -> None:
        super().__init__(requirements, subject, circumstances)
        self.requirements = requirements
        self.subject = subject
        self.circumstances = circumstances

    def __str__(self) -> str:
        wanted = ", ".join(f"`{requirement}`" for requirement in self.requirements)
        return (
            f"what {self.subject} needs was never resolved here with these settings, "
            f"for {self.circumstances}: {wanted or 'nothing'}"
        )

    @property
    def hint(self) -> str:
        return "build it once without `--offline`"


class OfflineError(BuildError):
    """Without a network only files that are kept can be used, and this one is not."""

    code = "offline"

    def __init__(self, file: str, subject: str) -> None:
        super().__init__(file, subject)
        self.file = file
        self.subject = subject

    def __str__(self) -> str:
        return f"`{self.file}`, which {self.subject} needs, is not in the cache"

    @property
    def hint(self) -> str:
        return "build it once without `--offline`"


class RequirementsUnmetError(BuildError):
    """Without isolation a Python has to have what a build needs, and this one does not."""

    code = "requirements-unmet"
    exit_code = 3

    def __init__(self, subject: str, missing: tuple[str, ...]) -> None:
        super().__init__(subject, missing)
        self.subject = subject
        self.missing = missing
        """Each requirement, after those that lead to it."""

    def __str__(self) -> str:
        wanted = "".join(f"\n  {path}" for path in self.missing)
        return f"what {self.subject} needs is not installed:{wanted}"

    @property
    def hint(self) -> str:
        return "install it, leave out `--no-isolation`, or do not check: `--skip-dependency-check`"
