"""The sdists that are built twice: those of other runs, and more projects that many download."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.foreign.matrix import REAL_SDISTS
from tests.support.corpus import FIXTURES, Listed
from tests.support.source import ROOT

HOME = ROOT / ".repeat"


class More(Listed):
    """A pinned sdist, kept apart: other tests look for backends among the downloads."""

    __slots__ = ()

    @property
    def path(self) -> Path:
        return HOME / "downloads" / self.file


_MORE = json.loads((FIXTURES / "repeat.json").read_text(encoding="utf-8"))
SDISTS: Sequence[Listed] = [*REAL_SDISTS, *(More(**facts) for facts in _MORE)]
