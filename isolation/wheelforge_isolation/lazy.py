"""Packages that import their public names when these are first used.

The names stand in one place, the package's stub `__init__.pyi`: type checkers read it, and so does
this module. A name that is not there exists for neither.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from importlib import import_module
from pkgutil import get_data

__all__ = ["list_names", "load"]


def load(package: str, name: str) -> object:
    """Import ``name`` from the module that the stub of ``package`` imports it from."""
    module = sys.modules[package]
    if name == "__all__":
        return list_names(package)
    homes = _read_stub(package)
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
    value: object = getattr(import_module(homes[name]), name)
    setattr(module, name, value)
    return value


def list_names(package: str) -> list[str]:
    """Return the public names of ``package``, sorted."""
    return sorted(_read_stub(package))


@cache
def _read_stub(package: str) -> dict[str, str]:
    """Return the module that each public name is imported from."""
    # The package may be in a zip file.
    tree = ast.parse(get_data(package, "__init__.pyi") or b"")
    return {
        alias.name: node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
