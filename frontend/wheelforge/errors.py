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


class HashesMissingError(BuildError):
    """Hashes were to be stated for everything, and there is something without one."""

    code = "hashes-missing"
    exit_code = 2

    def __init__(self, files: tuple[tuple[str, str], ...]) -> None:
        super().__init__(files)
        self.files = files
        """What is pinned, as ``name==version``, and its SHA-256 if that is known."""

    def __str__(self) -> str:
        return f"no hash is stated for {', '.join(f'`{pin}`' for pin, _ in self.files)}"

    @property
    def hint(self) -> str:
        known = [f"`{pin} --hash=sha256:{sha256}`" for pin, sha256 in self.files if sha256]
        return f"as constraints these would do: {', '.join(known)}" if known else ""


class HashRefusedError(BuildError):
    """A file has none of the hashes that were stated for it."""

    code = "hash-refused"

    def __init__(self, file_name: str, sha256: str, accepted: tuple[str, ...]) -> None:
        super().__init__(file_name, sha256, accepted)
        self.file_name = file_name
        self.sha256 = sha256
        self.accepted = accepted

    def __str__(self) -> str:
        stated = ", ".join(self.accepted)
        return f"`{self.file_name}` has the SHA-256 {self.sha256}, and stated is {stated}"

    @property
    def hint(self) -> str:
        return "do not use it before you know why: it was changed, or the hash is of another file"


class ConstraintsInvalidError(BuildError):
    """A file of constraints cannot be read, or says what means nothing there."""

    code = "constraints-invalid"
    exit_code = 2

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(path, line, reason)
        self.path = path
        self.line = line
        """Counted from 1; 0 where it is about the file."""
        self.reason = reason

    def __str__(self) -> str:
        place = f"`{self.path}`, line {self.line}" if self.line else f"`{self.path}`"
        return f"{place}: {self.reason}"


class TimeInvalidError(BuildError):
    """What should be a point in time is none."""

    code = "time-invalid"
    exit_code = 2

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"`{self.text}` is neither a time nor an age"

    @property
    def hint(self) -> str:
        return "write `2024-05-01`, `2024-05-01T12:00:00Z`, `7 days` or `12 hours`"


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


class IndexSettingsInvalidError(BuildError):
    """What an option, a variable or a configuration file says of an index makes no sense."""

    code = "index-settings-invalid"
    exit_code = 2

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.source}` cannot be used: {self.reason}"


class IndexUnreachableError(BuildError):
    """A server, or a file that an index names, cannot be had."""

    code = "index-unreachable"
    exit_code = 5

    def __init__(self, url: str, problem: str, attempts: int) -> None:
        super().__init__(url, problem, attempts)
        self.url = url
        self.problem = problem
        self.attempts = attempts

    def __str__(self) -> str:
        tried = f", {self.attempts} times" if self.attempts > 1 else ""
        return f"cannot get `{self.url}`{tried}: {self.problem}"

    @property
    def hint(self) -> str:
        if "CERTIFICATE_VERIFY_FAILED" in self.problem:
            return "name the certificates to trust: `PIP_CERT=FILE`, or `cert` in pip.conf"
        return "try again later" if self.attempts > 1 else ""


class IndexRefusedError(BuildError):
    """A server wants to know who is asking, or does not like the answer."""

    code = "index-refused"
    exit_code = 5

    def __init__(self, url: str, status: int) -> None:
        super().__init__(url, status)
        self.url = url
        self.status = status

    def __str__(self) -> str:
        return f"`{self.url}` is not open to us: HTTP {self.status}"

    @property
    def hint(self) -> str:
        return "give credentials in the index's URL, a netrc file or a keyring"


class IndexPageInvalidError(BuildError):
    """What an index answers is no list of files."""

    code = "index-page-invalid"
    exit_code = 5

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(origin, reason)
        self.origin = origin
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.origin}` is no package index: {self.reason}"

    @property
    def hint(self) -> str:
        return "the URL of an index often ends in `/simple/`"


class PackageNotFoundError(BuildError):
    """No index and no directory knows the name."""

    code = "package-not-found"
    exit_code = 3

    def __init__(self, name: str, searched: tuple[str, ...]) -> None:
        super().__init__(name, searched)
        self.name = name
        self.searched = searched

    def __str__(self) -> str:
        places = ", ".join(f"`{place}`" for place in self.searched) or "no place at all"
        return f"there is no `{self.name}` at {places}"

    @property
    def hint(self) -> str:
        return "check its spelling, and which indexes are asked"


class MetadataInvalidError(BuildError):
    """A file does not say what it asks for, or is not what its name says."""

    code = "metadata-invalid"
    exit_code = 3

    def __init__(self, file_name: str, reason: str) -> None:
        super().__init__(file_name, reason)
        self.file_name = file_name
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.file_name}` is of no use: {self.reason}"

    @property
    def hint(self) -> str:
        return "exclude that version, and tell whoever published it"


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


class DownloadMismatchError(BuildError):
    """A file is not the one that its index describes."""

    code = "download-mismatch"
    exit_code = 5

    def __init__(self, file_name: str, origin: str, difference: tuple[str, str, str]) -> None:
        super().__init__(file_name, origin, difference)
        self.file_name = file_name
        self.origin = origin
        self.difference = difference

    def __str__(self) -> str:
        what, wanted, found = self.difference
        stated = f"`{self.origin}` says that the {what} of `{self.file_name}` is {wanted}"
        return f"{stated}, and it is {found}"

    @property
    def hint(self) -> str:
        return "do not use it before you know why: it was changed on the way, or at its source"


class DownloadUnwritableError(BuildError):
    """A file came, and could not be put where it was wanted."""

    code = "download-unwritable"
    exit_code = 5

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"cannot write the download `{self.path}`: {self.problem}"


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


def last_lines(output: bytes | str) -> str:
    """Return the end of what a program has printed, to be put after a message."""
    text = output if isinstance(output, str) else output.decode(errors="replace")
    return "".join(f"\n  {line}" for line in text.splitlines()[-20:])
