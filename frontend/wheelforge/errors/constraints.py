"""What is wrong with the conditions that somebody sets for a build."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


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
