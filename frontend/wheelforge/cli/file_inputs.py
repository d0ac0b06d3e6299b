"""The contents of requirement files and locks, beside the words of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.batch.locked_inputs import LockedInput
    from wheelforge.resolve.requirement_files import RequirementLine


class FileInputs:
    """All that files have said so far."""

    def __init__(self) -> None:
        self.lines: list[RequirementLine] = []
        self.locked: list[tuple[LockedInput, frozenset[str | None]]] = []
        """Each with the Pythons that it is for."""
        self.formats: list[tuple[str, str]] = []
        """The options `--no-binary` and `--only-binary`, and their values."""
        self.trusted_hosts: list[str] = []
        self.requires_hashes = False
