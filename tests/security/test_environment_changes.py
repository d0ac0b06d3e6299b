"""A build that changes a shared environment, and puts the times back, is found out by the next."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.builds import Ground, Hearer, ask, write_sdist

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows keeps no time of change that is not to be put back"
)

_TAMPER = """
import os, willing
path = willing.{attribute}
status, content = os.stat(path), open(path, "rb").read()
os.chmod(path, 0o644)
with open(path, "r+b") as file:
    file.write(content[:-1] + b"#")
os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
"""


def _environment(ground: Ground) -> Path:
    (tree,) = (ground.cache / "environments-v2" / "trees").glob("*/*")
    return tree


@pytest.mark.parametrize("attribute", ["__file__", "__cached__"])
def test_environment__changed_with_its_times_put_back_is_made_again(
    tmp_path: Path, attribute: str
) -> None:
    ground = Ground.make(tmp_path)
    evil = write_sdist(tmp_path, name="evil", build_wheel=_TAMPER.format(attribute=attribute))
    ground.build(evil, tmp_path / "out")
    hearer = Hearer()

    with ground.forge(hearer) as forge:
        outcome = forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))

    assert any("was changed" in note for note in hearer.notes)
    assert outcome.environments_made == 1


def test_environment__whose_files_were_linked_elsewhere_is_used_without_a_word(
    tmp_path: Path,
) -> None:
    ground = Ground.make(tmp_path)
    ground.build(write_sdist(tmp_path), tmp_path / "out")
    (module,) = _environment(ground).rglob("willing.py")
    before = module.stat()
    os.link(module, tmp_path / "link")
    assert module.stat().st_ctime_ns != before.st_ctime_ns
    hearer = Hearer()

    with ground.forge(hearer) as forge:
        outcome = forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))

    assert hearer.notes == []
    assert (outcome.environments_found, outcome.environments_made) == (1, 0)
