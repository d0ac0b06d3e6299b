"""README and the reference texts cannot fall behind the software."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wheelforge.errors
import wheelforge_isolation.errors
from tests.support.manual import TEXTS
from tests.support.source import ROOT
from wheelforge.cli.arguments import parse_words
from wheelforge.cli.command_line import run_words
from wheelforge.cli.help import TOPICS
from wheelforge.cli.parser import COMMANDS, build_parser
from wheelforge_isolation import ForgeError

README = (ROOT / "README.md").read_text(encoding="utf-8")
HELP = {path.stem: path.read_text(encoding="utf-8") for path in TEXTS}
_COMMAND = re.compile(r"(?:python -m |`)wheelforge( [^|\n`'[]*)")
EXAMPLES = sorted({*_COMMAND.findall("\n".join([README, *HELP.values()]))})
CODES = set(re.findall(r"^\| `([\w-]+)` \| \d+ \|", HELP["errors"], re.MULTILINE))


def list_codes(root: type[ForgeError]) -> Iterator[tuple[str, int]]:
    """Yield the code and the exit code of each error that can be raised."""
    for kind in root.__subclasses__():
        rows = getattr(kind, "kinds", {})
        yield from ((code, row.exit_code) for code, row in rows.items())
        yield from ((code, kind.exit_code) for code in getattr(kind, "codes", {}).values())
        if "code" in vars(kind) and kind.code not in rows and kind not in ROOTS:
            yield kind.code, kind.exit_code
        yield from list_codes(kind)


OPTIONS = [
    (name, option)
    for name in COMMANDS
    for action in build_parser(name)._actions
    for option in action.option_strings
]


def test_help__has_every_option() -> None:
    text = "".join(HELP.values())

    assert [each for each in (*OPTIONS, ("", "--version")) if f"`{each[1]}" not in text] == []


LOADED = [getattr(wheelforge.errors, name) for name in dir(wheelforge.errors)]
ROOTS = {wheelforge_isolation.errors.IsolationError, wheelforge.errors.BuildError}
KINDS = sorted(set(list_codes(ForgeError)))


def test_help__has_every_error_code_with_its_exit_code() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \|", HELP["errors"], re.MULTILINE)

    assert set(KINDS) <= {(code, int(exit_code)) for code, exit_code in rows}


def test_failures_of_others__are_told_with_their_tests() -> None:
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    tests = {path.name for path in (ROOT / "tests" / "regressions").glob("test_*.py")}

    assert tests == set(re.findall(r"\| `(test_\w+\.py)` \|$", text, re.MULTILINE)) != set()


def test_help__lists_every_text() -> None:
    assert HELP.keys() == TOPICS.keys()


def test_help__names_no_error_that_does_not_exist() -> None:
    assert {code for code, _ in KINDS} >= CODES


def test_readme__names_no_error_that_does_not_exist() -> None:
    table = README.partition("## Troubleshooting")[2].partition("\n## ")[0]

    named = set(
        re.findall(r"`([a-z]+(?:-[a-z]+)+)`", re.sub(r"\|[^|]+\|$", "", table, flags=re.MULTILINE))
    )

    assert named
    assert named <= CODES


def test_commands__are_ones_that_the_parser_understands() -> None:
    for command in EXAMPLES:
        parse_words(shlex.split(command, comments=True))


def test_tox__tests_the_wheel_that_the_text_has_it_build(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```ini\n(.*?)^```$", HELP["ci"], re.MULTILINE | re.DOTALL)
    project = shutil.copytree(ROOT / "fixtures" / "projects" / "minimal", tmp_path / "minimal")
    here = block.replace("deps = ../wheelforge", "allowlist_externals = *")
    here = here.replace("python -m", f"{sys.executable} -m").replace(
        "pytest", "python -c 'import minimal'"
    )
    (project / "tox.ini").write_text(here, encoding="utf-8")
    variables = {name: text for name, text in os.environ.items() if not name.startswith("TOX")}
    variables["WHEELFORGE_CACHE_DIR"] = str(tmp_path / "cache")

    words = [sys.executable, "-m", "tox", "run", "-e", "py"]
    done = subprocess.run(words, cwd=project, env=variables, capture_output=True, check=False)

    assert done.returncode == 0, done.stdout
    assert b"minimal-1.0-py3-none-any.whl" in done.stdout


def test_readme__is_short_and_leads_to_files_that_exist() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert len(README.splitlines()) <= 250
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_help__is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for topic, text in HELP.items():
        assert run_words(["help", topic]) == 0
        assert capsys.readouterr().out == text


def test_help__lists_its_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words(["help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [*TOPICS]


def test_help__suggests_the_topic_that_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words(["help", "raports"]) == 2
    assert "did you mean `reports`?" in capsys.readouterr().err


def test_explain__tells_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    for code in sorted(CODES):
        assert run_words(["explain", code]) == 0
        assert capsys.readouterr().out.startswith(f"{code}, exit code ")


@pytest.mark.parametrize("rule", ["F21", "[N2]", "W3", "f21"])
def test_explain__tells_the_rules_for_archives(
    capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    assert run_words(["explain", rule]) == 0
    assert capsys.readouterr().out.startswith(f"{rule.strip('[]').upper()}, a rule for archives: ")


def test_explain__takes_a_code_however_it_is_spelled(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words(["explain", "[HEADER_MISSING]"]) == 0
    assert capsys.readouterr().out.startswith("header-missing, exit code 4: ")


def test_explain__suggests_the_code_that_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words(["explain", "q77"]) == 2
    assert "no such rule; messages about archives end in one, as `[F21]`" in capsys.readouterr().err
    assert run_words(["explain", "header-mising"]) == 2
    assert "did you mean `header-missing`?" in capsys.readouterr().err
