"""The command line as its users see it: files, text, exit codes."""

import errno
import io
import json
import os
import subprocess
import sys
import tarfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.source import ROOT
from wheelforge.cli import main
from wheelforge.version import VERSION

MINIMAL = ROOT / "fixtures" / "projects" / "minimal"


def write_sdist(path: Path, *names: str) -> Path:
    """Write an archive with an empty file for each name."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return path


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wheelforge", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_unpack__prints_the_top_level_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_sdist(tmp_path / "pkg-1.0.tar.gz", "pkg-1.0/setup.py", "pkg-1.0/PKG-INFO")

    assert main(["unpack", str(archive), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'pkg-1.0'}\n"
    assert (tmp_path / "out" / "pkg-1.0" / "setup.py").read_bytes() == b""


def test_unpack__a_refused_archive_is_a_sentence_a_hint_and_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_sdist(tmp_path / "pkg-1.0.tar.gz", "pkg-1.0/setup.py", "../evil")

    assert main(["unpack", str(archive), str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err == (
        "error[archive-member-escapes]: cannot unpack `pkg-1.0.tar.gz`: "
        "member 2 `../evil` has a '..' component [N2]\n"
        "hint: do not build this archive; report it to whoever published it\n"
    )
    assert not (tmp_path / "out").exists()


def test_unpack__shows_warnings_and_notes_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_sdist(tmp_path / "pkg-1.0.tar.gz", "pkg-1.0/setup.py", "pkg-1.0/CON")

    main(["unpack", str(archive), str(tmp_path / "quiet")])
    quiet = capsys.readouterr().err
    main(["unpack", str(archive), str(tmp_path / "loud"), "--verbose"])
    loud = capsys.readouterr().err

    assert quiet == "warning: the archive has no PKG-INFO [Y5]\n"
    assert "note: member 2 `pkg-1.0/CON` cannot be unpacked on Windows [N11]\n" in loud


@pytest.mark.parametrize("words", [["unpack"], ["--nonsense"], ["unpack", "a", "b", "--links=no"]])
def test_cli__wrong_usage_is_exit_code_2(words: list[str]) -> None:
    assert main(words) == 2


def test_cli__prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0

    assert capsys.readouterr().out == f"wheelforge {VERSION}\n"


def test_cli__prints_the_versions_of_what_is_installed_and_the_cache_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> Distribution:
        if name == "aiohttp":
            raise PackageNotFoundError(name)
        return distribution(name)

    monkeypatch.setattr("wheelforge.cli.help.distribution", find)
    monkeypatch.setenv("WHEELFORGE_CACHE_DIR", str(tmp_path / "cache"))

    assert main(["--version", "-v"]) == 0

    out = capsys.readouterr().out
    assert f"\ncache {tmp_path / 'cache'}\n" in out
    assert f"\nbuild {distribution('build').version}\n" in out
    assert "aiohttp" not in out


def test_cli__imports_nothing_from_the_working_directory(tmp_path: Path) -> None:
    for name in ("tarfile", "argparse", "packaging", "wheelforge_isolation", "frontend"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    archive = write_sdist(tmp_path / "pkg-1.0.tar.gz", "pkg-1.0/setup.py", "pkg-1.0/PKG-INFO")

    done = run("unpack", archive, "out", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_cli__an_interrupt_is_exit_code_130(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wheelforge_isolation.unpack", interrupt)

    code = main(["unpack", str(tmp_path / "a.tar.gz"), str(tmp_path / "out")])

    assert (code, capsys.readouterr().err) == (130, "interrupted\n")


def test_build__makes_an_sdist_of_a_directory_and_a_wheel_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([str(MINIMAL), "-o", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")])

    names = ["minimal-1.0.tar.gz", "minimal-1.0-py3-none-any.whl"]
    assert code == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "out" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert [path.name for path in (tmp_path / "cache" / "stage-v1").iterdir()] == [".git"]


def test_build__makes_a_wheel_of_an_sdist(tmp_path: Path) -> None:
    cache = ["--cache-dir", str(tmp_path / "cache")]
    main([str(MINIMAL), "--sdist", "-o", str(tmp_path), *cache])

    assert main(["build", str(tmp_path / "minimal-1.0.tar.gz"), *cache]) == 0
    assert (tmp_path / "minimal-1.0-py3-none-any.whl").is_file()


def test_build__a_directory_without_a_project_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--wheel", "--cache-dir", str(tmp_path / "cache")]) == 3
    assert capsys.readouterr().err.startswith("error[project-invalid]: ")
    assert not (tmp_path / "dist").exists()


def test_build__a_failing_backend_is_exit_code_4_with_its_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        encoding="utf-8",
    )
    (tmp_path / "backend.py").write_text("raise RuntimeError('no steel today')", encoding="utf-8")

    assert main([str(tmp_path), "--wheel", "--cache-dir", str(tmp_path / "cache")]) == 4
    assert "no steel today" in capsys.readouterr().err


def test_metadata__of_several_sources_is_one_array_without_those_that_fail(tmp_path: Path) -> None:
    sound = ROOT / "fixtures" / "projects" / "minimal"
    broken = tmp_path / "broken-1.0.tar.gz"
    broken.write_bytes(b"no archive")

    both, one = (run("metadata", *words, cwd=tmp_path) for words in ((broken, sound), (sound,)))

    assert (both.returncode, one.returncode) == (1, 0)
    assert [each["name"] for each in json.loads(both.stdout)] == ["minimal"]
    assert json.loads(both.stdout) == [json.loads(one.stdout)]
    assert both.stderr.startswith("error[archive-kind]: ")


def test_options__can_be_given_in_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEELFORGE_WHEEL", "1")
    monkeypatch.setenv("WHEELFORGE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WHEELFORGE_VERBOSE", "no")

    code = main([str(MINIMAL), "-o", str(tmp_path / "out")])

    wheel = tmp_path / "out" / "minimal-1.0-py3-none-any.whl"
    assert (code, capsys.readouterr().out) == (0, f"{wheel}\n")
    assert (tmp_path / "cache" / "stage-v1").is_dir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["--version"], ["cache", "dir"]])
def test_cli__a_full_disk_for_output_is_one_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "wheelforge", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 5
    assert done.stderr.splitlines()[0] == (
        "error[disk-full]: cannot use `standard output`: No space left on device"
    )


def test_cli__a_closed_pipe_is_no_message() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "wheelforge", "cache", "dir"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (5, b"")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_cli__a_closed_error_stream_keeps_the_exit_code() -> None:
    words = ["sh", "-c", '"$0" -m wheelforge --version 2>&-', sys.executable]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, f"wheelforge {VERSION}\n")


def test_cli__an_untranslated_oserror_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(tmp_path))

    monkeypatch.setattr("wheelforge.cli.cache.find_layout", refuse)

    code = main(["cache", "dir"])

    said = capsys.readouterr().err
    assert (code, said) == (5, f"error[file-access]: cannot use `{tmp_path}`: Stale file handle\n")
