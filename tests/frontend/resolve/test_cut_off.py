"""A locked and fetched project builds without a network, byte for byte as with one.

Run with ``-m network tests/frontend/resolve/test_cut_off.py``, as root.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.corpus import DOWNLOADS
from tests.support.forge import Place
from wheelforge_isolation import remove_tree

SDISTS = [
    "six-1.17.0.tar.gz",  # setuptools
    "ujson-5.7.0.tar.gz",  # setuptools, compiled
    "pluggy-1.7.0.tar.gz",  # setuptools and setuptools-scm
    "alabaster-1.0.0.tar.gz",  # flit
    "cloudpickle-3.1.2.tar.gz",  # flit of its time
    "httpcore-1.0.9.tar.gz",  # hatchling and a plug-in
    "attrs-23.2.0.tar.gz",  # hatchling and two plug-ins
    "rsa-4.9.1.tar.gz",  # poetry
    "rich-13.7.1.tar.gz",  # poetry
    "pdm_backend-2.1.8.tar.gz",  # pdm, in its own tree
]
_CUT_OFF = ("unshare", "--net")


def can_be_cut_off() -> bool:
    """Return whether a process can be had that has no network."""
    if os.name != "posix" or shutil.which(_CUT_OFF[0]) is None:
        return False
    return subprocess.run([*_CUT_OFF, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.network,
    pytest.mark.usefixtures("real_sdists"),
    pytest.mark.skipif(not can_be_cut_off(), reason="needs the right to have no network"),
]


def build(place: Place, output: Path, *words: str | Path, before: tuple[str, ...] = ()) -> None:
    """Build all of them, into one directory."""
    sources = [DOWNLOADS / sdist for sdist in SDISTS]
    done = place.call("build", *sources, "--wheel", "-o", output, *words, before=before)
    assert done.code == 0, done.err


def digests(directory: Path) -> dict[str, str]:
    """Return what was built, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()
    }


def test_cut_off__what_was_locked_and_fetched_needs_no_network(tmp_path: Path) -> None:
    place = Place(path=tmp_path)
    lock = tmp_path / "pylock.build.toml"
    build(place, tmp_path / "with")
    locked = place.call("lock", *(DOWNLOADS / sdist for sdist in SDISTS), "-o", lock)
    assert locked.code == 0, locked.err
    remove_tree(str(place.layout.root))
    fetched = place.call("fetch", "--locked", lock)
    assert fetched.code == 0, fetched.err

    build(place, tmp_path / "without", "--locked", lock, "--offline", before=_CUT_OFF)

    assert digests(tmp_path / "without") == digests(tmp_path / "with")
    assert len(digests(tmp_path / "with")) == len(SDISTS)
