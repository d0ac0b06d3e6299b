"""The list of rules is the one that the code has."""

import ast
import re

from tests.support.source import MODULES, PACKAGES, parse

RULES = PACKAGES["wheelforge_isolation"] / "archive" / "RULES.md"
_ID = re.compile(r"[A-Z][0-9]{1,2}")


def listed() -> list[str]:
    """Return the rules of the list, in its order."""
    lines = RULES.read_text(encoding="utf-8").splitlines()
    entries = [re.fullmatch(r"- \*\*([A-Z][0-9]+)\*\*: \S.*", line) for line in lines]
    return [entry[1] for entry in entries if entry]


def used() -> set[str]:
    """Return every rule that the code names."""
    own = (path for path in MODULES if path.is_relative_to(PACKAGES["wheelforge_isolation"]))
    nodes = (node for path in own for node in ast.walk(parse(path)))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and _ID.fullmatch(text)}


def test_archive_rules__each_rule_of_the_code_has_one_line() -> None:
    assert sorted(listed()) == sorted(used())


def test_archive_rules__are_listed_in_the_order_of_their_numbers() -> None:
    families: dict[str, list[int]] = {}
    for rule in listed():
        families.setdefault(rule[0], []).append(int(rule[1:]))

    assert [numbers for numbers in families.values() if numbers != sorted(numbers)] == []
