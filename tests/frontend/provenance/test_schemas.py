"""Statements and lists of real wheels, held against the schemas that others have published."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from referencing import Registry, Resource

from tests.support import corpus
from tests.support.builds import ask
from wheelforge.build.forge import open_forge
from wheelforge.provenance.options import Provenance, Sbom
from wheelforge.settings import Settings

FIVE = {
    *("six-1.17.0.tar.gz", "alabaster-1.0.0.tar.gz", "MarkupSafe-2.1.5.tar.gz"),
    *("rsa-4.9.1.tar.gz", "pathspec-1.1.1.tar.gz"),
}
"""Of several backends, one with a part in C."""
_READER = """
import json, sys
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    ParseDict(found, Statement())  # refuses fields that are unknown
    print(ParseDict(found["predicate"], Provenance()).build_definition.build_type)
"""


@pytest.fixture(scope="module")
def schemas() -> dict[str, Path]:
    problems = corpus.fetch_missing(corpus.SCHEMAS)
    if problems:
        pytest.skip(f"the schemas cannot be fetched, as {problems[0]}")
    return {corpus.parse_name(listed.file): listed.path for listed in corpus.SCHEMAS}


@pytest.fixture(scope="module")
def wheels(
    tmp_path_factory: pytest.TempPathFactory, real_sdists: Path, real_wheels: object
) -> list[Path]:
    """Return the wheels of five sdists, each with its statement and its list beside it."""
    del real_wheels
    place = tmp_path_factory.mktemp("schemas")
    settings = Settings(
        variables={"PATH": "/usr/bin:/bin"},
        cache_dir=place / "cache",
        find_links=(str(real_sdists),),
        no_index=True,
        provenance=Provenance(statements=True, sbom=Sbom.SIDECAR),
    )
    with open_forge(settings) as forge:
        return [
            forge.build(ask(real_sdists / name, place / "out")).artifacts[0].path
            for name in sorted(FIVE)
        ]


@pytest.mark.long
def test_statements__are_those_of_in_toto_and_slsa(
    schemas: dict[str, Path], wheels: list[Path], tmp_path: Path
) -> None:
    for name in ("protobuf", "in-toto-attestation"):
        zipfile.ZipFile(schemas[name]).extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{_READER}"
    files = [f"{wheel}.provenance.json" for wheel in wheels]

    done = subprocess.run(
        [sys.executable, "-c", code, *files], capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["urn:wheelforge:build:1"] * len(FIVE), done.stderr


def read_validator(wheel: Path) -> Any:
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name.rpartition("/")[2].replace(".SNAPSHOT", ""): json.loads(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".SNAPSHOT.schema.json")
        }
    resources = [
        (f"http://cyclonedx.org/schema/{name.replace('.schema', '.SNAPSHOT.schema')}", each)
        for name, each in found.items()
    ]
    resources += [(each["$id"], each) for each in found.values()]
    registry: Any = Registry().with_resources(
        (uri, Resource.from_contents(each)) for uri, each in resources
    )
    validator = import_module("jsonschema").Draft7Validator
    return validator(found["bom-1.6.schema.json"], registry=registry)


@pytest.mark.long
def test_lists__are_those_of_cyclonedx(schemas: dict[str, Path], wheels: list[Path]) -> None:
    validator = read_validator(schemas["cyclonedx-python-lib"])

    for wheel in wheels:
        listed = json.loads(Path(f"{wheel}.cdx.json").read_text(encoding="utf-8"))
        assert [error.message for error in validator.iter_errors(listed)] == []

    assert list(validator.iter_errors({"bomFormat": "CycloneDX", "specVersion": "1.6", "x": 1}))


@pytest.mark.long
def test_list__of_what_is_carried_inside_is_one_of_cyclonedx(
    schemas: dict[str, Path], real_wheels: object
) -> None:
    from wheelforge.provenance import sbom

    del real_wheels
    (setuptools,) = (each for each in corpus.WHEELS if each.file.startswith("setuptools-"))
    with sbom.open_content(setuptools.path) as content:
        listed = sbom.make_sbom(content)

    validator = read_validator(schemas["cyclonedx-python-lib"])
    assert [error.message for error in validator.iter_errors(listed)] == []
    names = {component["name"] for component in listed["components"]}
    assert {"packaging", "wheel", "more-itertools"} <= names
