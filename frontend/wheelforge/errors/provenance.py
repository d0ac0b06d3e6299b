"""Errors of statements, signatures and rebuilds."""

from __future__ import annotations

from typing import ClassVar

from wheelforge.errors.base import BuildError, Kind


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
        "rebuild-impossible": Kind(
            5, "file reason", "`{file}` cannot be built again here: {reason}"
        ),
    }
