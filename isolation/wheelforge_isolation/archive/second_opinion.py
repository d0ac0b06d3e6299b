"""The filter of tarfile is asked about everything that a plan would write: it may only agree.

No rule rests on it. Releases of Python differ in what their filter lets pass, and some have none;
an objection means that a rule here has a hole.
"""

from __future__ import annotations

import os
import sys
import tarfile
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.files.fs import new_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge_isolation.archive.members import Plan

_WRONG_ABOUT_LINKS = (3, 11, 4)
"""The release whose filter takes targets from the root instead of from the link's directory."""


def ask_data_filter(plan: Plan) -> None:
    """Raise an error if this Python has the filter and it objects to a part of ``plan``."""
    data_filter = getattr(tarfile, "data_filter", None)
    if data_filter is None:
        return
    # The filter looks at the disk. In a place that does not exist, names alone decide.
    nowhere = os.path.abspath(os.sep) + new_name()
    for info in _list_members(plan):
        try:
            data_filter(info, nowhere)
        except tarfile.FilterError as error:
            reason = f"{quoted(info.name)} is refused by tarfile ({type(error).__name__})"
            raise RuleError("F23", reason) from None


def _list_members(plan: Plan) -> Iterator[tarfile.TarInfo]:
    for path in (*plan.directories, *plan.files):
        yield tarfile.TarInfo(path)
    for path, text in plan.links.items() if sys.version_info[:3] != _WRONG_ABOUT_LINKS else ():
        info = tarfile.TarInfo(path)
        info.type, info.linkname = tarfile.SYMTYPE, text
        yield info
