"""Defaults from files: which are read, which value wins, and how a wrong file is refused."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.forge import Place
from wheelforge.cli.arguments import parse_words

if TYPE_CHECKING:
    from tests.support.forge import Done


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place below which the working directory is, and the user's own files."""
    (tmp_path / "project" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    variables = {"XDG_CONFIG_HOME": str(tmp_path / "user")}
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return Place(path=tmp_path, variables=variables)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def show(place: Place, *words: str | Path, **variables: str) -> dict[str, tuple[Any, str, int]]:
    """Return the value of each option, and the file name and line that it comes from."""
    done = place.run("config", "show", "--json", *words, **variables)
    assert done.code == 0, done.err
    rows = json.loads(done.out)["values"]
    return {row["name"]: (row["value"], Path(row["origin"]).name, row["line"]) for row in rows}


def refuse(place: Place, text: str, *words: str) -> str:
    """Return the sentence about a file of the project, without the path."""
    path = write(place.path / "project" / "wheelforge.toml", text)
    done: Done = place.run(*(words or ("config", "show")))
    assert (done.code, done.error) == (2, "config-invalid"), done.err
    return done.err.splitlines()[0].partition(f"`{path}`")[2]


def test_levels__the_command_line_wins_over_variables_and_files(place: Place) -> None:
    write(place.path / "user/wheelforge/wheelforge.toml", "jobs = 1\ntimeout = 1\nera = 'off'\n")
    write(place.path / "project/wheelforge.toml", "\njobs = 2\ntimeout = 2\n")

    shown = show(place, WHEELFORGE_JOBS="3")

    assert shown["jobs"] == ("3", "WHEELFORGE_JOBS", 0)
    assert shown["timeout"] == (2, "wheelforge.toml", 3)
    assert shown["era"] == ("off", "wheelforge.toml", 3)
    assert shown["keep"] == ("never", "default", 0)
    options = parse_words(["x", "-j", "4"])
    assert (options.jobs, options.timeout, options.era) == (4, 2, "off")


def test_levels__a_list_replaces_the_one_below_as_a_whole(place: Place) -> None:
    write(place.path / "project/wheelforge.toml", 'find-links = ["a", "https://b"]')
    (place.path / "project/a").mkdir()

    assert parse_words([]).find_links == [str(place.path / "project" / "a"), "https://b"]
    assert parse_words(["-f", "https://c"]).find_links == ["https://c"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], (True, False, ["sdist", "wheel"], -1)),
        (["--refresh"], (False, True, ["sdist", "wheel"], -1)),
        (["--wheel", "-v"], (True, False, ["wheel"], 1)),
    ],
)
def test_levels__an_option_excludes_others_of_the_levels_below(
    place: Place, words: list[str], found: tuple[object, ...]
) -> None:
    write(
        place.path / "project/wheelforge.toml",
        "offline = true\nsdist = true\nwheel = true\nquiet = true\n",
    )

    options = parse_words(words)

    assert (options.offline, options.refresh, options.kinds, options.verbosity) == found


def test_levels__a_variable_turns_off_what_a_file_turns_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place.path / "project/wheelforge.toml", "offline = true")
    monkeypatch.setenv("WHEELFORGE_OFFLINE", "0")

    assert parse_words([]).offline is False


def test_levels__a_project_excludes_what_the_user_has(place: Place) -> None:
    write(place.path / "user/wheelforge/wheelforge.toml", "offline = true")
    write(place.path / "project/wheelforge.toml", "refresh = true")

    options = parse_words([])

    assert (options.offline, options.refresh) == (False, True)


def test_tables__hold_for_their_command_only(place: Place) -> None:
    write(
        place.path / "project/wheelforge.toml",
        "era = 'off'\nmax-age = 3\n[lock]\nera = 'always'\noutput = 'x.toml'\n[cache.gc]\n"
        "max-size = '5GB'\n",
    )

    assert show(place)["era"] == ("off", "wheelforge.toml", 1)
    assert show(place, "lock")["era"] == ("always", "wheelforge.toml", 4)
    options = parse_words(["cache", "gc"])
    assert (options.max_age, options.max_size) == (3.0, 5 * 1000**3)
    assert parse_words(["lock"]).output == place.path / "project" / "x.toml"


def test_required_option__may_come_from_a_file(place: Place) -> None:
    write(place.path / "project/wheelforge.toml", "[fetch]\nlocked = 'pylock.build.toml'")

    assert parse_words(["fetch"]).locked == place.path / "project" / "pylock.build.toml"


def test_discovery__takes_the_nearest_file_above(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place.path / "wheelforge.toml", "jobs = 1")
    write(place.path / "project/pyproject.toml", "[tool.wheelforge]\n# x\njobs = 2\n")
    inner = write(place.path / "project/inner/pyproject.toml", "[tool.other]\nwheelforge = 1\n")

    monkeypatch.chdir(inner.parent)

    assert show(place)["jobs"] == (2, "pyproject.toml", 3)


def test_discovery__prefers_the_file_of_its_own(place: Place) -> None:
    write(place.path / "project/wheelforge.toml", "jobs = 1")
    write(place.path / "project/pyproject.toml", "[tool.wheelforge]\njobs = 2\n")

    assert show(place)["jobs"] == (1, "wheelforge.toml", 1)


