"""The files and the page for those who run a server: each command in them is one that there is."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from wheelforge import service
from wheelforge.cli import help as help_texts
from wheelforge.cli.arguments import parse_words

PLACE = Path(service.__path__[0]) / "deploy"
PAGE = Path(help_texts.__file__).parent.parent / "help" / "team.md"
UNITS = sorted(PLACE.glob("*.service"))
PROGRAM = re.compile(r"(?:\S*/)?wheelforge")


def read_commands() -> list[tuple[str, list[str]]]:
    """Return every use of our command, and the file that it is in."""
    found: list[tuple[str, list[str]]] = []
    for unit in UNITS:
        lines = re.findall(r"^Exec\w+=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        found += [(unit.name, shlex.split(line)) for line in lines]
    container = (PLACE / "Containerfile").read_text(encoding="utf-8")
    found += [("Containerfile", json.loads(each)) for each in re.findall(r'\[".*?"\]', container)]
    page = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    words = [
        shlex.split(line, comments=True) for line in re.findall(r"^    (\w.*)$", page, re.MULTILINE)
    ]
    found += [("team.md", each) for each in words if each and PROGRAM.fullmatch(each[0])]
    (run,) = [each for each in words if each[:2] == ["podman", "run"]]
    entry = next(each for name, each in found if name == "Containerfile" and "serve" in each)
    return [*found, ("podman", [*entry, *run[run.index("wheelforge", 5) + 1 :]])]


@pytest.mark.parametrize(("place", "words"), read_commands())
def test_commands__are_those_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHEELFORGE_SERVER", "unix:/run/wheelforge")  # as these texts have it set
    (tmp_path / "sdists").mkdir()
    (tmp_path / "sdists" / "*.tar.gz").touch()
    assert PROGRAM.fullmatch(words[0]), place

    options = parse_words([word.replace("%S", str(tmp_path)) for word in words[1:]])

    assert options.run


def test_commands__are_found_in_every_file() -> None:
    places = {place for place, _ in read_commands()}

    assert places == {*(unit.name for unit in UNITS), "Containerfile", "team.md", "podman"}
    assert len(UNITS) == 2


def test_sockets__are_those_that_a_client_is_told_of() -> None:
    text = (PLACE / "wheelforge.socket").read_text(encoding="utf-8")
    listening = re.findall(r"^ListenStream=%t/(.*)$", text, re.MULTILINE)
    told = re.findall(
        r"unix:\$XDG_RUNTIME_DIR/(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )

    assert listening == [*told, f"{told[0]}.run"]
    assert "SocketMode=0600" in text
    assert "DirectoryMode=0700" in text


@pytest.mark.parametrize("unit", [*UNITS, PLACE / "wheelforge.socket"], ids=lambda path: path.name)
def test_units__are_sound(tmp_path: Path, unit: Path) -> None:
    program = Path("/usr/bin/systemd-analyze")
    if not program.exists():
        pytest.skip("there is no systemd-analyze")
    for each in PLACE.glob("wheelforge*"):
        text = re.sub(r"(?<==)\S+/wheelforge(?= )", "/bin/true", each.read_text(encoding="utf-8"))
        (tmp_path / each.name).write_text(text, encoding="utf-8")
    scope = [] if "team" in unit.name else ["--user"]

    done = subprocess.run(
        [program, "verify", *scope, tmp_path / unit.name],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )

    assert [line for line in done.stderr.splitlines() if unit.name in line] == []
