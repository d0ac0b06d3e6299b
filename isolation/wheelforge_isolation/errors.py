"""Everything that can go wrong below the frontend, as facts.

One root, so that one ``except ForgeError`` catches all. Facts are attributes, the text is derived
from them, advice stands apart in ``hint``; ``args`` equals the constructor's arguments, so every
error survives a trip between processes.
"""

from __future__ import annotations

import errno
import re
from typing import ClassVar

NAME_LIMIT = 200
"""How much of a foreign name a message repeats; a hostile archive chooses the names."""
_PYTHON_TAG = re.compile(
    r"(?!(?:c?python|pypy)?-?\d+\.)(cp|py|pp|c?python|pypy)?[@-]?(3)\.?(\d+)(t?)"
)
"""`cp311`, `py311`, `311`, `python@3.11`: a version as tags, tox and uv spell it."""
_MOST_PLACES = 5
"""How many directories are named; a longer PATH is counted."""


def quoted(name: str) -> str:
    """Return ``name`` safe to print: escaped, cut, in backticks."""
    if not name.isprintable():
        name = name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return f"`{name[:NAME_LIMIT]}{'…' if len(name) > NAME_LIMIT else ''}`"


class ForgeError(Exception):
    """The root of every error of both packages."""

    code: str = "forge"
    exit_code: int = 5
    advice: str = ""
    """The hint, where it is the same for all errors of a class."""

    @property
    def hint(self) -> str:
        """Advice to the reader, or nothing."""
        return self.advice


class IsolationError(ForgeError):
    """The root of this package's errors."""

    code = "isolation"


class ArchiveError(IsolationError):
    """An archive breaks a rule; nothing of it was left on disk. The rule decides on the code."""

    code = "archive"
    exit_code = 3
    codes: ClassVar[dict[str, str]] = {
        "D": "archive-members-clash",
        "F": "archive-damaged",
        "L": "archive-member-link",
        "N": "archive-member-name",
        "S": "archive-member-type",
        "X": "archive-too-large",
        "Y": "archive-layout",
        "Z": "archive-damaged",
        **dict.fromkeys(("F21", "Z10", "Z11"), "archive-kind"),
        **dict.fromkeys(("F23", "L6", "L7", "L8", "L17", "N2"), "archive-member-escapes"),
        **dict.fromkeys(("N13", "Z6"), "archive-members-clash"),
        "Z13": "archive-member-link",
    }
    """By the number of the rule, or else by its family."""

    def __init__(self, archive: str, rule: str, reason: str, member: str = "") -> None:
        super().__init__(archive, rule, reason, member)
        self.archive = archive
        self.rule = rule
        self.reason = reason
        self.member = member
        self.code = self.codes.get(rule) or self.codes.get(rule[:1], self.code)

    def __str__(self) -> str:
        return f"cannot unpack {quoted(self.archive)}: {self.reason} [{self.rule}]"

    @property
    def hint(self) -> str:
        return self.advice or HINTS.get(self.rule, "") or HINTS.get(self.code, "")


class WheelInvalidError(ArchiveError):
    """A wheel is a sound archive, and contradicts itself or its file name."""

    code = "wheel-invalid"
    codes: ClassVar[dict[str, str]] = {}
    advice = "do not install this file; tell whoever published it"

    def __str__(self) -> str:
        return f"{quoted(self.archive)} is no valid wheel: {self.reason} [{self.rule}]"


HINTS = {
    "archive-damaged": "download it again; if that does not help, tell whoever published it",
    "archive-member-escapes": "do not build this archive; report it to whoever published it",
    "archive-too-large": "if you trust the archive, raise the limit",
    "L7": "it seems to contain a virtual environment, which its author should exclude",
    "N13": "unpack it on a file system that tells upper from lower case",
    "S4": "its author should pack it again without `--sparse`",
}


class FileAccessError(IsolationError):
    """The operating system refused something to us."""

    code = "file-access"

    def __init__(self, action: str, path: str, problem: str) -> None:
        super().__init__(action, path, problem)
        self.action = action
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"cannot {self.action} {quoted(self.path)}: {self.problem}"