def test_discovery__a_file_that_is_named_is_the_only_one(place: Place) -> None:
    write(place.path / "user/wheelforge/wheelforge.toml", "timeout = 3")
    write(place.path / "project/wheelforge.toml", "jobs = 1")
    named = write(place.path / "ci.toml", "jobs = 2")

    assert show(place, "--config", named) == show(place, WHEELFORGE_CONFIG=str(named))
    assert show(place, "--config", named)["jobs"] == (2, "ci.toml", 1)
    assert "timeout" not in show(place, f"--config={named}")
    assert "jobs" not in show(place, "--no-config")
    assert "jobs" not in show(place, WHEELFORGE_NO_CONFIG="1")
    assert "jobs" in show(place, "--config", named, WHEELFORGE_NO_CONFIG="1")


@pytest.mark.parametrize(
    ("where", "source", "is_read"),
    [
        ("project", ".", True),
        ("project", "inner", True),
        ("project/inner", "..", False),
        ("project/inner", ".", True),
        (".", "project", False),
    ],
)
def test_sources__have_no_say_unless_one_is_the_working_directory(
    place: Place, monkeypatch: pytest.MonkeyPatch, where: str, source: str, *, is_read: bool
) -> None:
    write(place.path / "project/pyproject.toml", "[tool.wheelforge]\njobs = 7\n")
    write(place.path / "project/inner/pyproject.toml", "[project]\nname = 'x'\n")

    monkeypatch.chdir(place.path / where)

    assert parse_words([source, "-o", ".."]).jobs == (7 if is_read else None)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_owner__a_file_of_another_user_is_refused(place: Place) -> None:
    path = write(place.path / "wheelforge.toml", "jobs = 1")
    os.chown(path, 65534, 65534)

    done = place.run("cache", "dir")

    assert done.error == "config-invalid"
    assert "another user's" in done.err
    assert place.run("cache", "dir", "--no-config").code == 0
    assert place.run("cache", "dir", "--config", path).code == 0
    os.chown(place.path / "project", 65534, 65534)
    assert place.run("cache", "dir").code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x", ": it is not TOML: "),
        ("\njbos = 1", ", line 2: `jbos`: no such option; did you mean `jobs`?"),
        ("no_index = true", ", line 1: `no_index`: no such option; did you mean `no-index`?"),
        ("bild = {}", ", line 1: `bild`: no such option; did you mean `build`?"),
        ("[tool.x]\ny = 1", ", line 1: `tool`: no such option; "),
        ("no-config = 1", ", line 1: `no-config`: no such option; "),
        (
            "[lock]\n\noutputt = 'x'",
            ", line 3: `outputt`: `wheelforge lock` has no such option; did you mean `output`?",
        ),
        (
            "[lock]\nreport = 'x'",
            ", line 2: `report`: `wheelforge lock` has no such option; `wheelforge help",
        ),
        ("[cache]\ngcc = {}", ", line 2: `gcc` is no command of `cache`; did you mean `gc`?"),
        ("jobs = 0", ", line 1: `jobs`: `0` is not a number from 1 on"),
        ("jobs = true", ", line 1: `jobs`: it must be a number or text"),
        ("offline = 'yes'", ", line 1: `offline`: it is a switch: true or false"),
        ("find-links = 'x'", ", line 1: `find-links`: it can be given several times: write"),
        ("find-links = [1]", ", line 1: `find-links`: it must be text"),
        ("era = 'x'", ", line 1: `era`: `x` is not one of off, fallback, always"),
        ("exclude-newer = 'x'", ", line 1: `exclude-newer`: "),
        ("timeout = [\n1,\n]\njobs = 'x'", ", line 1: `timeout`: it must be a number or text"),
        ("links = 'copy'\njobs = '''\n[x]\n'''", ", line 2: `jobs`: `[x]\n"),
    ],
)
def test_wrong_file__is_one_sentence_with_the_line(place: Place, text: str, sentence: str) -> None:
    assert refuse(place, text).startswith(sentence.partition("\n")[0])


def test_wrong_file__is_refused_whatever_the_command(place: Place) -> None:
    assert "`outputt`" in refuse(place, "[lock]\noutputt = 'x'", "cache", "dir")


@pytest.mark.parametrize("content", [b"\xff", b"# " + b"x" * (4 << 20), None])
def test_wrong_file__may_be_no_file_of_text(place: Place, content: bytes | None) -> None:
    path = place.path / "x.toml"
    if content is not None:
        path.write_bytes(content)

    done = place.run("cache", "dir", "--config", path)

    assert (done.code, done.error) == (2, "config-invalid")
    assert re.search(r"it (is not UTF-8|cannot be read: )", done.err)


def test_wrong_file__without_a_table_is_named(place: Place) -> None:
    path = write(place.path / "pyproject.toml", "tool = 1")

    assert "no table `[tool.wheelforge]`" in place.run("cache", "dir", "--config", path).err


def test_config_show__names_commands_and_hides_secrets(place: Place) -> None:
    write(place.path / "project/wheelforge.toml", 'index-url = "https://u:secret@x.org/simple"')

    done = place.run("config", "show")

    assert "secret" not in done.out
    assert re.search(
        r'^index-url = "https://.*x.org/simple" +# .*toml, line 1$', done.out, re.MULTILINE
    )
    assert "did you mean `lock`?" in place.run("config", "show", "lokc").err
    assert "did you mean `config show`?" in place.run("config", "shows").err


def test_time__of_a_file_may_be_a_date(place: Place) -> None:
    write(place.path / "project/wheelforge.toml", "exclude-newer = 2026-05-01")

    assert parse_words([]).exclude_newer.isoformat() == "2026-05-02T00:00:00+00:00"
