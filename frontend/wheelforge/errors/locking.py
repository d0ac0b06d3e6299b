"""What is wrong with a lock, or with what is built by it."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


class LockInvalidError(BuildError):
    """A file is no lock that builds could go by."""

    code = "lock-invalid"
    exit_code = 2

    def __init__(self, lock: str, place: str, reason: str) -> None:
        super().__init__(lock, place, reason)
        self.lock = lock
        self.place = place
        """The path of the wrong value; empty where it is about the file."""
        self.reason = reason

    def __str__(self) -> str:
        place = f", `{self.place}`" if self.place else ""
        return f"`{self.lock}`{place}: {self.reason}"

    @property
    def hint(self) -> str:
        return "`wheelforge lock SRC -o pylock.build.toml` writes one"


class LockLacksError(BuildError):
    """A lock says nothing about what is to be built."""

    code = "lock-lacks"
    exit_code = 3

    def __init__(self, lock: str, source: str) -> None:
        super().__init__(lock, source)
        self.lock = lock
        self.source = source

    def __str__(self) -> str:
        return f"`{self.source}` is not locked in `{self.lock}`"

    @property
    def hint(self) -> str:
        return _advise(self.lock, "name it as well")


class LockStaleError(BuildError):
    """What a source needs is not what was locked for it."""

    code = "lock-stale"
    exit_code = 3

    def __init__(
        self, lock: str, source: str, added: tuple[str, ...], removed: tuple[str, ...]
    ) -> None:
        super().__init__(lock, source, added, removed)
        self.lock = lock
        self.source = source
        self.added = added
        """The requirements that nothing is locked for."""
        self.removed = removed
        """The requirements that are locked, and are none any more."""

    def __str__(self) -> str:
        changes = (
            *(f"`{text}` was added" for text in self.added),
            *(f"`{text}` was removed" for text in self.removed),
        )
        subject = f"what `{self.source}` needs is not what `{self.lock}` has locked"
        return f"{subject}: {', '.join(changes)}"

    @property
    def hint(self) -> str:
        return _advise(self.lock, "write it again")


class LockSourceChangedError(BuildError):
    """A source has the name of one that is locked, and other bytes."""

    code = "lock-source-changed"
    exit_code = 3

    def __init__(self, lock: str, source: str, locked: tuple[str, ...], found: str) -> None:
        super().__init__(lock, source, locked, found)
        self.lock = lock
        self.source = source
        self.locked = locked
        """The SHA-256 of each archive of that name; empty for a directory."""
        self.found = found

    def __str__(self) -> str:
        locked = " or ".join(map(_describe, self.locked))
        found = _describe(self.found)
        return f"`{self.source}` is locked in `{self.lock}` as {locked}, and is {found}"

    @property
    def hint(self) -> str:
        return _advise(self.lock, "once you know why it changed, write it again")


class LockOtherPythonError(BuildError):
    """What a lock says about a source is not for the Python that is to build it."""

    code = "lock-other-python"
    exit_code = 3

    def __init__(self, lock: str, source: str, locked: tuple[str, ...], python: str) -> None:
        super().__init__(lock, source, locked, python)
        self.lock = lock
        self.source = source
        self.locked = locked
        """What it is locked for: Pythons, or a file that others do not take."""
        self.python = python

    def __str__(self) -> str:
        locked = " and ".join(self.locked)
        return f"`{self.source}` is locked in `{self.lock}` for {locked}, and this is {self.python}"

    @property
    def hint(self) -> str:
        return _advise(self.lock, "write it again, with `--python` for each Python")


class LockImpossibleError(BuildError):
    """Something that a build needs cannot be written down so that it is found again."""

    code = "lock-impossible"
    exit_code = 3

    def __init__(self, file: str, source: str, reason: str) -> None:
        super().__init__(file, source, reason)
        self.file = file
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.file}`, which `{self.source}` needs, cannot be locked: {self.reason}"


def _advise(lock: str, what: str) -> str:
    return f"{what}: `wheelforge lock SRC ... -o {lock}`"


def _describe(sha256: str) -> str:
    return f"the archive with the SHA-256 {sha256}" if sha256 else "a directory"
