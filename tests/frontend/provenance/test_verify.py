"""Wheels held against their statements: each thing that was tampered with, and rebuilds."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.support.builds import Ground, write_project, write_sdist
from tests.support.forge import Done, Place
from tests.support.index import File, Project, sdist, serve
from tests.support.maker import maker, thing_file, write_thing
from wheelforge_isolation import Layout, remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIX = ".provenance.json"


class Built:
    """A wheel that was built with a signed statement, and the ways to verify it."""

    def __init__(self, path: Path) -> None:
        self.place = Place(path=path)
        self.wheels, self.out, self.policy = path / "wheels", path / "out", path / "policy.toml"
        self.wheels.mkdir()
        (self.wheels / maker().name).write_bytes(maker().content)
        write_thing(path)
        self.write_keys()
        words = ("-o", self.out, "--provenance", "--sign-key", path / "key.pem")
        done = self.place.run(path / "thing-1.0.tar.gz", *words, *self.index())
        (self.wheel,) = done.paths
        self.sidecar = Path(f"{self.wheel}{SUFFIX}")

    def write_keys(self) -> None:
        key, path = Ed25519PrivateKey.generate(), self.place.path
        way = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (path / "key.pem").write_bytes(key.private_bytes(*way))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (path / "key.pub").write_bytes(public)
        self.policy.write_text('trusted-keys = ["key.pub"]\n', encoding="utf-8")

    def index(self) -> tuple[str | Path, ...]:
        return ("--no-index", "-f", self.wheels)

    def verify(self, *words: str | Path) -> Done:
        more = ("--source", self.place.path, "--policy", self.policy)
        return self.place.run("verify", self.wheel, *more, *self.index(), *words)

    def change_statement(self, change: Callable[[Any], object], *, keeps: bool = False) -> None:
        """Change the statement, and keep its signatures or drop them."""
        envelope = json.loads(self.sidecar.read_text(encoding="utf-8"))
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        if keeps:
            envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
        self.sidecar.write_text(json.dumps(envelope if keeps else statement), encoding="utf-8")


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path)


def test_wheel__that_is_as_it_was_built_is_identical(built: Built) -> None:
    done = built.verify()

    assert (done.code, done.out) == (0, f"identical {built.wheel}\n"), done.err
    assert built.verify("--no-rebuild").out == f"checked {built.wheel}\n"


def test_tampered_wheel__is_found(built: Built) -> None:
    with built.wheel.open("ab") as file:
        file.write(b"more")

    done = built.verify("--no-rebuild")

    assert (done.code, done.error) == (3, "provenance-mismatch")


def test_tampered_statement__is_found(built: Built) -> None:
    def change(statement: Any) -> None:
        statement["predicate"]["runDetails"]["builder"]["id"] = "urn:other"

    built.change_statement(change, keeps=True)

    assert built.verify("--no-rebuild").error == "signature-invalid"


def test_tampered_signature__is_found(built: Built) -> None:
    envelope = json.loads(built.sidecar.read_text(encoding="utf-8"))
    raw = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    raw[0] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(raw).decode()
    built.sidecar.write_text(json.dumps(envelope), encoding="utf-8")

    assert built.verify("--no-rebuild").error == "signature-invalid"
    built.change_statement(lambda _: None)
    assert "there is none" in built.verify("--no-rebuild").err


def test_tampered_log__is_found(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    source = write_sdist(tmp_path, build_wheel="print('speaks')")
    (wheel,) = place.run(*ground.words(source, "-o", tmp_path / "out", "--provenance")).paths
    (log,) = Layout(root=ground.cache).logs.glob("demo-*.log")
    with log.open("ab") as file:
        file.write(b"of a later time")
    words = ("verify", wheel, "--no-rebuild", "--log", log)
    assert place.run(*words).code == 0

    log.write_bytes(log.read_bytes().replace(b"speaks", b"whines"))

    assert place.run(*words).error == "provenance-mismatch"


def test_tampered_dependency__is_found(built: Built) -> None:
    remove_tree(str(built.place.layout.root))
    (built.wheels / maker().name).write_bytes(maker(mark="evil").content)

    done = built.verify()

    assert (done.code, done.error) == (5, "download-mismatch")


def test_rebuild__takes_the_source_from_where_it_is(built: Built) -> None:
    (built.place.path / "thing-1.0.tar.gz").unlink()
    file = thing_file()
    with serve(Project("thing", file), Project("maker", maker())) as index:
        words = ("-i", index.url)
        done = built.place.run("verify", built.wheel, *words)

    assert done.out == f"identical {built.wheel}\n", done.err
    assert built.verify().code != 0


def test_rebuild__that_differs_tells_the_first_difference_and_what_is_new(
    built: Built,
) -> None:
    # The statement is no longer signed, and names a backend that makes something else.
    evil = maker(mark="evil")
    (built.wheels / evil.name).write_bytes(evil.content)
    digest = hashlib.sha256(evil.content).hexdigest()

    def change(statement: Any) -> None:
        definition = statement["predicate"]["buildDefinition"]
        definition["internalParameters"]["environments"][0]["wheels"] = [digest]
        definition["internalParameters"]["policy"]["wheelforge"] = "0.0"
        wheel = next(
            each for each in definition["resolvedDependencies"] if each["name"] == evil.name
        )
        wheel["digest"]["sha256"] = digest

    built.change_statement(change)
    words = ("--source", built.place.path, *built.index())
    done = built.place.run("verify", built.wheel, "--json", *words)

    (row,) = json.loads(done.out)
    assert (done.code, row["verdict"]) == (1, "different"), done.err
    texts = {each["path"]: each["text"] for each in row["differences"]}
    assert texts["thing.py"] == "line 1: `made_by = 'good'`, and `made_by = 'evil'`"
    assert row["circumstances"] == ["policy.wheelforge"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_rebuild__has_the_umask_of_the_statement(tmp_path: Path) -> None:
    look = "import os; umask = os.umask(0); os.umask(umask); files['seen'] = f'{umask:03o}'"
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    source, tree = write_sdist(tmp_path, build_wheel=look), tmp_path / "tree"
    words = ground.words(source, "-o", tmp_path / "out", "--provenance")
    before = os.umask(0o077)
    try:
        (wheel,) = place.run(*words, "--sdist-extract-dir", tree).paths
    finally:
        os.umask(before)

    done = place.run(*ground.words("verify", wheel, "--source", source, "--json"))

    (row,) = json.loads(done.out)
    # The backend also writes down where it was, which was in the tree.
    assert "seen" not in {each["path"] for each in row["differences"]}, done.err
    assert row["circumstances"] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("minimum-sandbox = 'files'", "sandbox of level `none`"),
        ("allowed-indexes = ['https://pypi.org']", "came from `file:"),
        ("trusted-keys = []", "none of the trusted keys"),
    ],
)
def test_policy__refuses_what_is_not_as_it_demands(built: Built, text: str, reason: str) -> None:
    built.policy.write_text(text, encoding="utf-8")

    done = built.verify("--no-rebuild")

    assert done.code == 3
    assert reason in done.err


def test_policy__admits_what_is_as_it_demands(built: Built) -> None:
    indexes = json.dumps([built.wheels.as_uri()])
    text = f"allowed-indexes = {indexes}\nunpinned-sources = false\nat-least = 'identical'\n"
    built.policy.write_text(text, encoding="utf-8")

    assert built.verify().code == 0


@pytest.mark.parametrize(
    "text",
    [
        "= 1",
        "unknown = 1",
        "trusted-keys = 'key.pub'",
        "trusted-keys = ['none.pub']",
        "trusted-keys = ['policy.toml']",
        "minimum-sandbox = 'high'",
        "at-least = 'similar'",
    ],
)
def test_policy__that_makes_no_sense_is_told(built: Built, text: str) -> None:
    built.policy.write_text(text, encoding="utf-8")

    assert built.verify("--no-rebuild").error == "provenance-invalid"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "provenance-missing"),
        ("{}", "provenance-invalid"),
        ("[", "provenance-invalid"),
    ],
)
def test_statement__that_is_none_is_told(built: Built, content: str | None, error: str) -> None:
    built.sidecar.unlink()
    if content is not None:
        built.sidecar.write_text(content, encoding="utf-8")

    assert built.verify().error == error


def test_index__has_the_same_file_or_another_one(built: Built) -> None:
    same = File(name=built.wheel.name, content=built.wheel.read_bytes())
    verdicts = []
    for files in ((same,), ()):
        with serve(Project("thing", *files, thing_file())) as index:
            words = ("verify", built.wheel, "--against", "index", "-i", index.url)
            verdicts.append(built.place.run(*words))

    assert verdicts[0].out == f"identical {built.wheel}\n"
    assert verdicts[1].error == "comparison-impossible"


@pytest.mark.parametrize("name", ["demo-1.0.tar.gz", "demo-1.0.zip", "demo", "demo-1.0.whl"])
def test_index__is_asked_for_sdists_too_and_for_nothing_else(tmp_path: Path, name: str) -> None:
    source = sdist("demo", "1.0")
    path = tmp_path / name
    path.write_bytes(source.content)
    with serve(Project("demo", source)) as index:
        done = Place(path=tmp_path).run("verify", path, "--against", "index", "-i", index.url)

    if name == source.name:
        assert (done.code, done.out) == (0, f"identical {path}\n")
    else:
        assert (done.code, done.error) == (5, "comparison-impossible")


def test_rebuild__needs_the_wheel_of_a_requirement_that_was_built(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    write_sdist(ground.links, name="needed")
    source = write_sdist(tmp_path, requires=("needed",))
    words = ground.words("-o", tmp_path / "out")
    (wheel,) = place.run(source, *words, "--provenance").paths
    again = place.run(*ground.words("verify", wheel, "--source", source))
    assert again.out == f"different {wheel}\n"  # this backend writes down which process it was
    remove_tree(str(ground.cache))

    done = place.run(*ground.words("verify", wheel, "--source", source))

    assert (done.code, done.error) == (5, "rebuild-impossible")
    assert "`needed-1.0-py3-none-any.whl` was built for it" in done.err


def test_batch__has_a_statement_beside_each_wheel(tmp_path: Path) -> None:
    ground, place, out = Ground.make(tmp_path), Place(path=tmp_path), tmp_path / "out"
    sources = [write_sdist(tmp_path, name=name) for name in ("one", "two")]
    words = ground.words(*sources, "-o", out, "--provenance", "--sbom", "sidecar")

    wheels = place.run(*words).paths

    expected = {f"{wheel.name}{end}" for wheel in wheels for end in ("", SUFFIX, ".cdx.json")}
    assert {path.name for path in out.iterdir()} == expected
    Path(f"{wheels[0]}{SUFFIX}").unlink()
    place.run(*words, "--resume")
    assert {path.name for path in out.iterdir()} == expected


@pytest.mark.parametrize(("kind", "code"), [("nothing", 2), ("directory", 5)])
def test_wheel__that_is_no_file_is_told(tmp_path: Path, kind: str, code: int) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    if kind == "directory":
        path.mkdir()

    done = Place(path=tmp_path).run("verify", path)

    assert (done.code, done.out) == (code, f"failed {path}\n")
    assert done.error == {2: "file-missing", 5: "file-access"}[code]


def test_batch__wheel_of_one_build_is_known_by_its_statement_in_another(tmp_path: Path) -> None:
    ground, place, out = Ground.make(tmp_path), Place(path=tmp_path), tmp_path / "out"
    needed = write_project(tmp_path / "needed", name="needed")
    user = write_project(tmp_path / "user", name="user", requires=("needed",))

    done = place.run(*ground.words(needed, user, "-o", out, "--provenance"))
    assert done.code == 0, done.err

    sdist = (out / "needed-1.0.tar.gz").read_bytes()
    first = (out / f"needed-1.0-py3-none-any.whl{SUFFIX}").read_bytes()
    second = json.loads((out / f"user-1.0-py3-none-any.whl{SUFFIX}").read_bytes())
    definition = second["predicate"]["buildDefinition"]
    (wheel,) = (
        each for each in definition["resolvedDependencies"] if each["name"].startswith("needed")
    )
    assert wheel["annotations"] == {
        "builtFrom": {
            "uri": "pkg:pypi/needed@1.0?file_name=needed-1.0.tar.gz",
            "digest": {"sha256": hashlib.sha256(sdist).hexdigest()},
        },
        "statement": {"sha256": hashlib.sha256(first).hexdigest()},
    }


def test_batch__wheel_of_a_dependency_has_the_statement_of_its_build(tmp_path: Path) -> None:
    ground, place, out = Ground.make(tmp_path), Place(path=tmp_path), tmp_path / "out"
    write_sdist(ground.links, name="needed")

    words = ("needed==1.0", "--with-deps", "-o", out, "--provenance", "--sbom", "sidecar")
    done = place.run(*ground.words(*words))

    assert done.code == 0, done.err
    wheel = "needed-1.0-py3-none-any.whl"
    assert {path.name for path in out.iterdir()} == {wheel, f"{wheel}{SUFFIX}", f"{wheel}.cdx.json"}