class DiskFullError(FileAccessError):
    """There is no room, or no quota, for what is to be written."""

    code = "disk-full"
    advice = "free some space there, or choose another place"


class FileHeldError(FileAccessError):
    """Another program kept a file open for longer than we wait."""

    code = "file-held"
    advice = "a virus scanner, an indexer or an editor may hold it; exclude the directory there"


class LinksUnavailableError(FileAccessError):
    """Links were to be kept, and the file system has none."""

    code = "links-unavailable"
    advice = "ask for copies instead: `--links copy`"


class FileMissingError(FileAccessError):
    """There is no file at the path that was named."""

    code = "file-missing"
    exit_code = 2


class PathError(IsolationError):
    """The root of errors about one path, of which nothing else needs to be told."""

    sentence = ""
    """With braces where the path stands; so may be the advice."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return self.sentence.format(quoted(self.path))

    @property
    def hint(self) -> str:
        return self.advice.format(self.path)


class DestinationNotEmptyError(PathError):
    """The directory to unpack into already holds something, which stays as it is."""

    code = "destination-not-empty"
    exit_code = 2
    sentence = "{} is not an empty directory"
    advice = "name a directory that is empty or does not exist yet"


class CacheUnavailableError(IsolationError):
    """A cache cannot be made where it should be."""

    code = "cache-unavailable"
    advice = "name another place with `--cache-dir`, or do without a cache: `--no-cache`"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"cannot use {quoted(self.path)} as the cache: {self.problem}"


class CacheForeignError(IsolationError):
    """Another user can change what is in the cache, so nothing in it can be believed."""

    code = "cache-foreign"
    advice = "with sudo, use `sudo -H`; otherwise name another cache with `--cache-dir`"

    def __init__(self, path: str, owner: str, user: str) -> None:
        super().__init__(path, owner, user)
        self.path = path
        self.owner = owner
        self.user = user

    def __str__(self) -> str:
        return f"the cache {quoted(self.path)} belongs to {self.owner}, not to {self.user}"


class CacheFileError(IsolationError):
    """A file is not what an export of a cache writes, so nothing of it is taken over."""

    code = "cache-file-invalid"
    exit_code = 3

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{quoted(self.path)} cannot be imported: {self.reason}"


class CacheSharedError(PathError):
    """A cache is set up for a group of users."""

    code = "cache-shared"
    sentence = "the cache {} can be written to by a group; caches are private"
    advice = "make it private: `chmod g-ws,o-w {}`; let others use their own cache"


class StageRootSharedError(PathError):
    """Other users can change what is in the directory that builds run in."""

    code = "stage-dir-shared"
    sentence = "other users can write to {}, so no build is run in it"
    advice = "name a directory of your own with `--stage-dir`, such as a new one in it"


class StageLostError(PathError):
    """The directory of a build was removed or replaced while the build was running."""

    code = "stage-lost"
    sentence = "the directory of the build was removed or replaced meanwhile: {}"
    advice = "build again; do not delete the cache while builds run, use `wheelforge cache clear`"


class LocksUnavailableError(PathError):
    """The file system cannot lock, so a dead owner looks like a living one."""

    code = "locks-unavailable"
    sentence = "the file system of {} has no locks"
    advice = "put the cache on a local file system"


class DirectoryHeldError(PathError):
    """A directory would have to be built while it is being built, by the same thread."""

    code = "directory-held"
    exit_code = 3
    sentence = "to build {} it would have to be built already"
    advice = "let nothing that it requires come from the directory itself"


class WaitCancelledError(PathError):
    """The wait for a directory that another process builds in was cancelled."""

    code = "wait-cancelled"
    exit_code = 130
    sentence = "no longer waiting for {}, which is being built elsewhere"


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHARING = {5, 32, 33}
"""Windows' access denied, sharing violation and lock violation."""


