"""The source tree as the architecture tests see it."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "wheelforge": ROOT / "frontend" / "wheelforge",
    "wheelforge_isolation": ROOT / "isolation" / "wheelforge_isolation",
}
MODULES = sorted(path for package in PACKAGES.values() for path in package.rglob("*.py"))


def room(path: Path) -> tuple[str, str]:
    """Return the package and the room of a module: the file or folder directly in the package."""
    for name, top in PACKAGES.items():
        if path.is_relative_to(top):
            return name, path.relative_to(top).parts[0].removesuffix(".py")
    raise LookupError(path)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Return every name imported anywhere in a module, however late and for types only too."""
    found: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found
