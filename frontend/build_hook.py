"""Puts the man page into the wheel, written from the parsers of the version that is built.

The parsers import nothing but the standard library: what builds this needs no dependency of it.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPageHook(BuildHookInterface):
    """Writes the page where the wheel is made, and removes it afterwards."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the page, but for an installation that leads back to the sources."""
        if version == "editable":
            return
        sys.path[:0] = [str(Path(self.root, name)) for name in ("frontend", "isolation")]
        from wheelforge.cli.man_page import write_page

        page = Path(self.directory, "wheelforge.1")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(write_page(), encoding="utf-8")
        build_data["shared_data"][str(page)] = "share/man/man1/wheelforge.1"

    def finalize(self, *_: object) -> None:
        """Remove the page."""
        Path(self.directory, "wheelforge.1").unlink(missing_ok=True)
