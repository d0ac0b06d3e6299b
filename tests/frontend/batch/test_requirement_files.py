"""Batches of files with requirements, from the command line to the wheels."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys

import pytest

from tests.support.batches import Yard, without_summary, write_requirements


def test_requirement_files__are_built(yard: Yard) -> None:
    hashes = {
        name: hashlib.sha256(yard.sdist(name).read_bytes()).hexdigest() for name in ("one", "two")
    }
    lines = [f"{name}==1.0 --hash=sha256:{sha256}" for name, sha256 in hashes.items()]

    code, _, err = yard.run("-r", write_requirements(yard, "# all of it", *lines))

    assert (code, without_summary(err)) == (0, "")
    assert yard.results() == {"one", "two"}


@pytest.mark.parametrize("source", ["one==1.0", "./links/one-1.0.tar.gz"])
def test_requirement_files__refuse_an_sdist_with_another_hash(yard: Yard, source: str) -> None:
    yard.sdist("one")
    path = write_requirements(yard, f"{source} --hash=sha256:{'0' * 64}")

    code, _, err = yard.run("-r", path)

    assert code == 5
    assert err.startswith("error[hash-refused]: `one-1.0.tar.gz` has the SHA-256 ")
    assert yard.results() == set()


def test_requirement_files__skip_markers_of_other_pythons(yard: Yard) -> None:
    yard.sdist("one")
    yard.sdist("two")
    lines = ["one; python_version < '3'", "two[extra]; python_version >= '3'"]

    code, _, err = yard.run("-r", write_requirements(yard, *lines))

    assert (code, without_summary(err)) == (0, "")
    assert yard.results() == {"two"}


@pytest.mark.parametrize("more", [[], ["--with-deps"], ["--plan"]])
def test_requirement_files__of_other_pythons_alone_are_told(yard: Yard, more: list[str]) -> None:
    path = write_requirements(yard, "one; python_version < '3'", "two; sys_platform == 'os2'")

    code, _, err = yard.run("-r", path, *more)

    said = "nothing to build: the markers of all requirements exclude Python "
    assert (code, err) == (0, f"note: {said}{platform.python_version()}\n")


def test_requirement_files__constraints_choose_versions_and_state_hashes(yard: Yard) -> None:
    old, _ = yard.sdist("one"), yard.sdist("two")
    yard.pack("one", "2.0", {})
    (yard.place / "limits.txt").write_text(
        f"One<2 --hash=sha256:{hashlib.sha256(old.read_bytes()).hexdigest()}\n"
        f"two --hash=sha256:{'0' * 64}\nabsent==1\none==3; python_version < '3'\n",
        encoding="utf-8",
    )

    code, _, err = yard.run("-r", write_requirements(yard, "one", "two", "-c limits.txt"))

    assert code == 1
    assert yard.results() == {"one"}
    assert "error[hash-refused]: `two-1.0.tar.gz` has the SHA-256 " in err


def test_requirement_files__may_be_as_tools_write_them(yard: Yard) -> None:
    yard.sdist("one", "assert settings == {'a': ['b c', 'd'], 'x': 'y'}")
    yard.project("two", "assert settings == {'x': 'y'}")
    lines = [
        *("--index-url https://user:${WORD}@localhost:9/simple", "--no-index", "--pre"),
        *("-f ${PLACE}/links  # variables are expanded", "--trusted-host localhost:9"),
        *("one==1.0 \\", '  --config-settings "a=b c" --config-settings=a=d', "-e projects/two"),
    ]
    path = write_requirements(yard, *lines)

    code, out, err = yard.run(
        *("-w", "-r", path, "-C", "x=y", "--report", "r.json"),
        WORD="hunter2",
        PLACE=str(yard.place),
    )

    assert (code, yard.results()) == (0, {"one", "two"}), err
    assert err.startswith("note: `--pre` in a requirements file is ignored: ")
    assert "hunter2" not in out + err + (yard.place / "r.json").read_text(encoding="utf-8")


def test_requirement_files__a_bare_name_is_never_a_directory(yard: Yard) -> None:
    yard.sdist("one")
    (yard.place / "one").mkdir()

    code, _, err = yard.run("-r", write_requirements(yard, "one"))

    assert (code, yard.results()) == (0, {"one"}), err


def test_requirement_files__standard_input_is_one(yard: Yard) -> None:
    yard.sdist("one")

    done = subprocess.run(
        [sys.executable, "-m", "wheelforge", "-r", "-", *yard.words],
        input="one",
        cwd=yard.place,
        text=True,
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )

    assert "one-1.0-py3" in done.stdout


def test_requirement_files__an_empty_one_is_told(yard: Yard) -> None:
    code, out, err = yard.run("-r", os.devnull)

    assert (code, out, err) == (0, "", f"note: `{os.devnull}` names nothing to build\n")


def test_requirement_files__an_empty_standard_input_is_called_that(yard: Yard) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wheelforge", "-r", "-", *yard.words],
        stdin=subprocess.DEVNULL,
        cwd=yard.place,
        text=True,
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )

    assert done.stderr == "note: standard input names nothing to build\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--nonsense", "no such option: --nonsense"),
        ("nonsense===", "`nonsense===` cannot be built: "),
        ("./absent", "`./absent` cannot be built: there is no such file or directory"),
        ("-c absent.txt", "absent.txt`: No such file"),
        ("x @ https://u:secret@host/x.rar", "`https://host/x.rar` cannot be built: "),
    ],
)
def test_requirement_files__errors_name_file_and_line(yard: Yard, line: str, reason: str) -> None:
    path = write_requirements(yard, "one", line)

    code, _, err = yard.run("-r", path)

    assert (code, "secret" in err) == (2, False)
    is_inner = line.startswith("-c")
    kind = "constraints-invalid" if is_inner else "requirement-file-invalid"
    assert err.startswith(f"error[{kind}]: ")
    assert reason in err
    assert is_inner or f"`{path}`, line 2: " in err


def test_requirement_files__may_require_hashes_of_everything(yard: Yard) -> None:
    sha256 = hashlib.sha256(yard.sdist("one").read_bytes()).hexdigest()
    line = f"one==1.0 --hash=sha256:{sha256}"

    good, _, _ = yard.run("-r", write_requirements(yard, "--require-hashes", line))
    code, _, err = yard.run("-r", write_requirements(yard, "--require-hashes", line, "two==1"))

    assert (good, code) == (0, 2)
    assert "error[hashes-missing]: no hash is stated for `two==1`" in err
