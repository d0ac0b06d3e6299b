"""Forty sdists that people really published, held against what GNU tar makes of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.corpus import SDISTS, Sdist
from tests.support.trees import Node, Tree, read_tree
from wheelforge_isolation import Links, unpack

TAR = shutil.which("tar")


def _is_gnu(tar: str | None) -> bool:
    if tar is None:
        return False
    return b"GNU tar" in subprocess.run([tar, "--version"], capture_output=True, check=False).stdout


pytestmark = [
    pytest.mark.skipif(not _is_gnu(TAR), reason="needs GNU tar"),
    pytest.mark.usefixtures("real_sdists"),
    pytest.mark.parametrize("sdist", SDISTS, ids=lambda sdist: sdist.file),
]


@pytest.fixture
def reference(sdist: Sdist, tmp_path: Path) -> Path:
    """The sdist as unpacked by GNU tar."""
    directory = tmp_path / "reference"
    directory.mkdir()
    subprocess.run([TAR or "", "-xzf", sdist.path, "-C", directory], check=True)
    return directory


def _plain(tree: Tree) -> Tree:
    """Leave of every mode only whether it is a program's: the rest is ours to decide."""
    return {path: node._replace(mode=_is_program(node)) for path, node in tree.items()}


def _is_program(node: Node) -> bool:
    return node.kind == "file" and bool(node.mode & 0o111)


def test_real_sdist__is_what_tar_makes_of_it(sdist: Sdist, reference: Path) -> None:
    destination = reference.with_name("kept")

    unpacked = unpack(sdist.path, destination, links=Links.KEEP)

    assert _plain(read_tree(destination)) == _plain(read_tree(reference))
    assert [unpacked.root] == list(destination.iterdir())


def test_real_sdist__links_are_copied_as_tar_follows_them(sdist: Sdist, reference: Path) -> None:
    destination = reference.with_name("copied")

    unpack(sdist.path, destination, links=Links.COPY)

    assert _plain(read_tree(destination)) == _plain(read_tree(reference, follows_links=True))
