"""What the packages show to the world, and what importing them costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.source import PACKAGES, parse

if TYPE_CHECKING:
    from pathlib import Path

FACADES = {**PACKAGES, "wheelforge.errors": PACKAGES["wheelforge"] / "errors"}


def typed_names(path: Path) -> set[str]:
    """Return the names that a type checker sees a facade import."""
    blocks = [node for node in parse(path).body if isinstance(node, ast.If)]
    nodes = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in nodes for alias in node.names}


@pytest.mark.parametrize("package", FACADES)
def test_a_facade_shows_the_same_names_to_type_checkers_and_at_run_time(package: str) -> None:
    facade = import_module(package)

    assert typed_names(FACADES[package] / "__init__.py") == set(facade.__all__)
    assert sorted(facade.__all__) == facade.__all__
    assert all(getattr(facade, name) is not None for name in facade.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_no_other_one(package: str) -> None:
    code = f"import json, sys; import {package}; print(json.dumps(sorted(sys.modules)))"

    modules = json.loads(subprocess.check_output([sys.executable, "-c", code]))

    tops = {name.partition(".")[0] for name in modules}
    site = {"sitecustomize", "usercustomize", "coverage", "a1_coverage"}
    strangers = {top for top in tops if top[0] not in "_$"} - sys.stdlib_module_names - site
    assert strangers <= {"wheelforge", "wheelforge_isolation"}


def test_a_name_that_a_facade_does_not_have_is_an_attribute_error() -> None:
    facade = import_module("wheelforge_isolation")

    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = facade.nonsense
