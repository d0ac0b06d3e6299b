"""Interpreters are found by path, name and version, and a problem with one is told."""

import os
import pickle
import sys
from pathlib import Path

import pytest

from tests.support.interpreters import (
    IN_BIN,
    find,
    from_pyenv,
    make_environment,
    needs_bash,
    needs_scripts,
    real,
    write_disguise,
    write_program,
)
from wheelforge_isolation.errors import (
    ForgeError,
    InterpreterNotFoundError,
    InterpreterTooOldError,
    InterpreterUnusableError,
)
from wheelforge_isolation.interpreter import find_interpreter


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "pythons"


def test_path__may_be_the_directory_of_an_environment(tmp_path: Path, cache_dir: Path) -> None:
    python = make_environment(Path(sys.executable), tmp_path / "environment")

    assert find(tmp_path / "environment", cache_dir) == find(python, cache_dir)
    assert find(tmp_path / "environment" / IN_BIN, cache_dir) == find(python, cache_dir)


@needs_scripts
def test_path__may_be_a_prefix_with_versioned_names_only(tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("python3.9", "python3.11", "python3.11-config", "python3.x"):
        (tmp_path / "bin" / name).symlink_to(Path(sys.executable).resolve())

    assert find(tmp_path, cache_dir).executable == tmp_path / "bin" / "python3.11"


@pytest.mark.parametrize("minor", ["3.12", "3.13"])
@pytest.mark.parametrize("form", ["{}", "python{}", "cpython{}", "cpython-{}"])
def test_version__is_searched_for(minor: str, form: str, tmp_path: Path, cache_dir: Path) -> None:
    directory = real(minor, cache_dir).executable.parent

    found = find_interpreter(form.format(minor), search=[tmp_path, directory], cache_dir=cache_dir)

    assert found.executable.parent == directory
    assert ".".join(map(str, found.version_info)) == minor


def test_version__with_three_numbers_is_exact(cache_dir: Path) -> None:
    python = real("3.12", cache_dir)
    search = [python.executable.parent]

    assert find_interpreter(python.version, search=search, cache_dir=cache_dir) == python
    with pytest.raises(InterpreterNotFoundError):
        find_interpreter("3.12.99", search=search, cache_dir=cache_dir)


def test_name__may_be_any_name_of_a_program(tmp_path: Path, cache_dir: Path) -> None:
    name = f"myown{'.exe' if os.name == 'nt' else ''}"
    python = make_environment(Path(sys.executable), tmp_path / "environment")
    python.rename(python.with_name(name))

    found = find_interpreter("myown", search=[python.parent], cache_dir=cache_dir)

    assert found.executable == python.with_name(name)


def test_running_python__without_executable_is_found_by_version(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(sys.executable).parent
    monkeypatch.setattr(sys, "executable", "")

    found = find_interpreter(None, search=[directory], cache_dir=cache_dir)

    assert found.version_info == sys.version_info[:2]
    assert found.executable.parent == directory


@needs_scripts
@pytest.mark.parametrize("place", ["", "shims"])
def test_pyenv__newest_version_is_found(place: str, tmp_path: Path, cache_dir: Path) -> None:
    for name in ("3.9.1", "3.10.2", "3.10.13", "2.7.18", "notes"):
        (tmp_path / "versions" / name / "bin").mkdir(parents=True)
        (tmp_path / "versions" / name / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "shims").mkdir()

    found = find_interpreter("python", search=[tmp_path / place], cache_dir=cache_dir)

    assert found.executable == tmp_path / "versions" / "3.10.13" / "bin" / "python"


@needs_scripts
def test_pyenv__shim_is_not_run_for_a_minor_version(tmp_path: Path, cache_dir: Path) -> None:
    version = "{}.{}".format(*sys.version_info)
    log = tmp_path / "log"
    write_program(tmp_path / "shims" / f"python{version}", f"echo asked > {log}; exit 127")
    directory = tmp_path / "versions" / version / "bin"
    directory.mkdir(parents=True)
    (directory / "python3").symlink_to(Path(sys.executable).resolve())

    found = find_interpreter(version, search=[tmp_path / "shims"], cache_dir=cache_dir)

    assert found.executable == directory / "python3"
    assert not log.exists()


@needs_scripts
def test_version__unusable_candidate_is_passed_over(tmp_path: Path, cache_dir: Path) -> None:
    python = real("3.12", cache_dir)
    problem = "pyenv: python3.12: command not found"
    write_program(tmp_path / "shims" / "python3.12", f"echo {problem} >&2; exit 127")
    search = [tmp_path / "shims", python.executable.parent]

    assert find_interpreter("3.12", search=search, cache_dir=cache_dir) == python


@needs_scripts
@pytest.mark.parametrize(("request_", "name"), [("3.12", "python3.12"), ("mine", "mine")])
def test_version__unusable_python_is_reported(
    request_: str, name: str, tmp_path: Path, cache_dir: Path
) -> None:
    program = write_program(tmp_path / name, "echo it is broken; exit 127")

    with pytest.raises(InterpreterUnusableError) as caught:
        find_interpreter(request_, search=[tmp_path], cache_dir=cache_dir)

    problem = "it exited with code 127 and printed `it is broken`"
    assert str(caught.value) == f"`{program}` is not a usable Python interpreter: {problem}"


@needs_scripts
def test_version__unusable_program_is_mentioned(tmp_path: Path, cache_dir: Path) -> None:
    program = write_program(tmp_path / "python", "exit 1")

    with pytest.raises(InterpreterNotFoundError) as caught:
        find_interpreter("3.12", search=[tmp_path], cache_dir=cache_dir)

    assert f"passed over: `{program}` is not a usable" in str(caught.value)


@needs_scripts
def test_version__too_old_python_under_its_name_is_told(tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "python3.12").symlink_to(from_pyenv("3.8.18"))

    with pytest.raises(InterpreterTooOldError, match=r"is Python 3\.8\.18"):
        find_interpreter("3.12", search=[tmp_path], cache_dir=cache_dir)


def test_version__other_pythons_are_mentioned_if_none_fits(cache_dir: Path) -> None:
    python = real("3.12", cache_dir)

    with pytest.raises(InterpreterNotFoundError) as caught:
        find_interpreter("3.12t", search=[python.executable.parent], cache_dir=cache_dir)

    passed_over = f"passed over: `{python.executable.parent}/python3.12` is CPython 3.12."
    assert passed_over in str(caught.value)


@needs_bash
@pytest.mark.parametrize("is_free_threaded", [True, False])
def test_version__free_threads_count(
    tmp_path: Path, cache_dir: Path, *, is_free_threaded: bool
) -> None:
    version = "{}.{}".format(*sys.version_info)
    edit = 's/"is_free_threaded": [a-z]*/"is_free_threaded": true/'
    write_disguise(tmp_path / "free" / f"python{version}", edit=edit)
    write_disguise(tmp_path / "locked" / f"python{version}")
    search = [tmp_path / "free", tmp_path / "locked"]

    request = version + ("t" if is_free_threaded else "")
    found = find_interpreter(request, search=search, cache_dir=cache_dir)

    assert found.is_free_threaded == is_free_threaded


@needs_bash
def test_version__implementation_is_asked_for(tmp_path: Path, cache_dir: Path) -> None:
    version = "{}.{}".format(*sys.version_info)
    edit = 's/"implementation": "cpython"/"implementation": "pypy"/'
    write_disguise(tmp_path / f"pypy{version}", edit=edit)
    write_disguise(tmp_path / f"python{version}", edit=edit)

    found = find_interpreter(f"pypy{version}", search=[tmp_path], cache_dir=cache_dir)

    assert found.implementation == "pypy"
    with pytest.raises(InterpreterNotFoundError):
        find_interpreter(f"cpython{version}", search=[tmp_path], cache_dir=cache_dir)


@needs_scripts
def test_shim__is_the_python_that_it_starts_now(tmp_path: Path, cache_dir: Path) -> None:
    pythons = [make_environment(Path(sys.executable), tmp_path / name) for name in ("a", "b")]
    choice = tmp_path / "choice"
    shim = write_program(tmp_path / "shim", f'exec "$(cat {choice})" "$@"')
    found: list[Path] = []
    for python in pythons:
        choice.write_text(str(python), encoding="utf-8")
        found.append(find(shim, cache_dir).executable)

    assert found == pythons


@pytest.mark.parametrize("version", ["2", "2.7", "python2.7", "3.6", "3.8", "3.8.18", "pypy3.8"])
def test_version__too_old_is_refused_before_the_search(version: str, cache_dir: Path) -> None:
    with pytest.raises(InterpreterTooOldError, match="too old"):
        find_interpreter(version, search=[], cache_dir=cache_dir)


@pytest.mark.parametrize("name", ["2.7.18", "3.6.15", "3.7.16", "3.8.18"])
def test_path__too_old_python_is_told_with_its_version(name: str, cache_dir: Path) -> None:
    python = from_pyenv(name)

    with pytest.raises(InterpreterTooOldError) as caught:
        find(python, cache_dir)

    assert str(caught.value) == f"`{python}` is Python {name}, which is too old to build with"
    assert caught.value.hint == "use Python 3.9 or newer"


def test_version__not_found_names_the_directories_searched(tmp_path: Path, cache_dir: Path) -> None:
    search = [tmp_path / "a", tmp_path / "b", tmp_path / "a"]

    with pytest.raises(InterpreterNotFoundError) as caught:
        find_interpreter("3.12", search=search, cache_dir=cache_dir)

    places = f"`{tmp_path / 'a'}`, `{tmp_path / 'b'}`"
    assert str(caught.value) == f"cannot find a Python for `3.12` in {places}"
    assert "--python PATH" in caught.value.hint
    many = InterpreterNotFoundError("3.12", tuple(map(str, range(17))))
    assert str(many) == "cannot find a Python for `3.12` in the 17 directories of PATH"


@pytest.mark.parametrize(
    ("request_", "meant"),
    [
        ("cp377", "3.77"),
        ("py377", "3.77"),
        ("377", "3.77"),
        ("python377", "3.77"),
        ("cpython@3.77", "3.77"),
        ("cp377t", "3.77t"),
        ("pp377", "pypy3.77"),
        ("3.77,3.78", "--python 3.77 --python 3.78"),
    ],
)
def test_version__spelled_as_a_tag_is_answered_with_the_version(
    request_: str, meant: str, tmp_path: Path, cache_dir: Path
) -> None:
    with pytest.raises(InterpreterNotFoundError) as caught:
        find_interpreter(request_, search=[tmp_path], cache_dir=cache_dir)

    assert caught.value.hint == f"did you mean `{meant}`?"


@pytest.mark.parametrize("name", ["", "missing", "missing/python", "nul\0"])
def test_path__without_python_is_named(name: str, tmp_path: Path, cache_dir: Path) -> None:
    with pytest.raises(InterpreterNotFoundError) as caught:
        find(tmp_path / name, cache_dir)

    assert caught.value.searched == (str(tmp_path / name),)


@pytest.mark.parametrize(
    "error",
    [
        InterpreterNotFoundError("3.12", ("/a", "/b"), ("`/a/python`: no",)),
        InterpreterUnusableError("/a/python", "it exits with 1"),
        InterpreterTooOldError("/a/python", "2.7.18", "3.9"),
    ],
)
def test_errors__can_be_pickled(error: ForgeError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # ruff: ignore[suspicious-pickle-usage]

    assert (str(copy), copy.hint, copy.exit_code) == (str(error), error.hint, 2)
