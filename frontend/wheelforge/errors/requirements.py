"""Errors of requirements, of indexes and of what is fetched from them."""

from __future__ import annotations

import re
from typing import ClassVar

from wheelforge.errors.base import BuildError, Kind, in_backticks

_SIMPLE = "the URL of an index often ends in `/simple/`"
_RELEASE = re.compile(r"(.+?)-([0-9]+(?:-[0-9]+)+)")
"""A normalised name that may be a release, as `six-1-0`."""
_CHANGED = "do not use it before you know why: it was changed"


def _conflict(error: RequirementsError) -> str:
    return "\n  ".join((error.summary, *error.details))


def _cycle(error: RequirementsError) -> str:
    return f"{in_backticks(error.ring, ' needs ')} to be built"


def _end_of_cycle(error: RequirementsError) -> str:
    return f"a wheel of {in_backticks(error.ring[:-1], ' or ')} ends the ring"


def _unsettled(error: RequirementsError) -> str:
    matched = f"what sdists require depends on the version of {in_backticks(error.names, ' or ')}"
    return f"the set does not settle: {matched} that they are built with"


def _not_installed(error: RequirementsError) -> str:
    return "\n  ".join((f"what {error.subject} needs is not installed:", *error.missing))


def _other_hash(error: RequirementsError) -> str:
    stated = ", ".join(error.accepted)
    return f"`{error.file_name}` has the SHA-256 {error.sha256}, and stated is {stated}"


class RequirementsError(BuildError):
    """The requirements of a build cannot be met."""

    names: tuple[str, ...]
    summary: str
    details: tuple[str, ...]
    subject: str
    rounds: int
    ring: tuple[str, ...]
    file_name: str
    origin: str
    missing: tuple[str, ...]
    """Each requirement that is not installed, after those that lead to it."""
    sha256: str
    accepted: tuple[str, ...]
    source: str
    requirement: str

    kinds: ClassVar[dict[str, Kind]] = {
        "requirements-conflict": Kind(3, "names summary details", _conflict),
        "resolution-unfinished": Kind(
            3,
            "subject rounds",
            "the requirements of {subject} were not resolved in {rounds} rounds",
            "name versions, in the requirements or with `--build-constraint`",
        ),
        "set-unsettled": Kind(
            3,
            "names",
            _unsettled,
            "require one version of it: `NAME==VERSION`",
        ),
        "build-cycle": Kind(3, "ring", _cycle, _end_of_cycle),
        "needs-build": Kind(
            3, "file_name origin", "`{file_name}` at `{origin}` would have to be built first"
        ),
        "requirements-unmet": Kind(
            3,
            "subject missing",
            _not_installed,
            "install it, leave out `--no-isolation`, or do not check: `--skip-dependency-check`",
        ),
        "requirement-failed": Kind(
            3,
            "source requirement",
            "`{source}` is not built: it requires `{requirement}`, which has failed",
        ),
        "hash-refused": Kind(
            5,
            "file_name sha256 accepted",
            _other_hash,
            f"{_CHANGED}, or the hash is of another file",
        ),
    }


class RequirementInvalidError(BuildError):
    """A requirement or a constraint is not one, or not one that can be met here."""

    code = "requirement-invalid"
    requirement: str
    whose: str
    reason: str
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            3,
            "requirement whose reason",
            "`{requirement}`, a requirement of {whose}, cannot be used: {reason}",
        )
    }


def _never_resolved(error: OfflineError) -> str:
    return (
        f"what {error.subject} needs was never resolved here with these settings, "
        f"for {error.circumstances}: {in_backticks(error.requirements) or 'nothing'}"
    )


def _fetch_before(error: OfflineError) -> str:
    if error.subject == "the lock":
        return "`wheelforge fetch --locked FILE` gets all that a lock names"
    if error.subject == "this build":
        # Sdists that were named are kept in the cache for locked builds only.
        return "`wheelforge lock SRC` and `wheelforge fetch --locked FILE` get what its build needs"
    return "build it once without `--offline`"


