"""Packages that import their public names when these are first used.

The names stand in one place, the package's stub `__init__.pyi`: type checkers read it, and so does
this module. A name that is not there exists for neither.
"""

from __future__ import annotations

import ast
import os
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["list_names", "load"]


class _Loader(Protocol):
    def get_data(self, path: str) -> bytes: ...


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
    tree = ast.parse(_read_beside(sys.modules[package], "__init__.pyi"))
    return {
        alias.name: node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _read_beside(package: ModuleType, name: str) -> bytes:
    # Through the loader, so that the package may be in a zip file.
    loader = cast("_Loader", package.__loader__)
    return loader.get_data(os.path.join(package.__path__[0], name))
