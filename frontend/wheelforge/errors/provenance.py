"""Errors of statements, signatures and rebuilds."""

from __future__ import annotations

from typing import ClassVar

from wheelforge.errors.base import BuildError, Kind, in_backticks

_MOST_NAMED = 5


class ProvenanceError(BuildError):
    """Something about where an artifact comes from is missing, wrong, or refused."""

    file: str
    reason: str
    expected: str
    found: str
    kinds: ClassVar[dict[str, Kind]] = {
        "provenance-missing": Kind(
            3,
            "file",
            "there is no statement of provenance for `{file}`",
            "a build with `--provenance` puts one beside each wheel and sdist",
        ),
        "provenance-invalid": Kind(3, "file reason", "`{file}` cannot be used: {reason}"),
        "provenance-mismatch": Kind(
            3,
            "file expected found",
            "hash mismatch of `{file}`: expected {expected}, got {found}",
            "it is not the file that was built, or the statement is about another one",
        ),
        "signature-invalid": Kind(
            3, "file reason", "the signature of `{file}` is no good: {reason}"
        ),
        "provenance-refused": Kind(3, "file reason", "the policy refuses `{file}`: {reason}"),
        "attestation-invalid": Kind(
            3,
            "file reason",
            "an attestation of `{file}` is no good: {reason}",
            "the file is not as its publisher has made it, or the index mixes up files",
        ),
        "attestation-unchecked": Kind(
            5, "file reason", "the attestations of `{file}` cannot be checked: {reason}"
        ),
        "comparison-impossible": Kind(
            5, "file reason", "`{file}` cannot be compared with a file of the index: {reason}"
        ),
        "rebuild-impossible": Kind(
            5, "file reason", "`{file}` cannot be built again here: {reason}"
        ),
    }


def _name_files(error: ReuseDifferenceError) -> str:
    rest = len(error.files) - _MOST_NAMED
    names = in_backticks(error.files[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    return f"`{error.result}` was built again with all that it depends on, and differs in {names}"


class ReuseDifferenceError(BuildError):
    """A wheel that would be used again is not what a build makes now."""

    code = "reuse-differs"
    result: str
    files: tuple[str, ...]
    kinds: ClassVar[dict[str, Kind]] = {
        code: Kind(
            4,
            "result files",
            _name_files,
            "either its builds are not reproducible, or they read something that is in no key: name"
            " it with `key-files`, or set `reuse = false`, in overrides",
        )
    }