class OfflineError(BuildError):
    """Something is not known or kept here, and the network must not be used."""

    code = "offline"
    file: str
    subject: str
    requirements: tuple[str, ...]
    circumstances: str

    kinds: ClassVar[dict[str, Kind]] = {
        "offline": Kind(
            5,
            "file subject",
            "`{file}`, which {subject} needs, is not in the cache",
            _fetch_before,
        ),
        "not-remembered": Kind(
            5,
            "requirements subject circumstances",
            _never_resolved,
            "build it once without `--offline`",
        ),
    }


class PackageIndexError(BuildError):
    """A server does not answer, refuses, or is no index; or its answer cannot be written."""

    url: str
    problem: str
    attempts: int
    status: int
    origin: str
    reason: str
    path: str


def _not_reached(error: PackageIndexError) -> str:
    tried = f", {error.attempts} times" if error.attempts > 1 else ""
    return f"cannot get `{error.url}`{tried}: {error.problem}"


def _try_again(error: PackageIndexError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in error.problem:
        return "name the certificates to trust: `PIP_CERT=FILE`, or `cert` in pip.conf"
    if error.problem.startswith("HTTP 404"):
        return "check the URL"
    return "check its host and the network, or try again later" if error.attempts > 1 else ""


PackageIndexError.kinds = {
    "index-unreachable": Kind(5, "url problem attempts", _not_reached, _try_again),
    "index-refused": Kind(
        5,
        "url status",
        "authentication failed or access denied (HTTP {status}): `{url}`",
        "give credentials in the index's URL, a netrc file or a keyring",
    ),
    "index-page-invalid": Kind(
        5,
        "origin reason",
        "`{origin}` is no package index: {reason}",
        _SIMPLE,
    ),
    "download-unwritable": Kind(5, "path problem", "cannot write the download `{path}`: {problem}"),
}


def _not_found(error: PackageNotFoundError) -> str:
    places = in_backticks(error.searched)
    problem = f"there is no `{error.name}` at {places}"
    if not places:
        problem = f"`{error.name}` cannot be found: there is no index to ask"
    return "\n  ".join((problem, *error.details))


def _find_right_place(error: PackageNotFoundError) -> str:
    if not error.searched:
        return "leave out `--no-index`, or name a directory that has it: `--find-links`"
    release = _RELEASE.fullmatch(error.name)
    if release and not error.details:
        return f"a version follows `==`: is `{release[1]}=={release[2].replace('-', '.')}` meant?"
    servers = [url for url in error.searched if url.startswith("http")]
    if servers and not any("/simple" in url for url in servers):
        return f"{_SIMPLE}: is `{servers[-1].rstrip('/')}/simple/` meant?"
    return "check its spelling, and which indexes are asked"


class PackageNotFoundError(BuildError):
    """No index and no directory knows the name."""

    code = "package-not-found"
    name: str
    searched: tuple[str, ...]
    details: tuple[str, ...]
    """The requirements that ask for it."""
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(3, "name searched details", _not_found, _find_right_place)
    }


class MetadataInvalidError(BuildError):
    """A file does not say what it asks for, or is not what its name says."""

    code = "metadata-invalid"
    file_name: str
    reason: str
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            3,
            "file_name reason",
            "`{file_name}` cannot be used: {reason}",
            "exclude that version, and tell whoever published it",
        )
    }


class DownloadMismatchError(BuildError):
    """A file is not the one that its index describes."""

    code = "download-mismatch"
    file_name: str
    origin: str
    difference: tuple[str, str, str]
    """The thing that differs, as the index states it, and as it was found."""
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            5,
            "file_name origin difference",
            (
                "`{origin}` says that the {difference[0]} of `{file_name}` is {difference[1]}, "
                "and it is {difference[2]}"
            ),
            f"{_CHANGED} on the way, or at its source",
        )
    }
