"""What can go wrong between us and an index."""

from __future__ import annotations

from wheelforge.errors.root import BuildError


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
    """A server or a proxy wants a login, or refuses the given one."""

    code = "index-refused"
    exit_code = 5

    def __init__(self, url: str, status: int) -> None:
        super().__init__(url, status)
        self.url = url
        self.status = status

    def __str__(self) -> str:
        return f"authentication failed or access denied (HTTP {self.status}): `{self.url}`"

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
