"""Hooks that run as root in no sandbox: `-v` says so, once."""

import os
from pathlib import Path

import pytest

from tests.support.builds import write_sdist
from tests.support.forge import Place

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="is about root"
)
_NOTE = "note: hooks run as root, and in no sandbox"


@pytest.mark.parametrize(
    ("words", "count"), [(("-v",), 1), ((), 0), (("-q",), 0), (("-v", "--sandbox", "env"), 0)]
)
def test_root__is_told_that_hooks_can_change_the_machine(
    tmp_path: Path, words: tuple[str, ...], count: int
) -> None:
    sdist = write_sdist(tmp_path, own=True)

    done = Place(path=tmp_path).run(sdist, "-o", tmp_path / "out", "--no-index", *words)

    assert done.code == 0, done.err
    assert done.err.count(_NOTE) == count
