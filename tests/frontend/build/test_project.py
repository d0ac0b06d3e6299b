"""The `[build-system]` table, and the errors for an invalid one."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builds import Ground, ask, write_project, write_sdist
from tests.support.codes import raises
from tests.support.forge import Place
from wheelforge.build.project import Project, read_project
from wheelforge.errors import SourceError

LEGACY = "setuptools.build_meta:__legacy__"


def write(root: Path, text: str) -> Path:
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return root


def refuse(root: Path) -> str:
    with raises("project-invalid") as caught:
        read_project(root)
    return str(caught.value.reason)


def test_project__build_system_is_read(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    text = """
[build-system]
requires = ["a>=1", "b"]
build-backend = "own.backend:builder.hooks"
backend-path = ["tools", "."]
[project]
name = "demo"
version = "1.0"
"""

    assert read_project(write(tmp_path, text)) == Project(
        root=tmp_path,
        requires=("a>=1", "b"),
        backend="own.backend:builder.hooks",
        backend_path=("tools", "."),
        name="demo",
        version="1.0",
    )


@pytest.mark.parametrize(
    ("text", "requires"),
    [
        (None, ("setuptools >= 40.8.0",)),
        ("", ("setuptools >= 40.8.0",)),
        ("[project]\nname = 'demo'", ("setuptools >= 40.8.0",)),
        ("[build-system]\nrequires = ['setuptools']", ("setuptools",)),
        ("[build-system]\nrequires = []", ()),
    ],
)
def test_project__without_a_backend_gets_the_legacy_one(
    tmp_path: Path, text: str | None, requires: tuple[str, ...]
) -> None:
    (tmp_path / "setup.py").touch()
    if text is not None:
        write(tmp_path, text)

    project = read_project(tmp_path)

    assert (project.backend, project.requires) == (LEGACY, requires)


NAMED = "[build-system]\nrequires = []\nbuild-backend = "
FOUND = "[build-system]\nrequires = []\nbackend-path = "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("build-system = 1", "`build-system` must be a table"),
        ("[[build-system]]", "`build-system` must be a table"),
        ("[build-system]", "`requires` is a required property"),
        ("[build-system]\nrequires = 'a'", "`requires` must be an array of strings"),
        ("[build-system]\nrequires = ['a', 1]", "`requires` must be an array of strings"),
        (f"{NAMED}[]", "`build-backend` must be a string"),
        (f"{NAMED}''", "`build-backend` names no module: ''"),
        (f"{NAMED}'a b'", "`build-backend` names no module: 'a b'"),
        (f"{FOUND}'.'", "`backend-path` must be an array of strings"),
        (
            f"{FOUND}['.', 'nowhere']",
            "`backend-path` entry 'nowhere' does not exist or is not a directory",
        ),
        (f"{FOUND}['..']", "`backend-path`: paths must be inside source tree"),
        (f"{FOUND}['/tmp']", "`backend-path`: paths must be relative"),
        (
            f'{FOUND}["\\u0000"]',
            "`backend-path` entry '\\x00' does not exist or is not a directory",
        ),
        (
            "[build-system]\nrequire = []",
            "`require` means nothing, and `requires` was probably meant",
        ),
        (
            "[build-system]\nrequires = []\nbuild_backend = 'a'",
            "`build_backend` means nothing, and `build-backend` was probably meant",
        ),
        ("[build-system]\nrequires = []\nzzz = 1", "`zzz` means nothing"),
    ],
)
def test_project__fault_is_named_with_its_key(tmp_path: Path, text: str, reason: str) -> None:
    root = tmp_path / "project"
    root.mkdir()

    assert refuse(write(root, text)) == f"[build-system] {reason}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"requires = [", "it cannot be read: "),
        (b"a = '\xff'", "it cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (b"a = " + b"[" * 100_000, "it cannot be read: "),
    ],
)
def test_project__invalid_toml_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)

    assert refuse(tmp_path).startswith(words)


def test_project__directory_without_either_file_is_refused(tmp_path: Path) -> None:
    assert refuse(tmp_path) == "it has neither a `pyproject.toml` nor a `setup.py`"


def test_project__directory_named_pyproject_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()

    assert refuse(tmp_path) == "it cannot be read: Is a directory"


def test_project__misspelled_table_is_noted(tmp_path: Path) -> None:
    project = read_project(write(tmp_path, "[build_system]\nrequires = []"))

    assert project.notes == (
        "`[build_system]` in pyproject.toml is not read; `[build-system]` was probably meant",
    )


@pytest.mark.parametrize(
    ("table", "field", "is_built"),
    [
        (">=3.99", "", False),
        ("", "<3", False),
        (">=3.9", "<3", True),  # the static one is what counts: patches change it
        ("", ">=3.9", True),
        ("nonsense", "", True),
        ("", "", True),
    ],
)
def test_project__for_other_pythons_is_refused_before_anything_is_made(
    tmp_path: Path, ground: Ground, table: str, field: str, *, is_built: bool
) -> None:
    project = write_project(tmp_path / "trees" / "demo-1.0")
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    static = f'[project]\nrequires-python = "{table}"' if table else "[project]"
    (project / "pyproject.toml").write_text(text.replace("[project]", static), encoding="utf-8")
    metadata = "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n"
    metadata += f"Requires-Python: {field}\n" if field else ""
    (project / "PKG-INFO").write_text(metadata, encoding="utf-8")
    sdist = tmp_path / "demo-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(project, "demo-1.0")

    with ground.forge() as forge:
        outcomes = [forge.try_build(ask(each, tmp_path / "out")) for each in (sdist, project)]

    found = [(outcome.error.code if outcome.error else "") for outcome in outcomes]
    of_directory = "python-unsupported" if table == ">=3.99" else ""
    assert found == ["" if is_built else "python-unsupported", of_directory]
    assert outcomes[0].environments_found + outcomes[0].environments_made == is_built


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    TEXTS | st.integers(0, 9) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["requires", "build-backend", "backend-path", "Requires", "x"])


@given(table=st.dictionaries(KEYS, VALUES, max_size=4))
def test_project__any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, object]
) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    root.mkdir(exist_ok=True)
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    text = "\n".join(["[build-system]", *lines]).replace("\x7f", "\\u007f")
    (root / "pyproject.toml").write_text(text, encoding="utf-8")

    try:
        project = read_project(root)
    except SourceError:
        return

    assert list(project.requires) == table["requires"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"pyproject.toml": "[build-system"}, "pyproject.toml: it cannot be read: "),
        ({"pyproject.toml": "[build-system]\nnonsense = 1\n"}, "pyproject.toml: [build-system] "),
    ],
)
def test_project__of_an_sdist_is_not_named_by_a_path_that_is_gone(
    tmp_path: Path, ground: Ground, more: dict[str, str], reason: str
) -> None:
    sdist = write_sdist(tmp_path, more=more)

    with ground.forge() as forge:
        error = forge.try_build(ask(sdist, tmp_path / "out")).error

    assert error is not None
    assert error.code == "project-invalid"
    assert str(error).startswith(f"`{sdist.name}` cannot be built: {reason}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_source__that_is_a_pipe_is_refused_and_not_read(tmp_path: Path, ground: Ground) -> None:
    os.mkfifo(tmp_path / "demo-1.0.tar.gz")

    with ground.forge() as forge:
        error = forge.try_build(ask(tmp_path / "demo-1.0.tar.gz", tmp_path / "out")).error

    assert error is not None
    assert (error.code, error.exit_code) == ("source-invalid", 2)
    assert str(error).endswith("it is neither a file nor a directory")


def test_project__with_a_misspelled_table_is_told_once(tmp_path: Path) -> None:
    place = Place(path=tmp_path)
    project = write_project(tmp_path / "project")
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    write(project, text.replace("[build-system]", "[build_system]"))

    done = place.call(project, "-w", "-n", "-x", "-o", tmp_path / "out")

    assert done.err.count("build_system") == 1
    assert "note: project: `[build_system]` in pyproject.toml is not read" in done.err
