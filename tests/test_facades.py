"""The public names of the packages, and the cost of importing them."""

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import wheelforge
from tests.support.source import PACKAGES, parse
from wheelforge.version import VERSION

FACADES = {**PACKAGES, "wheelforge.errors": PACKAGES["wheelforge"] / "errors"}


@pytest.mark.parametrize("package", FACADES)
def test_facade__every_name_of_its_stub_exists_and_is_loaded_once(package: str) -> None:
    facade = import_module(package)

    names = dir(facade)

    loaded = {name: getattr(facade, name) for name in names}
    assert names == sorted(set(names)) == facade.__all__
    assert None not in loaded.values()
    assert loaded.items() <= vars(facade).items()


@pytest.mark.parametrize("package", FACADES)
def test_facade__its_stub_says_nothing_but_names(package: str) -> None:
    nodes = parse(FACADES[package] / "__init__.pyi").body

    aliases = [alias for node in nodes for alias in getattr(node, "names", [])]
    assert {type(node) for node in nodes} == {ast.ImportFrom}
    assert [alias.name for alias in aliases if alias.asname != alias.name] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_facade__importing_it_loads_no_other_package(package: str) -> None:
    code = f"import json, sys; import {package}; print(json.dumps(sorted(sys.modules)))"

    modules = json.loads(subprocess.check_output([sys.executable, "-c", code]))

    tops = {name.partition(".")[0] for name in modules}
    site = {"sitecustomize", "usercustomize", "coverage", "a1_coverage"}
    strangers = {top for top in tops if top[0] not in "_$"} - sys.stdlib_module_names - site
    assert strangers <= {"wheelforge", "wheelforge_isolation"}


@pytest.mark.parametrize("name", dir(wheelforge))
def test_facade__every_public_name_has_a_docstring(name: str) -> None:
    thing = getattr(wheelforge, name)

    public = [getattr(thing, key) for key in dir(thing) if not key.startswith("_")]

    # The default docstring of a data class is its signature.
    assert not inspect.cleandoc(thing.__doc__).startswith(f"{name}(")
    assert all(method.__doc__ for method in public if inspect.isroutine(method))


def list_imported(*words: str, cwd: Path) -> set[str]:
    """Return what a Python imports on these words."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_version__imports_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for name in ("__init__", "__main__"):
        (tmp_path / "nothing" / f"{name}.py").touch()

    imported = list_imported("-m", "wheelforge", "--version", cwd=tmp_path)

    more = imported - list_imported("-m", "nothing", cwd=tmp_path)
    assert more == {"wheelforge", "wheelforge.version", "wheelforge.cli", "gc"}


def test_version__is_that_of_the_distribution() -> None:
    assert version("wheelforge") == VERSION


@pytest.mark.parametrize("package", FACADES)
def test_facade__a_name_that_it_does_not_have_is_an_attribute_error(package: str) -> None:
    facade = import_module(package)

    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = facade.nonsense
