"""Foreign formats are parsed in `formats` alone: another reader would have another opinion."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.source import MODULES, parse, room

PARSERS = {
    *("packaging.metadata.*", "email.parser.*", "email.message_from_bytes"),
    *("packaging.utils.parse_wheel_filename", "packaging.utils.parse_sdist_filename"),
    *("packaging.tags.parse_tag", "packaging.version.Version", "packaging.version.InvalidVersion"),
    *("packaging.requirements.*", "packaging.specifiers.*", "packaging.markers.*"),
    *("urllib.parse.unquote", "urllib.parse.urldefrag", "urllib.parse.parse_qsl"),
}
EXCEPTIONS = {
    ("auth", "urllib.parse.unquote"),  # user and password, once the HTTP client has split them
    # Values of our own pins, for `packaging.pylock` to write.
    ("writing", "packaging.markers.Marker"),
    ("writing", "packaging.version.Version"),
}


def run_time_imports(node: ast.AST) -> Iterator[str]:
    """Yield what is imported from where, but for what only type checkers import."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "False"}:
        return
    if isinstance(node, ast.Import):
        yield from (f"{alias.name}.*" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from run_time_imports(child)


def parsers(node: ast.AST) -> set[str]:
    """Return the parsers that a module can reach: by name, or through a module that has some."""
    modules = {f"{parser.rpartition('.')[0]}.*" for parser in PARSERS}
    modules |= {f"{module.partition('.')[0]}.*" for module in modules - {"urllib.*"}}
    whole = {parser for parser in PARSERS if parser.endswith(".*")}
    imports = set(run_time_imports(node))
    return {
        name
        for name in imports
        if name in PARSERS | modules or f"{name.rpartition('.')[0]}.*" in whole
    }


@pytest.mark.parametrize(
    "code",
    [
        "from packaging.version import Version",
        "from packaging.requirements import Requirement as R",
        "import email.parser",
        "import packaging.version as v",
        "import urllib.parse",
        "def late():\n    import email",
    ],
)
def test_parsers__are_found_however_they_are_imported(code: str) -> None:
    assert len(parsers(ast.parse(code))) == 1


def test_modules__leave_foreign_formats_to_their_readers() -> None:
    found = [
        (str(path), name)
        for path in MODULES
        for name in parsers(parse(path))
        if room(path) != ("wheelforge_isolation", "formats") and (path.stem, name) not in EXCEPTIONS
    ]

    assert found == []


def test_formats__is_where_the_parsers_are() -> None:
    paths = [path for path in MODULES if room(path) == ("wheelforge_isolation", "formats")]
    found = set[str]().union(*(parsers(parse(path)) for path in paths))

    assert found >= {
        "packaging.requirements.Requirement",
        "packaging.version.Version",
        "urllib.parse.unquote",
        "email.parser.HeaderParser",
    }
