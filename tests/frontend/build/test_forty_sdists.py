"""Forty real sdists become the same wheels here as with uv, from the index as it is today.

Run with ``-m stress tests/frontend/build/test_forty_sdists.py``; it takes some minutes.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.corpus import SDISTS, Sdist
from tests.support.forge import Done, Place
from wheelforge.build.sources import fetch_source, parse_source
from wheelforge.index import Index, IndexSettings

pytestmark = [pytest.mark.network, pytest.mark.stress]

ONLY_OF_ITS_TIME = {"cloudpickle-3.1.2.tar.gz"}
"""Sdists that no current backend can build."""
_COMPILED = (".so", ".pyd", ".dylib")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, real_sdists: Path) -> Place:
    """Return where all of them are built, with one cache."""
    assert real_sdists.is_dir()
    return Place(path=tmp_path_factory.mktemp("forty"))


@pytest.fixture(scope="module")
def uv() -> str:
    """Return the program that is compared with."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        pytest.skip("there is no uv to compare with")
    return found


def build(place: Place, sdist: Sdist, *words: str) -> Done:
    output = place.path / "ours" / sdist.file
    return place.run(sdist.path, "--wheel", "--outdir", output, *words)


def open_index() -> Index:
    """Return the real index."""
    return Index(IndexSettings(ca_bundle=os.environ.get("PIP_CERT")), ())


def build_with_uv(uv: str, place: Place, sdist: Path) -> Path | None:
    """Return the wheel that uv makes, if it makes one."""
    output = place.path / "theirs" / sdist.name
    words = ["--wheel", "--python", sys.executable, "--no-config", "--out-dir", str(output)]
    world = {**place.environment(), "UV_CACHE_DIR": str(place.path / "uv")}
    command = [uv, "build", *words, str(sdist)]
    done = subprocess.run(command, capture_output=True, check=False, env=world)
    # A wheel of another version is complained of, and stays.
    return next(output.glob("*.whl")) if done.returncode == 0 else None


OF_THEIR_TIME = {"cloudpickle": "3.1.2", "asttokens": "2.2.1", "Scrapy": "2.8.0"}
OF_ANY_TIME = {"pickleshare": "0.7.5"}


def read_wheel(path: Path) -> dict[str, bytes]:
    """Return what does not depend on who called the compiler in which directory."""
    with zipfile.ZipFile(path) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist() if name[-1] != "/"}
    is_compiled = any(name.endswith(_COMPILED) for name in contents)
    varying = (*_COMPILED, ".dist-info/RECORD") if is_compiled else _COMPILED
    return {name: b"" if name.endswith(varying) else contents[name] for name in sorted(contents)}


@pytest.mark.parametrize("name", [*OF_THEIR_TIME, *OF_ANY_TIME])
def test_old_sdists__are_built_without_being_told_how(place: Place, uv: str, name: str) -> None:
    version = (OF_THEIR_TIME | OF_ANY_TIME)[name]
    with open_index() as index:
        source = fetch_source(parse_source(f"{name}=={version}"), index, place.path / "in")

    done = place.run(f"{name}=={version}", "--outdir", place.path / "old")

    assert [path.name.split("-")[:2] for path in done.paths] == [[name, version]]
    assert ("built once more" in done.err) == (name in OF_THEIR_TIME)
    assert (build_with_uv(uv, place, source.path) is None) == (name in OF_THEIR_TIME)


@pytest.mark.parametrize("sdist", SDISTS, ids=lambda sdist: sdist.file)
def test_wheel__is_the_one_that_uv_makes(place: Place, uv: str, sdist: Sdist) -> None:
    theirs = build_with_uv(uv, place, sdist.path)

    done = build(place, sdist)

    assert done.code == 0, done.err
    (ours,) = done.paths
    if sdist.file in ONLY_OF_ITS_TIME:
        assert theirs is None
        assert "with what there is today it failed" in done.err
        return
    assert theirs is not None
    assert ours.name == theirs.name
    assert read_wheel(ours) == read_wheel(theirs)
