"""Requirements from outside: what would take long, or cannot be converted, is refused at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.forge import Place
from tests.support.index import Project, core_metadata, wheel
from tests.support.indexes import asking
from tests.support.universe import Universe
from wheelforge.errors import MetadataInvalidError, RequirementInvalidError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.requirements import (
    admits_python,
    parse_requirement,
    parse_specifier,
)

LONG = "1" * 5000
HOSTILE = [
    f"a>={LONG}",
    f"a>=1.{'1' * 300}",
    f"a; python_version >= '3.{LONG}'",
    f"a[{','.join(f'e{number}' for number in range(1000))}]",
    f"a; {'(' * 3000}python_version > '3'{')' * 3000}",
    f"a{' ' * 10_000}",
    f"a{'>=1,' * 10_000}>=1",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_requirement__that_is_hostile_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_requirement(text)


@pytest.mark.parametrize("text", [f">={LONG}", f"<1.{LONG}", ">=1," * 10_000, f"==1.{LONG}.*"])
def test_specifier__that_is_hostile_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_specifier(text)
    assert admits_python(text, "3.11")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_resolver__refuses_a_version_with_hostile_requirements(text: str) -> None:
    universe = Universe()
    universe.add("b", "2.0", text)

    with pytest.raises(RequirementInvalidError):
        universe.resolve(text)
    with raises("requirements-conflict"):
        universe.resolve("b")
    universe.add("b", "1.0")
    assert universe.resolve("b").pins[0].version == "1.0"


def test_project__with_hostile_build_requirements_is_refused_in_a_sentence(tmp_path: Path) -> None:
    project = tmp_path / "demo"
    project.mkdir()
    text = f'[build-system]\nrequires = ["a>={LONG}"]\nbuild-backend = "a"\n'
    (project / "pyproject.toml").write_text(text)

    done = Place(path=tmp_path).run(project, "-o", tmp_path / "out", "--no-index")

    assert (done.code, done.error) == (3, "requirement-invalid")
    assert "a number of more than 255 digits" in done.err
    assert "Traceback" not in done.err


def test_metadata__with_more_requirements_than_any_real_one_are_refused() -> None:
    beside = core_metadata("demo", "1.0", *(f"a{number}" for number in range(20_001)))
    file = replace(wheel("demo", "1.0"), metadata=beside)

    with (
        asking(Project("demo", file)) as (_, index),
        pytest.raises(MetadataInvalidError, match="20,000 requirements"),
    ):
        index.read_metadata(index.find("demo").usable[0])
