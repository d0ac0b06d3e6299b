"""Every line of the cache's protocol names a test, and the tests exist."""

import ast
import re

from tests.support.source import ROOT

PROTOCOL = ROOT / "isolation" / "wheelforge_isolation" / "cache" / "PROTOCOL.md"


def find_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def test_protocol__names_tests_that_exist() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")

    named = set(re.findall(r"`(test_\w+)`", text))

    assert len(text.splitlines()) <= 80
    assert named - find_tests() == set()


def test_protocol__has_a_test_for_every_line() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    steps = re.findall(r"^(?:-|\d+\.) .*(?:\n {2,}.*)*", text, re.MULTILINE)

    assert len(steps) > 10
    assert [step for step in steps if "`test_" not in step] == []
