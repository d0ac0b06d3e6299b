"""README is the manual, and cannot fall behind the software."""

from __future__ import annotations

import argparse
import re
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

import wheelforge.errors
import wheelforge_isolation.errors
from tests.source import ROOT
from wheelforge.cli.parser import COMMANDS, build_parser
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")


def leaves(root: type[ForgeError]) -> Iterator[type[ForgeError]]:
    """Yield the error classes that are really raised: those below which there is no other code."""
    for kind in root.__subclasses__():
        yield kind
        yield from leaves(kind)


def options(parser: argparse.ArgumentParser, command: str = "") -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from options(child, name)
        yield from ((command, option) for option in action.option_strings)


@pytest.mark.parametrize(("command", "option"), list(options(build_parser(COMMANDS))))
def test_every_option_is_in_the_manual(command: str, option: str) -> None:
    assert f"`{option}" in README, command


LOADED = [getattr(wheelforge.errors, name) for name in dir(wheelforge.errors)]
KINDS = sorted(set(leaves(ForgeError)), key=attrgetter("code"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_code_is_in_the_manual_with_its_exit_code(kind: type[ForgeError]) -> None:
    roots = {wheelforge_isolation.errors.IsolationError, wheelforge.errors.BuildError}
    row = re.search(rf"^\| `{kind.code}` \| (\d+) \|", README, re.MULTILINE)

    assert kind in roots or (row is not None and int(row[1]) == kind.exit_code)


def test_every_failure_that_cannot_happen_here_is_in_the_manual_with_its_test() -> None:
    tests = {path.name for path in (ROOT / "tests" / "regressions").glob("test_*.py")}

    assert tests == set(re.findall(r"\| `(test_\w+\.py)` \|$", README, re.MULTILINE)) != set()
