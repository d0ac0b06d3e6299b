"""Completion of words, by real shells that have read the script."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from wheelforge.cli import main

if TYPE_CHECKING:
    from pathlib import Path

_BASH = """
source "$1"; cd "$2"; COMP_WORDS=("${@:3}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_wheelforge; printf '%s\\n' "${COMPREPLY[@]}"
"""
_ZSH = """
PS1= ; autoload -U compinit; compinit -u -D; source SCRIPT; cd PLACE
bindkey '^I' complete-word; wheelforge() { print -r -- "got:$*:" }
"""


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def write_script(shell: str, directory: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    script = directory / f"script.{shell}"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    (directory / "demo files" / "sub").mkdir(parents=True)
    return script


def run(*words: object) -> list[str]:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


COMPLETIONS = [
    ("cache g", ["gc"]),
    (
        "cache ",
        [
            *("dir", "size", "list", "verify", "gc", "clear"),
            *("export", "import", "keygen", "trust"),
        ],
    ),
    ("-q unp", ["unpack"]),
    ("cache gc --max-", ["--max-size", "--max-age"]),
    ("demo --keep ", ["never", "failed", "always"]),
    ("help over", ["overrides"]),
    ("explain header-m", ["header-missing"]),
    ("completion z", ["zsh"]),
    ("doct", ["doctor"]),
    ("demo --outdir demo", ["demo files"]),
    ("demo --report scr", ["script.{}"]),
    ("scr", ["script.{}"]),
    ("demo --timeout s", []),
]


@pytest.mark.parametrize(("line", "expected"), COMPLETIONS)
@pytest.mark.parametrize("shell", ["bash", "fish"], indirect=True)
def test_completion__offers_what_fits(
    shell: str, line: str, expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = write_script(shell, tmp_path, capsys)

    if shell == "bash":
        found = run("bash", "-c", _BASH, "bash", script, tmp_path, "wheelforge", *line.split(" "))
    else:
        ask = f"cd {tmp_path}; source {script}; complete -C 'wheelforge {line}'"
        found = [word.partition("\t")[0].rstrip("/") for word in run("fish", "-c", ask)]

    assert sorted(filter(None, found)) == sorted(word.format(shell) for word in expected)


def test_completion__of_bash_takes_a_value_after_an_equals_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [write_script("bash", tmp_path, capsys), tmp_path, "wheelforge", "--keep", "="]

    assert run("bash", "-c", _BASH, "bash", *words) == ["never", "failed", "always"]
    assert run("bash", "-c", _BASH, "bash", *words, "fa") == ["failed"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cache g\t", "cache gc"),
        ("-q unp\t", "-q unpack"),
        ("demo --keep fa\t", "demo --keep failed"),
        ("cache gc --max-s\t", "cache gc --max-size"),
        ("demo --outdir demo\t", "demo --outdir demo files"),
        ("scr\t", "script.zsh"),
    ],
)
@pytest.mark.parametrize("shell", ["zsh"], indirect=True)
def test_completion__of_zsh_completes_a_line(
    shell: str, line: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = write_script(shell, tmp_path, capsys)
    setup = _ZSH.replace("SCRIPT", str(script)).replace("PLACE", str(tmp_path))
    typed = f"{setup}wheelforge {line}\nexit\n"

    assert f"got:{expected}" in type_into(["zsh", "-f"], typed)


def type_into(words: list[str], typed: str) -> str:
    """Return what a shell prints that has a terminal."""
    terminal, inner = pty.openpty()
    with subprocess.Popen(words, stdin=inner, stdout=inner, stderr=inner, start_new_session=True):
        os.close(inner)
        os.write(terminal, typed.encode())
        shown = bytearray()
        with contextlib.suppress(OSError):  # once the shell has ended
            while data := os.read(terminal, 1 << 16):
                shown += data
    os.close(terminal)
    return shown.decode(errors="replace")


def test_completion__is_valid_for_the_shell(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shell, "-n", write_script(shell, tmp_path, capsys)) == []
