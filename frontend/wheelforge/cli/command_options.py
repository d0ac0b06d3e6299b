"""The options of a command, beside them the words and files that they are from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wheelforge.batch.locked_inputs import LockedInput
    from wheelforge.resolve.requirement_files import RequirementLine

    SetVersions = Mapping[str | None, Mapping[str, str]]


class FileInputs:
    """All that requirement files and locks have said so far."""

    def __init__(self) -> None:
        self.lines: list[RequirementLine] = []
        self.locked: list[tuple[LockedInput, frozenset[str | None], SetVersions]] = []
        """Each with the Pythons that it is for, and the versions that its lock has."""
        self.formats: list[tuple[str, str]] = []
        """The options `--no-binary` and `--only-binary`, and their values."""
        self.trusted_hosts: list[str] = []
        self.requires_hashes = False
        self.standard_input: bytes | None = None
        """All of it, once it was read."""
        self.find_markers: Callable[[str | None], Mapping[str, str]] | None = None
        """Tells the environment markers of a Python, unless it is one of this machine."""


class CommandOptions(argparse.Namespace):
    """The values of all options of a command, as its words and their defaults have them."""

    run: str
    """The module and the function to call with all this."""
    words: list[str]
    """Those of the command line, without the command."""
    config_files: list[Path]
    """The configuration files that were read, and may have overrides too."""
    origins: dict[str, str]
    """Where the values of options are from that the command line does not have."""
    file_inputs: FileInputs
    """The contents of the files that `-r` and `--build-constraint` name, once they are read."""
