"""The words of the command line: which are understood, and what is said of the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from wheelforge.cli import main
from wheelforge.cli.arguments import parse_words
from wheelforge.cli.console import Console
from wheelforge.cli.parser import COMMANDS, build_parser
from wheelforge.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory that has a project in it, a requirements file and sdists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "pyproject.toml").touch()
    for name in ("list.txt", "notes.rst", "demo-1.0-py3-none-any.whl"):
        (tmp_path / name).touch()
    (tmp_path / "sdists").mkdir()
    (tmp_path / "sdists" / "a-1.0.tar.gz").touch()
    return tmp_path


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one sentence and the hint with which ``words`` are refused."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert len(printed.err.splitlines()) <= 2
    return printed.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["biuld", "demo"], "build"),
        (["cahce", "dir"], "cache"),
        (["unpak", "x", "y"], "unpack"),
        (["metdata", "demo"], "metadata"),
        (["cache", "sise"], "cache size"),
        (["--wheell", "demo"], "--wheel"),
        (["--whe", "demo"], "--wheel"),
        (["--no-build-isolation", "demo"], "--no-isolation"),
        (["--config-settings=a=b", "demo"], "--config-setting"),
        (["--build-constraints", "x", "demo"], "--build-constraint"),
        (["-c", "x", "demo"], "--build-constraint"),
        (["-c", "list.txt", "demo"], "--build-constraint"),
        (["--out-dir", "x", "demo"], "--outdir"),
        (["--wheel-dir", "x", "demo"], "--outdir"),
        (["--default-index", "x", "demo"], "--index-url"),
        (["--index", "x", "demo"], "--extra-index-url"),
        (["lock", "demo", "--outptu", "x"], "--output"),
        (["--no-cache-dir", "demo"], "--no-cache"),
        (["--python-version", "3.12", "demo"], "--python"),
        (["-d", "x", "demo"], "--outdir"),
        (["--dry-runn", "demo"], "--plan"),
        (["--no-build-isolatoin", "demo"], "--no-isolation"),
        (["list"], "cache list"),
        (["version"], "wheelforge --version"),
        (["wheel", "demo"], "wheelforge SRC --wheel"),
        (["cache", "clean"], "cache clear"),
        (["help", "buidl"], "build"),
        (["explain", "headr-missing"], "header-missing"),
    ],
)
def test_typo__is_answered_with_the_word_that_is_meant(
    capsys: pytest.CaptureFixture[str], words: Sequence[str], meant: str
) -> None:
    assert f"did you mean `{meant}`?" in refuse(capsys, *words)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["demo", "-j", "0"], "`-j/--jobs` cannot be used: `0`"),
        (["demo", "--shard", "3/2"], "`--shard` cannot be used: `3/2` is not K/N"),
        (["demo", "--timeout", "abc"], "`--timeout` cannot be used: `abc`"),
        (["demo", "--timeout", "0"], "`0` is no time at all"),
        (["cache", "gc", "--max-size", "9" * 400], "9` is not a size like 5GB"),
        (["demo", "--era", "maybe"], "`maybe` is not one of off, fallback, always"),
        (["demo", "-o"], "`-o/--outdir` cannot be used: it needs a value"),
        (["demo", "--wheel=yes"], "it takes no value"),
        (["demo", "--offline", "--refresh"], "it cannot be combined with `--offline`"),
        (["demo", "--no-cache", "--cache-dir", "x"], "cannot be combined with `--no-cache`"),
        (["demo", "--fail-fast", "--keep-going"], "it cannot be combined with `--fail-fast`"),
        (["demo", "-o", "list.txt"], "`list.txt` is a file, not a directory"),
        (["demo", "-o", "list.txt/x/y"], "list.txt` is a file, not a directory"),
        (["demo", "--cache-dir", "list.txt"], "`list.txt` is a file, not a directory"),
        (["cache", "size", "--cache-dir", "list.txt"], "`list.txt` is a file, not a directory"),
        (["--exclude-newer", "yesterday", "demo"], "error[time-invalid]: `yesterday`"),
        (["unpack", "a", "b", "c"], "`wheelforge unpack` takes no such argument"),
        (["doctor", "https://user:pass@host/"], "`https://host/` cannot be used: `wheelforge doc"),
        (["fetch"], "`wheelforge fetch` cannot be used: it needs --locked"),
        (["unpack"], "it needs ARCHIVE, DIR"),
        (["completion", "ksh"], "`ksh` is not one of bash, zsh, fish"),
        (["config"], "`config` cannot be used: a command is missing; there is `config show`"),
        (["config", "list"], "no such command; there is `config show`"),
        (["--no-deps", "demo"], "nothing else is built unless `--with-deps`"),
        (["--pre", "demo"], "name the pre-release"),
        (["--cert", "x", "demo"], "`PIP_CERT`"),
        (["--pretend", "demo"], "`wheelforge build --help` lists them"),
        (["install", "demo"], "`pip install`"),
        (["demo", "-C", "=x"], "`--config-setting` cannot be used: before the `=`"),
        (["demo", "-i", "not-a-url"], "`-i/--index-url` cannot be used: `not-a-url` is neither"),
        (["demo", "--extra-index-url", "pypi.org/simple"], "`--extra-index-url` cannot be used"),
        (["demo", "-i", "https://"], "`https://` is not a URL: it names no host"),
        (["demo", "-i", "ftp://user:pass@host/x"], "used: `ftp://host/x` is none of `https:`, `h"),
        (["demo", "-i", "https://user:pass@host:x/"], "used: `https://host:x/` is not a URL: "),
        (["demo", "-f", "absent"], "`absent` is neither a URL nor a file or directory"),
        (["demo", "--server", "nonsense"], "`nonsense` is not like `unix:PATH` or `http://HOST:"),
        (["demo", "--server", "unix:"], "`unix:` is not like `unix:PATH`"),
        (["demo", "--server", "ftp://user:pass@host"], "`ftp://host` is not like `unix:PATH`"),
        (["metadata", "demo", "--server=http://"], "`http://` is not a URL: it names no host"),
        (["want", "six==1.17.0", "--server", "http:x"], "`http:x` is not like `unix:PATH`"),
    ],
)
def test_value__that_is_wrong_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: Sequence[str], reason: str
) -> None:
    assert reason in refuse(capsys, *words)


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        ("demo/pyproject.toml", "name the directory of the project"),
        ("./list.txt", "`-r ./list.txt`"),
        ("demo-1.0-py3-none-any.whl", "`wheelforge metadata` reads it"),
        ("", "its name is empty"),
        ("six:1.0", "did you mean `six==1.0`?"),
        ("six:v1.17.0", "did you mean `six==1.17.0`?"),
        ("notes.rst", "neither the directory of a project nor a `.tar.gz` or `.zip` file"),
    ],
)
def test_source__of_another_kind_is_answered_with_what_to_name(
    capsys: pytest.CaptureFixture[str], source: str, instead: str
) -> None:
    (error,) = refuse(capsys, source).splitlines()

    assert error.startswith(f"error[source-invalid]: `{source}`")
    assert instead in error


def test_requirements_file__that_is_none_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "demo-1.0.tar.gz").write_bytes(b"\x1f\x8b\x08\xff")

    archive = refuse(capsys, "-r", "demo-1.0.tar.gz")
    directory = refuse(capsys, "-r", "demo")

    assert archive.endswith(": it is an archive, and no requirements file\n")
    assert directory.endswith(": it is a directory, and no requirements file\n")


def test_source__that_is_a_pattern_matches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no file or directory matches it" in refuse(capsys, "sdists/*.zip")


def test_sources__that_are_wrong_are_told_at_once_and_nothing_is_built(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["demo", "six==", "./absent", "six==1.17.0", "list.txt", "--keep-going"])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert printed.err.splitlines() == [
        "error[sources-invalid]: nothing is built, because 3 of the sources cannot be:",
        "  `six==`: it is no valid requirement; did you mean `six`?",
        f"  `{project / 'absent'}`: No such file or directory",
        "  `list.txt`: `-r list.txt` builds what a requirements file names",
    ]


@pytest.mark.parametrize("wrong", ["six==", "./absent", "gone-1.0.tar.gz", "ftp://host/a.zip"])
def test_source__that_is_wrong_is_told_before_others_are_built(
    capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    assert refuse(capsys, "demo", wrong).startswith("error[source-invalid]: `")


def test_source__may_be_a_directory_of_sdists(project: Path) -> None:
    (project / "sdists" / "z-2.zip").touch()
    (project / "sdists" / "notes.txt").touch()

    found = parse_words(["demo", "sdists/", "six==1.0"]).sources

    sdists = [project / "sdists" / name for name in ("a-1.0.tar.gz", "z-2.zip")]
    assert found == [project / "demo", *sdists, "six==1.0"]


def test_source__that_is_no_project_and_has_no_sdists_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "empty").mkdir()

    assert main(["demo", "empty"]) == 3

    reason = "it has neither a `pyproject.toml` nor a `setup.py`, and no sdists"
    assert capsys.readouterr().err.startswith(
        f"error[project-invalid]: `{project / 'empty'}` cannot be built: {reason}\n"
    )


def test_options__may_stand_between_sources(project: Path) -> None:
    options = parse_words(["demo", "-q", "list.tar.gz", "-o", "out", "six==1.0"])

    assert options.sources == [project / "demo", project / "list.tar.gz", "six==1.0"]
    assert (options.verbosity, options.outdir) == (-1, project / "out")


def test_source__after_two_dashes_may_begin_with_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "--wheel").mkdir()
    (project / "--wheel" / "setup.py").touch()

    options = parse_words(["-q", "--rebuild", "--", "demo", "--wheel", "-q"])

    assert options.sources == [project / "demo", project / "--wheel", project / "-q"]
    assert (options.kinds, options.rebuild) == (None, [":all:"])
    assert f"`{project / '-x'}` cannot be built: No such file" in refuse(capsys, "--", "-x")


@pytest.mark.parametrize("width", [40, 80])
def test_message__is_broken_at_blanks_and_paths_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setattr("wheelforge.cli.console.Console.width", width)
    path = f"/home/{'long ' * 12}name"
    error = SourceError("source-invalid", path, "it is neither a file nor a directory " * 3)

    Console(variables={}).show_error(error)

    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "error[source-invalid]:"
    assert rest[0] == f"    `{path}`"
    assert all(line.startswith("    ") and len(line) <= width for line in rest[1:])
    assert " ".join(" ".join(rest).split()) == " ".join(str(error).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help__names_all_values_and_the_default_of_each_choice(command: str) -> None:
    choices = [action for action in build_parser(command)._actions if action.choices]
    silent = [
        (action.dest, value)
        for action in choices
        for value in action.choices or ()
        # Without a word for them argparse lists them all.
        if action.metavar is not None and value not in (action.help or "")
    ]

    assert silent == []
    defaults = [action for action in choices if isinstance(action.default, str)]
    told = [f"default: {action.default}" in (action.help or "") for action in defaults]
    assert all(told), [action.dest for action in defaults]


def test_help__tells_how_variables_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "--help"])

    *_, after = capsys.readouterr().out.partition("variables:")
    assert "blanks separate repeated values" in after
    assert max(map(len, after.splitlines())) < 80


def test_rebuild__takes_the_word_of_pip_for_all() -> None:
    options = parse_words(["--rebuild", ":all:", "demo"])

    assert (options.rebuild, [source.name for source in options.sources]) == ([":all:"], ["demo"])


def test_cache__of_a_variable_gives_way_to_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELFORGE_CACHE_DIR", "cache")

    assert parse_words(["demo", "--no-cache"]).cache_dir is None


def test_switches__may_stand_before_a_command(project: Path) -> None:
    locking = parse_words(["--offline", "lock", "demo"])

    assert (locking.offline, locking.output) == (True, project / "pylock.build.toml")
    assert not hasattr(parse_words(["-q", "demo"]), "output")


def test_directory__named_like_a_command_can_be_built(project: Path) -> None:
    (project / "fetch").mkdir()
    (project / "fetch" / "setup.py").touch()

    assert parse_words(["-q", "fetch"]).sources == [project / "fetch"]


def test_output_directory__is_told_without_dots(project: Path) -> None:
    assert parse_words(["demo", "-o", "demo/../out"]).outdir == project / "out"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("WHEELFORGE_JOBS", "x"),
        ("WHEELFORGE_WHEEL", "maybe"),
        ("WHEELFORGE_ERA", "never"),
        ("WHEELFORGE_FIND_LINKS", "'open"),
        ("WHEELFORGE_INDEX_URL", "nowhere"),
        ("WHEELFORGE_EXCLUDE_NEWER", "yesterday"),
    ],
)
def test_variable__is_blamed_for_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)

    assert f"`{variable}` cannot be used: " in refuse(capsys, "demo")


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("WHEELFORGE_JOBZ", "did you mean `WHEELFORGE_JOBS`?"),
        ("WHEELFORGE_COLOUR_SCHEME", "no option is called like that"),
        ("WHEELFORGE_REPAIR", ""),
    ],
)
def test_variable__of_no_option_of_any_command_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, reason: str
) -> None:
    monkeypatch.setenv(variable, "2")

    parse_words(["demo"])

    expected = f"warning: `{variable}` is ignored; {reason}\n" if reason else ""
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("PYTHON", "3.11 3.12", "pythons", ["3.11", "3.12"]),
        ("NO_BINARY", """lxml 'a b' "c d" e\\f""", "no_binary", ["lxml", "a b", "c d", "e\\f"]),
        ("WHEEL", "1", "kinds", ["wheel"]),
        ("WHEEL", "no", "kinds", None),
        ("OFFLINE", "yes", "offline", True),
        ("KEEP", "failed", "keep", "failed"),
        ("TIMEOUT", "10m", "timeout", 600),
    ],
)
def test_variable__is_the_default_of_its_option(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    monkeypatch.setenv(f"WHEELFORGE_{variable}", text)

    assert getattr(parse_words(["demo"]), name) == value


def test_help__lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help__of_a_command_shows_its_options(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*name.split(), "--help"])

    assert capsys.readouterr().out.startswith(f"usage: wheelforge {name}")


def test_version__with_details_names_what_a_report_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version", "-v"]) == 0

    lines = dict(line.partition(" ")[::2] for line in capsys.readouterr().out.splitlines())
    assert lines.keys() >= {"wheelforge", "Python", "platform", "cache", "build", "filelock"}


@pytest.mark.parametrize(
    ("words", "other"),
    [
        (("--html-base", "https://ci.test/1/"), "html"),
        (("--server-required",), "server"),
        (("--remote-key", "key.pem"), "remote-cache"),
        (("--remote-timeout", "5"), "remote-cache"),
    ],
)
def test_option__that_means_nothing_without_another_is_refused_unless_it_is_a_default(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    other: str,
) -> None:
    error = refuse(capsys, "demo", *words)

    assert f"`{words[0]}` cannot be used: it is for `--{other}`, which is not given" in error
    value = "unix:/x" if other == "server" else "/x"
    monkeypatch.setenv(f"WHEELFORGE_{other.upper().replace('-', '_')}", value)
    assert parse_words(["demo", *words]).sources == [project / "demo"]
    monkeypatch.delenv(f"WHEELFORGE_{other.upper().replace('-', '_')}")
    name = words[0].removeprefix("--").upper().replace("-", "_")
    monkeypatch.setenv(f"WHEELFORGE_{name}", [*words, "1"][1])
    assert parse_words(["demo"]).sources == [project / "demo"]


@pytest.mark.parametrize("option", ["--cache-dir", "--outdir", "--report", "--locked", "-p", "-i"])
def test_path__that_is_empty_is_not_the_working_directory(
    project: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert "its value is empty" in refuse(capsys, "demo", option, "")
    assert not (project / "CACHEDIR.TAG").exists()


@pytest.mark.parametrize("name", ["CACHE_DIR", "OUTDIR", "JOBS", "TIMEOUT", "REPORT", "SERVER"])
def test_variable__that_is_empty_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = vars(parse_words(["demo"]))
    monkeypatch.setenv(f"WHEELFORGE_{name}", "")

    after = vars(parse_words(["demo"]))

    assert after[name.lower()] == before[name.lower()]


def test_error__about_an_option_names_the_variable_or_file_that_has_set_it(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEELFORGE_REPORT", "/absent/report.json")
    by_variable = refuse(capsys, "demo")
    monkeypatch.delenv("WHEELFORGE_REPORT")
    path = project / "wheelforge.toml"
    path.write_text("\nreport = '/absent/report.json'\n", encoding="utf-8")
    by_file = refuse(capsys, "demo")

    reason = "`--report` cannot be used: there is no directory `/absent`"
    assert f"{reason}; it is set by `WHEELFORGE_REPORT`\n" in by_variable
    assert f"{reason}; it is set by `{path}`, line 2\n" in by_file


@pytest.mark.skipif(os.name == "nt", reason="there are no such sockets in Python on Windows")
def test_want__names_the_server_that_is_not_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["want", "six==1.17.0", "--server", f"unix:{project / 'absent'}"]) == 5

    error, hint = capsys.readouterr().err.splitlines()
    assert error.endswith(f": `unix:{project / 'absent'}`: No such file or directory")
    assert hint == "hint: is it running? `wheelforge serve` starts one"


def test_plan__of_metadata_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "with `--metadata` nothing is built" in refuse(capsys, "demo", "--plan", "--metadata")


@pytest.mark.skipif(os.name == "nt", reason="a directory in use cannot be removed")
def test_working_directory__that_is_gone_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    code = main(["demo"])

    monkeypatch.chdir(tmp_path)
    error = "error[file-access]: cannot use `the working directory`: "
    assert (code, capsys.readouterr().err.startswith(error)) == (5, True)
