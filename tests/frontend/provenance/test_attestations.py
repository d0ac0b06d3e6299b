"""Attestations that an index has of a file, checked by a library that may be installed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.support.forge import Done, Place
from tests.support.index import File, Manners, Project, sdist, serve, wheel
from tests.support.on_demand import facts_of, spelled

PUBLISHER = {"kind": "GitHub", "repository": "acme/demo", "workflow": "release.yml", "claims": {}}
PROVENANCE = {"version": 1, "attestation_bundles": [{"publisher": PUBLISHER, "attestations": [{}]}]}
MODULE = "pypi_attestations"
MakeFile = Callable[[str, str], File]


def make_checker(verify: Callable[[Any, Any], object]) -> ModuleType:
    """Return a library as it is used, which judges as it is told."""

    def read_bundle(facts: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(
            publisher=SimpleNamespace(model_dump=lambda **_: dict(facts["publisher"])),
            attestations=[SimpleNamespace(verify=verify) for _ in facts["attestations"]],
        )

    def read(content: bytes) -> SimpleNamespace:
        bundles = json.loads(content)["attestation_bundles"]
        return SimpleNamespace(attestation_bundles=list(map(read_bundle, bundles)))

    found = ModuleType(MODULE)
    vars(found)["Provenance"] = SimpleNamespace(model_validate_json=read)
    vars(found)["Distribution"] = SimpleNamespace(from_file=lambda path: path.read_bytes())
    return found


def verify(
    tmp_path: Path, provenance: object = PROVENANCE, *words: str, make: MakeFile = wheel
) -> Done:
    """Hold a file against an index that has that provenance object of it, or none of it."""
    found = make("demo", "1.0")
    path = tmp_path / found.name
    path.write_bytes(found.content)
    with serve(manners=Manners(json=True)) as index:
        beside = File(name="p.json", content=json.dumps(provenance).encode())
        url = f"{index.origin}/files/{beside.name}"
        facts = {} if provenance is None else {"provenance": url}
        page = {"meta": {"api-version": "1.3"}, "files": [facts_of(found, **facts)]}
        index.put(spelled(Project("demo", found), page))
        index.put(Project("beside", *([beside] if provenance else [])))
        command = ["verify", str(path), "--against", "index", "-i", index.url, *words]
        return Place(path=tmp_path).run(*command)


def test_attestations__tell_the_publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[object]()
    monkeypatch.setitem(sys.modules, MODULE, make_checker(lambda _, file: seen.append(file)))

    done = verify(tmp_path)
    facts = json.loads(verify(tmp_path, PROVENANCE, "--json").out)[0]

    assert (done.code, done.out) == (0, f"identical {tmp_path}/demo-1.0-py3-none-any.whl\n")
    assert "the file of the index is attested by GitHub acme/demo release.yml" in done.err
    assert facts["attested_by"] == ["GitHub acme/demo release.yml"]
    assert seen == [wheel("demo", "1.0").content] * 2


def test_attestations__of_an_sdist_are_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[object]()
    monkeypatch.setitem(sys.modules, MODULE, make_checker(lambda _, file: seen.append(file)))

    done = verify(tmp_path, make=sdist)

    assert (done.code, done.out) == (0, f"identical {tmp_path}/demo-1.0.tar.gz\n")
    assert seen == [sdist("demo", "1.0").content]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("subject does not match distribution digest\nmore"), 3),
        (OSError("no keys"), 5),
    ],
)
def test_attestation__that_does_not_hold_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setitem(sys.modules, MODULE, make_checker(fail))

    done = verify(tmp_path)

    kind = {3: "attestation-invalid", 5: "attestation-unchecked"}[code]
    assert (done.code, done.error) == (code, kind)
    assert str(error).partition("\n")[0] in done.err
    assert done.out.startswith("failed ")


@pytest.mark.parametrize(
    ("provenance", "error"),
    [
        ({"version": 1, "attestation_bundles": []}, "attestation-invalid"),
        ([], "index-unreachable"),
    ],
)
def test_attestations__that_are_promised_have_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provenance: object, error: str
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, make_checker(lambda *_: None))

    assert verify(tmp_path, provenance).error == error


def test_attestations__without_the_library_are_told_and_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)

    some, none = verify(tmp_path), verify(tmp_path, None)

    assert (some.code, none.code) == (0, 0)
    assert "they are checked where `pypi-attestations` is installed" in some.err
    assert "attest" not in none.err
