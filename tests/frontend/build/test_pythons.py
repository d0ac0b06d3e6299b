"""Every Python of this machine builds with every backend in wide use, whatever is built."""

import json
import shutil
import subprocess
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.builds import Ground, ask
from tests.support.interpreters import VERSIONS, real
from tests.support.projects import PROJECTS, Project
from wheelforge.models import Kind, Outcome
from wheelforge_isolation import Interpreter

KINDS = (Kind.SDIST, Kind.WHEEL, Kind.EDITABLE, Kind.METADATA)
FAST = {
    *(("3.9", backend) for backend in PROJECTS),
    *((version, "setuptools") for version in VERSIONS),
    *(("3.13", backend) for backend in ("meson-python", "hatchling", "setup.py")),
}
"""The pairs that are built each time: the oldest Python, and the backend most used."""


def mark(version: str, backend: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return how seldom a pair is built: those of Pythons in the middle are the last to break."""
    if (version, backend) in FAST:
        return ()
    return (pytest.mark.long if version == "3.13" else pytest.mark.stress,)


PAIRS = [
    pytest.param(version, backend, marks=mark(version, backend))
    for version in VERSIONS
    for backend in PROJECTS
]
_ASK = """
import json, site, sys, sysconfig

site.addsitedir(sys.argv[1])
import demo

print(json.dumps([demo.answer(), demo.__file__]))
"""
_INCLUDES = "import sysconfig; print(sysconfig.get_path('include'))"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the wheels of the backends and of all that they require."""
    listed = [*corpus.WHEELS, *corpus.BACKENDS]
    problems = corpus.fetch_missing(listed)
    if problems:
        pytest.skip(f"{len(problems)} of the real wheels cannot be fetched, as {problems[0]}")
    directory = tmp_path_factory.mktemp("wheels")
    for each in listed:
        (directory / each.file).symlink_to(each.path)
    return directory


def check_tools(project: Project, python: Interpreter) -> None:
    """Skip a test whose project has a part in C if that cannot be compiled here."""
    missing = [name for name in project.programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"there is no {missing[0]} here")
    if project.platform not in python.tags[0]:
        pytest.skip(f"{project.requires} needs a program for {project.platform}")
    if not project.is_pure:
        includes = subprocess.run(
            [python.executable, "-c", _INCLUDES], capture_output=True, text=True, check=True
        ).stdout.strip()
        if not (Path(includes) / "Python.h").exists():
            pytest.skip(f"{python.executable} comes without headers")


def ask_module(python: Interpreter, wheel: Path, place: Path) -> tuple[int, Path]:
    """Return what the module of a wheel answers in there, and where it is."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    command = [str(python.executable), "-I", "-c", _ASK, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=place)
    answered, file = json.loads(done.stdout)
    return answered, Path(file)


def built(outcome: Outcome) -> Path:
    assert outcome.error is None, str(outcome.error)
    (artifact,) = outcome.artifacts
    return artifact.path


@pytest.mark.parametrize(("version", "backend"), PAIRS)
def test_python__builds_with_backend(
    version: str, backend: str, wheels: Path, ground: Ground, tmp_path: Path
) -> None:
    python = real(version, tmp_path / "pythons")
    project = PROJECTS[backend]
    check_tools(project, python)
    source = project.write(tmp_path / "demo")
    output = tmp_path / "output"

    with ground.forge(find_links=(str(wheels),), python=str(python.executable)) as forge:
        sdist = built(forge.build(ask(source, output, kinds=(Kind.SDIST,))))
        wheel = built(forge.build(ask(sdist, output)))
        metadata = forge.build(ask(source, output, kinds=(Kind.METADATA,)))
        editable = built(forge.build(ask(source, output / "editable", kinds=(Kind.EDITABLE,))))

    assert sdist.name == "demo-1.5.tar.gz"
    assert wheel.name == f"demo-1.5-{name_tags(python, project)}.whl"
    fields = BytesParser().parsebytes(metadata.metadata)
    assert (fields["Name"], fields["Version"]) == ("demo", "1.5")
    answered, file = ask_module(python, wheel, tmp_path / "installed")
    assert (answered, file.is_relative_to(tmp_path / "installed")) == (42, True)
    answered, file = ask_module(python, editable, tmp_path / "linked")
    assert (answered, file.is_relative_to(source)) == (42, True)


def name_tags(python: Interpreter, project: Project) -> str:
    """Return the tags of a wheel of that project."""
    return "py3-none-any" if project.is_pure else python.tags[0]
