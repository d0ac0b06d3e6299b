"""Attestations that an index has of a file, checked by a library that may be installed."""

import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from tests.support import corpus
from tests.support.forge import Done, Place
from tests.support.index import File, Index, Manners, Project, sdist, serve, wheel
from tests.support.maker import maker, thing_file, write_thing
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
    return verify_file(tmp_path, make("demo", "1.0"), provenance, *words)


def verify_file(tmp_path: Path, found: File, provenance: object, *words: str) -> Done:
    project = corpus.parse_name(found.name)
    path = tmp_path / found.name
    path.write_bytes(found.content)
    with serve(manners=Manners(json=True)) as index:
        beside = File(name="p.json", content=json.dumps(provenance).encode())
        url = f"{index.origin}/files/{beside.name}"
        facts = {} if provenance is None else {"provenance": url}
        page = {"meta": {"api-version": "1.3"}, "files": [facts_of(found, **facts)]}
        index.put(spelled(Project(project, found), page))
        index.put(Project("beside", *([beside] if provenance else [])))
        command = ["verify", str(path), "--against", "index", "-i", index.url, *words]
        return Place(path=tmp_path).run(*command)


def test_attestations__tell_the_publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[object]()
    monkeypatch.setitem(sys.modules, MODULE, make_checker(lambda _, file: seen.append(file)))

    done = verify(tmp_path)
    facts = json.loads(verify(tmp_path, PROVENANCE, "--json").out)[0]

    assert (done.code, done.out) == (0, f"identical {tmp_path}/demo-1.0-py3-none-any.whl\n")
    assert "`demo-1.0-py3-none-any.whl` is attested on its index by GitHub acme" in done.err
    assert facts["attested_file"] == "demo-1.0-py3-none-any.whl"
    assert facts["attested_by"] == ["GitHub acme/demo release.yml"]
    assert facts["attestation_note"] is None
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
    facts = json.loads(verify(tmp_path, PROVENANCE, "--json").out)[0]

    assert (some.code, none.code) == (0, 0)
    note = "has attestations on its index; `wheelforge[attestations]` checks them"
    assert note in some.err
    assert "attest" not in none.err
    assert (facts["attested_by"], note in facts["attestation_note"]) == ([], True)


# the sdist that a wheel was built from


class Source:
    """A wheel that was built with a statement from an sdist of an index."""

    def __init__(self, path: Path, index: Index) -> None:
        self.place, self.index = Place(path=path), index
        self.sdist = thing_file()
        self.put(self.sdist, PROVENANCE)
        index.put(Project("maker", maker()))
        words = ("thing==1.0", "-o", path / "out", "--provenance", "-i", index.url)
        (self.wheel,) = self.place.run(*words).paths

    def put(self, sdist: File, provenance: object) -> None:
        """Have the index show that sdist, with that provenance object."""
        beside = File(name="p.json", content=json.dumps(provenance).encode())
        url = f"{self.index.origin}/files/{beside.name}"
        page = {"meta": {"api-version": "1.3"}, "files": [facts_of(sdist, provenance=url)]}
        self.index.put(spelled(Project("thing", sdist), page))
        self.index.put(Project("beside", *([beside] if provenance else [])))

    def verify(self, *words: str | Path) -> Done:
        return self.place.run("verify", self.wheel, "-i", self.index.url, *words)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    with serve(manners=Manners(json=True)) as index:
        yield Source(tmp_path, index)


def test_attestations__of_the_source_of_a_wheel_are_checked(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[object]()
    monkeypatch.setitem(sys.modules, MODULE, make_checker(lambda _, file: seen.append(file)))

    done = source.verify()

    assert (done.code, done.out) == (0, f"identical {source.wheel}\n")
    assert f"`{source.sdist.name}` is attested on its index by GitHub acme" in done.err
    assert seen == [source.sdist.content]


def test_attestation__of_the_source_that_does_not_hold_is_an_error(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("subject does not match distribution digest")

    monkeypatch.setitem(sys.modules, MODULE, make_checker(fail))

    done = source.verify()

    assert (done.code, done.error) == (3, "attestation-invalid")
    assert source.sdist.name in done.err


def test_attestations__of_another_source_of_that_name_are_not_looked_at(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setitem(sys.modules, MODULE, make_checker(fail))
    source.put(File(name=source.sdist.name, content=b"another"), PROVENANCE)

    done = source.verify("--source", write_thing(source.place.path / "kept"))

    assert (done.code, done.out) == (0, f"identical {source.wheel}\n")
    assert "attest" not in done.err


def test_attestations__of_the_source_need_no_index_that_answers(source: Source) -> None:
    source.put(source.sdist, [])
    kept = write_thing(source.place.path / "kept")

    broken, offline = source.verify(), source.verify("--offline", "--source", kept)

    assert (broken.code, offline.code) == (0, 0)
    assert f"the attestations of `{source.sdist.name}` are not checked: " in broken.err
    assert "attest" not in offline.err


# the library as it is, and files of PyPI


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with files of PyPI, each with its provenance object beside it."""
    problems = corpus.fetch_missing(corpus.ATTESTED)
    if problems:
        pytest.skip(f"the attested files cannot be fetched, as {problems[0]}")
    place = tmp_path_factory.mktemp("attested")
    with tarfile.open(corpus.ATTESTED[0].path) as archive:
        archive.extractall(place, filter="data")
    (found,) = place.glob("*/test/assets")
    return found


@pytest.fixture
def checker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the library, which takes the keys that it came with, as no test asks Sigstore."""
    found = pytest.importorskip(MODULE, reason="the extra `attestations` is not installed")
    check = partialmethod(found.Attestation.verify, offline=True)
    monkeypatch.setattr(found.Attestation, "verify", check)
    return cast("ModuleType", found)


REAL = {
    "pypi_attestations-0.0.19.tar.gz": "GitHub trailofbits/pypi-attestations release.yml",
    "gcb_attestation_test-0.0.0.tar.gz": "Google 919436158236-compute@developer.gserviceaccount",
    "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl": "CircleCI fdd9283f-e619-46af",
}


@pytest.mark.parametrize("name", REAL)
def test_attestations__of_real_files_are_checked(
    tmp_path: Path, attested: Path, checker: ModuleType, name: str
) -> None:
    del checker
    content = (attested / name).read_bytes()
    provenance = json.loads((attested / f"{name}.provenance").read_bytes())

    done = verify_file(tmp_path, File(name=name, content=content), provenance)

    assert done.code == 0, done.err
    assert f"`{name}` is attested on its index by {REAL[name]}" in done.err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda name, _: name, "subject does not match distribution digest"),
        (lambda _, found: found["publisher"].update(repository="evil/repository"), "repository"),
        (
            lambda _, found: found["attestations"][0]["envelope"].update(signature="AAAA"),
            "ignature",
        ),
    ],
    ids=["file", "publisher", "signature"],
)
def test_attestation__of_a_real_file_that_was_tampered_with_is_found(
    tmp_path: Path,
    attested: Path,
    checker: ModuleType,
    change: Callable[[str, Any], object],
    reason: str,
) -> None:
    del checker
    name = "pypi_attestations-0.0.19.tar.gz"
    content = (attested / name).read_bytes()
    provenance = json.loads((attested / f"{name}.provenance").read_bytes())
    if change(name, provenance["attestation_bundles"][0]) == name:
        content += b"\0"

    done = verify_file(tmp_path, File(name=name, content=content), provenance)

    assert (done.code, done.error) == (3, "attestation-invalid")
    assert reason in done.err
