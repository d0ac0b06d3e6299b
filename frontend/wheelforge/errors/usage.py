"""Errors of the caller, and of the sources and locks that he names."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

from wheelforge.errors.base import BuildError, Kind, in_backticks

FieldTypes: TypeAlias = dict[str, tuple[Any, Any, str]]
"""For each field that is easily mistaken: its type, that of its items, and both in words."""
_SHOWN_VERSIONS = 10
_COMMIT_DIGITS = 40


class UsageError(BuildError):
    """An option, a setting, a file of requirements or constraints, or a call makes no sense."""

    option: str
    source: str
    reason: str
    text: str
    path: str
    line: int
    """Counted from 1; 0 where it is about the file."""
    files: tuple[tuple[str, str], ...]
    """Each pinned file without a hash, as ``name==version``, and its SHA-256 if that is known."""


def _place_in_file(error: UsageError) -> str:
    place = f"`{error.path}`, line {error.line}" if error.line else f"`{error.path}`"
    return f"{place}: {error.reason}"


def _without_hash(error: UsageError) -> str:
    return f"no hash is stated for {in_backticks(tuple(pin for pin, _ in error.files))}"


def _known_hashes(error: UsageError) -> str:
    known = [f"{pin} --hash=sha256:{sha256}" for pin, sha256 in error.files if sha256]
    return f"as constraints these would do: {in_backticks((*known,))}" if known else ""


UsageError.kinds = {
    "option-invalid": Kind(2, "option reason", "`{option}` cannot be used: {reason}"),
    "index-settings-invalid": Kind(2, "source reason", "`{source}` cannot be used: {reason}"),
    "request-invalid": Kind(2, "reason", "the build request is invalid: {reason}"),
    "settings-invalid": Kind(2, "reason", "the settings are invalid: {reason}"),
    "forge-closed": Kind(2, "", "the forge is closed: its `open_forge` block has ended"),
    "constraints-invalid": Kind(2, "path line reason", _place_in_file),
    "requirement-file-invalid": Kind(2, "path line reason", _place_in_file),
    "config-invalid": Kind(2, "path line reason", _place_in_file),
    "overrides-invalid": Kind(2, "path line reason", _place_in_file),
    "override-failed": Kind(
        3, "path line reason", _place_in_file, "`ignore-missing = true` lets it be without effect"
    ),
    "time-invalid": Kind(
        2,
        "text",
        "`{text}` is neither a time nor an age",
        "write `2024-05-01`, `2024-05-01T12:00:00Z`, `7 days` or `12 hours`",
    ),
    "hashes-missing": Kind(2, "files", _without_hash, _known_hashes),
}


class SandboxError(BuildError):
    """Hooks are not run at all, as there is no sandbox of the kind that was asked for."""

    level: str
    reason: str
    kinds: ClassVar[dict[str, Kind]] = {
        "sandbox-unavailable": Kind(
            5,
            "level reason",
            "no hook is run: there is no sandbox of level `{level}` here: {reason}",
            "`wheelforge doctor` tells what there is; `--sandbox auto` takes the best of it",
        ),
        "sandbox-command-missing": Kind(
            2,
            "level",
            "the sandbox `{level}` is no command, or one whose program is not on PATH",
            "`--sandbox` takes auto, strict, tcp-off, none, or a command that is there",
        ),
    }


class BuildCancelledError(BuildError):
    """A build was cancelled before it was done."""

    code = "build-cancelled"
    exit_code = 130
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(exit_code, "label", "the build of `{label}` was cancelled")
    }


class BuildNotStartedError(BuildCancelledError):
    """A build of a batch was not begun, as the batch ended before."""

    code = "build-not-started"
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            130,
            "label",
            "the build of `{label}` was not started, as the batch ended before",
            "the same command with `--resume` builds what is missing",
        )
    }


class SourceError(BuildError):
    """The thing to be built does not exist, or is no project."""

    source: str
    reason: str
    requirement: str
    requires: str
    python: str
    file: str
    other: str
    """The source that has made another file of that name, or a revision that may be meant."""
    reasons: tuple[str, ...]
    versions: tuple[str, ...]
    """The versions of which there are sdists, newest first."""


def _no_sdist(error: SourceError) -> str:
    return f"there is no sdist for `{error.requirement}`: {'; '.join(error.reasons)}"


def _known_versions(error: SourceError) -> str:
    if not error.versions:
        return ""
    rest = ", …" if len(error.versions) > _SHOWN_VERSIONS else ""
    return f"there are sdists of {', '.join(error.versions[:_SHOWN_VERSIONS])}{rest}"


def _similar_revision(error: SourceError) -> str:
    return f"did you mean `{error.other}`?" if error.other else ""


def _every_reason(error: SourceError) -> str:
    lines = "".join(f"\n  {line}" for line in error.reasons)
    return f"nothing is built, because {len(error.reasons)} of the sources cannot be:{lines}"


SourceError.kinds = {
    "source-invalid": Kind(2, "source reason", "`{source}` cannot be built: {reason}"),
    "sources-invalid": Kind(2, "reasons", _every_reason),
    "project-invalid": Kind(3, "source reason", "`{source}` cannot be built: {reason}"),
    "python-unsupported": Kind(
        3,
        "source requires python",
        "`{source}` is for Python {requires}, and this is Python {python}",
        "name a Python that it is for: `--python`",
    ),
    "source-not-found": Kind(3, "requirement reasons versions", _no_sdist, _known_versions),
    "git-missing": Kind(
        5,
        "source",
        "`{source}` cannot be fetched: there is no program `git`",
        "install `git`, or clone it elsewhere and name the directory",
    ),
    "git-failed": Kind(5, "source reason", "`{source}` cannot be fetched: git says: {reason}"),
    "revision-unknown": Kind(
        3,
        "source reason other",
        "`{source}` has no branch, tag or commit `{reason}`",
        _similar_revision,
    ),
    "result-collides": Kind(
        3,
        "source file other",
        "`{source}` has made `{file}`, and so has `{other}`, with other contents",
        "build them one at a time, into different directories with `-o`",
    ),
}


class LockError(BuildError):
    """A file is no lock, cannot become one, or does not fit the build."""

    lock: str
    place: str
    """The path of the wrong value; empty where it is about the file."""
    file: str
    source: str
    reason: str
    added: tuple[str, ...]
    """The requirements that nothing is locked for."""
    removed: tuple[str, ...]
    """The requirements that are locked, and are none any more."""
    locked: tuple[str, ...]
    """The Pythons or files that it is locked for; or the SHA-256 of each archive of that name."""
    found: str
    python: str
    lines: tuple[str, ...]


def _wrong_place(error: LockError) -> str:
    place = f", `{error.place}`" if error.place else ""
    return f"`{error.lock}`{place}: {error.reason}"


def _changed_requirements(error: LockError) -> str:
    changes = (
        *(f"`{text}` was added" for text in error.added),
        *(f"`{text}` was removed" for text in error.removed),
    )
    subject = f"what `{error.source}` needs is not what `{error.lock}` has locked"
    return f"{subject}: {', '.join(changes)}"


def _changed_source(error: LockError) -> str:
    locked = " or ".join(map(_describe, error.locked))
    found = _describe(error.found)
    return f"`{error.source}` is locked in `{error.lock}` as {locked}, and is {found}"


def _describe(digest: str) -> str:
    if len(digest) == _COMMIT_DIGITS:
        return f"the commit {digest}"
    return f"the archive with the SHA-256 {digest}" if digest else "a directory"


def _other_python(error: LockError) -> str:
    locked = " and ".join(error.locked)
    return f"`{error.source}` is locked in `{error.lock}` for {locked}, and this is {error.python}"


def _differences(error: LockError) -> str:
    lines = "".join(f"\n  {line}" for line in error.lines)
    return f"`{error.lock}` is not what would be written:{lines}"


_WRITE = "`wheelforge lock SRC ... -o {lock}`"
LockError.kinds = {
    "lock-invalid": Kind(
        2,
        "lock place reason",
        _wrong_place,
        "`wheelforge lock SRC -o pylock.build.toml` writes one",
    ),
    "lock-lacks": Kind(
        3, "lock source", "`{source}` is not locked in `{lock}`", f"name it as well: {_WRITE}"
    ),
    "lock-stale": Kind(
        3, "lock source added removed", _changed_requirements, f"write it again: {_WRITE}"
    ),
    "lock-source-changed": Kind(
        3,
        "lock source locked found",
        _changed_source,
        f"once you know why it changed, write it again: {_WRITE}",
    ),
    "lock-other-python": Kind(
        3,
        "lock source locked python",
        _other_python,
        f"write it again, with `--python` for each Python: {_WRITE}",
    ),
    "lock-outdated": Kind(
        1, "lock lines", _differences, "the same command without `--check` writes it"
    ),
    "lock-impossible": Kind(
        3, "file source reason", "`{file}`, which `{source}` needs, cannot be locked: {reason}"
    ),
}


def check_types(checked: object, types: FieldTypes, code: str = "request-invalid") -> None:
    """Refuse ``checked`` if one of its fields is of another type than ``types`` say."""
    for name, (kind, items, expected) in types.items():
        value: Any = getattr(checked, name)
        if isinstance(value, kind) and (not items or all(isinstance(it, items) for it in value)):
            continue
        raise UsageError(code, f"`{name}` must be {expected}, not `{value!r}`")
