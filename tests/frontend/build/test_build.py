"""Whole builds: real backends, real environments, no network."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.support.corpus import DOWNLOADS
from tests.support.index import free_port_url
from wheelforge.cli import main

pytestmark = pytest.mark.usefixtures("real_sdists", "real_wheels")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the words that let a build have the fetched wheels and nothing else."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    cache = str(tmp_path / "cache")
    return ["--no-index", "--find-links", str(DOWNLOADS), "--cache-dir", cache, "--wheel"]


def build(sdist: str, output: Path, *words: str) -> Path:
    assert main([str(DOWNLOADS / sdist), "-o", str(output), *words]) == 0
    (wheel,) = output.iterdir()
    return wheel


def test_link__before_its_target_gives_the_same_wheel_kept_and_copied(
    tmp_path: Path, offline: list[str]
) -> None:
    wheels = [
        build("pgpdump-1.5.tar.gz", tmp_path / links, "--links", links, *offline)
        for links in ("keep", "copy")
    ]

    assert len({hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}) == 1
    assert "pgpdump/packet.py" in zipfile.ZipFile(wheels[0]).namelist()


def test_second_build__needs_neither_index_nor_a_new_environment(
    tmp_path: Path, offline: list[str]
) -> None:
    first = build("six-1.17.0.tar.gz", tmp_path / "first", *offline)
    environments = tmp_path / "cache" / "environments-v2" / "trees"
    made = sorted(path.name for path in environments.glob("*/*"))

    second = build("six-1.17.0.tar.gz", tmp_path / "second", "--offline", *offline)

    assert second.read_bytes() == first.read_bytes()
    assert sorted(path.name for path in environments.glob("*/*")) == made


def test_offline__requirements_never_resolved_are_refused(
    tmp_path: Path, offline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sdist = str(DOWNLOADS / "six-1.17.0.tar.gz")

    elsewhere = [word for word in offline if word != "--no-index"]
    words = [*elsewhere, "--offline", "--index-url", free_port_url()]

    assert main([sdist, "-o", str(tmp_path / "out"), *words]) == 5
    assert capsys.readouterr().err.startswith("error[not-remembered]: ")
    assert not (tmp_path / "out").exists()


def test_requirements__conflict_is_explained(
    tmp_path: Path, offline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    constraint = tmp_path / "limits.txt"
    constraint.write_text("setuptools<1\n", encoding="utf-8")
    sdist = str(DOWNLOADS / "six-1.17.0.tar.gz")

    code = main([
        sdist,
        "-o",
        str(tmp_path / "out"),
        "--build-constraint",
        str(constraint),
        *offline,
    ])

    assert code == 3
    assert "setuptools" in capsys.readouterr().err


def test_legacy_project__is_built_with_setuptools(
    tmp_path: Path, offline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "helper.py").write_text("VERSION = '1.5'", encoding="utf-8")
    setup = "import helper, setuptools; setuptools.setup(name='old', version=helper.VERSION)"
    (project / "setup.py").write_text(setup, encoding="utf-8")

    code = main([str(project), "-o", str(tmp_path / "out"), *offline])

    assert (code, capsys.readouterr().err) == (0, "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old-1.5-py3-none-any.whl"]