def is_full(error: OSError) -> bool:
    """Return whether there is no room for what was to be written."""
    return error.errno in _FULL


def is_held_elsewhere(error: OSError) -> bool:
    """Return whether Windows says that another program has the file open."""
    return getattr(error, "winerror", None) in _SHARING


def file_access_error(action: str, path: str, error: OSError) -> FileAccessError:
    """Translate what the operating system said while doing ``action`` to ``path``."""
    kind = FileAccessError
    if is_full(error):
        kind = DiskFullError
    elif is_held_elsewhere(error):
        kind = FileHeldError
    return kind(action, path, error.strerror or str(error))


class InterpreterNotFoundError(IsolationError):
    """No Python fits the request."""

    code = "interpreter-not-found"
    exit_code = 2
    advice = "install it, or give the path of its executable: `--python PATH`"

    def __init__(
        self, request: str, searched: tuple[str, ...], passed_over: tuple[str, ...] = ()
    ) -> None:
        super().__init__(request, searched, passed_over)
        self.request = request
        self.searched = searched
        self.passed_over = passed_over

    def __str__(self) -> str:
        if self.searched == (self.request,):
            return f"there is no Python at {quoted(self.request)}"
        places = ", ".join(map(quoted, self.searched)) or "no directory at all"
        if len(self.searched) > _MOST_PLACES:
            places = f"the {len(self.searched)} directories of PATH"
        passed_over = "".join(f"; passed over: {reason}" for reason in self.passed_over)
        return f"cannot find a Python for {quoted(self.request)} in {places}{passed_over}"

    @property
    def hint(self) -> str:
        """The version as it is written here, if the request names one as a tag does, or several."""
        if re.fullmatch(r"[\w.@-]+(?:,[\w.@-]+)+", self.request):
            return f"did you mean `--python {self.request.replace(',', ' --python ')}`?"
        found = _PYTHON_TAG.fullmatch(self.request)
        if not found:
            return self.advice
        implementation, major, minor, threads = found.groups()
        prefix = "pypy" if implementation in {"pp", "pypy"} else ""
        return f"did you mean `{prefix}{major}.{minor}{threads}`?"


class InterpreterUnusableError(IsolationError):
    """A program cannot be run, or does not answer as a Python interpreter."""

    code = "interpreter-unusable"
    exit_code = 2

    def __init__(self, executable: str, problem: str) -> None:
        super().__init__(executable, problem)
        self.executable = executable
        self.problem = problem

    def __str__(self) -> str:
        return f"{quoted(self.executable)} is not a usable Python interpreter: {self.problem}"

    @property
    def hint(self) -> str:
        return f"see what {quoted(f'{self.executable} --version')} says"


class InterpreterTooOldError(IsolationError):
    """A Python is older than the oldest that builds are run with."""

    code = "interpreter-too-old"
    exit_code = 2

    def __init__(self, executable: str, version: str, oldest: str) -> None:
        super().__init__(executable, version, oldest)
        self.executable = executable
        self.version = version
        self.oldest = oldest

    def __str__(self) -> str:
        return f"{quoted(self.executable)} is Python {self.version}, which is too old to build with"

    @property
    def hint(self) -> str:
        return f"use Python {self.oldest} or newer"


class HashMismatchError(IsolationError):
    """A file is not the one that was asked for."""

    code = "hash-mismatch"
    advice = "do not use it before you know why: it was changed on the way, or at its source"

    def __init__(self, name: str, wanted: str, found: str) -> None:
        super().__init__(name, wanted, found)
        self.name = name
        self.wanted = wanted
        self.found = found

    def __str__(self) -> str:
        return f"{quoted(self.name)} has the SHA-256 {self.found}, and {self.wanted} was expected"


class EnvironmentFailedError(IsolationError):
    """An environment could not be made."""

    code = "environment-failed"

    def __init__(self, python: str, reason: str) -> None:
        super().__init__(python, reason)
        self.python = python
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot make an environment with {quoted(self.python)}: {self.reason}"
