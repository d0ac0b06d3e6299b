"""Checks of built files: only consistent ones, of the expected project, are delivered."""

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archives import PROJECT, file, gz, symlink, tar
from tests.support.corpus import SDISTS, Sdist
from tests.support.wheels import DIST_INFO, FILE_NAME, METADATA, RECORD, Draft, replaced
from wheelforge.build.results import Result, check_built_name, check_result
from wheelforge.errors import ResultInvalidError
from wheelforge.models import Kind
from wheelforge_isolation import ArchiveError, inspect_wheel
from wheelforge_isolation.formats.metadata import to_json

SDIST = "p-1.tar.gz"
PKG_INFO = b"Metadata-Version: 2.1\nName: p\nVersion: 1\n"


@dataclass(frozen=True, slots=True)
class Bench:
    """A directory into which a backend has put what is looked at."""

    place: Path

    def wheel(self, draft: Draft, name: str = FILE_NAME, kind: Kind = Kind.WHEEL) -> Result:
        (self.place / name).write_bytes(draft.pack())
        return check_result(kind, name, self.place)

    def sdist(self, *parts: bytes, name: str = SDIST) -> Result:
        (self.place / name).write_bytes(gz(tar(*parts)))
        return check_result(Kind.SDIST, name, self.place)

    def metadata(self, content: bytes | None) -> Result:
        directory = self.place / DIST_INFO
        directory.mkdir()
        if content is not None:
            (directory / "METADATA").write_bytes(content)
        return check_result(Kind.METADATA, DIST_INFO, self.place)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# File names


@pytest.mark.parametrize(
    "returned",
    [
        None,
        7,
        b"demo-1.0-py3-none-any.whl",
        "",
        f"../{FILE_NAME}",
        f"sub/{FILE_NAME}",
        f"sub\\{FILE_NAME}",
        f"/{FILE_NAME}",
        f"C:{FILE_NAME}",
        f"{FILE_NAME}/",
    ],
)
def test_built_name__must_be_the_name_of_a_file(returned: object, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"")

    with pytest.raises(ResultInvalidError) as caught:
        check_built_name(Kind.WHEEL, returned, tmp_path)

    assert caught.value.exit_code == 4
    assert str(caught.value).startswith("the backend has made `")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # ruff: ignore[suspicious-pickle-usage]


@pytest.mark.parametrize(
    ("kind", "returned", "reason"),
    [
        (Kind.WHEEL, "p-1.tar.gz", r"the name does not end in \."),
        (Kind.EDITABLE, "demo-1.0.dist-info", r"the name does not end in \."),
        (Kind.SDIST, "p-1.zip", r"the name does not end in \."),
        (Kind.METADATA, "demo-1.0.egg-info", r"the name does not end in \."),
        (Kind.METADATA, "..", r"the name does not end in \."),
        (Kind.WHEEL, f"{'x' * 5000}.whl", "nothing of that name"),
    ],
)
def test_built_name__must_have_the_suffix_of_its_kind_and_be_possible(
    kind: Kind, returned: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ResultInvalidError, match=reason):
        check_built_name(kind, returned, tmp_path)


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.METADATA])
def test_built_name__must_exist_and_be_of_its_kind(kind: Kind, tmp_path: Path) -> None:
    name = FILE_NAME if kind is Kind.WHEEL else DIST_INFO
    with pytest.raises(ResultInvalidError, match="nothing of that name"):
        check_built_name(kind, name, tmp_path)
    if kind is Kind.WHEEL:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"")

    with pytest.raises(ResultInvalidError, match="nothing of that name and kind"):
        check_built_name(kind, name, tmp_path)


# Wheels


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.EDITABLE])
def test_wheel__sound_one_is_described(kind: Kind, bench: Bench) -> None:
    result = bench.wheel(Draft(), kind=kind)

    content = (bench.place / FILE_NAME).read_bytes()
    artifact = result.artifact
    assert (artifact.kind, artifact.path) == (kind, bench.place / FILE_NAME)
    assert (artifact.name, artifact.version) == ("demo", "1.0")
    assert artifact.size_bytes == len(content)
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert result.notes == ()


def test_wheel__for_another_platform_passes(bench: Bench) -> None:
    tag = "cp399-cp399-android_21_arm64_v8a"
    draft = Draft(files={f"{DIST_INFO}/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode()})

    assert bench.wheel(draft, f"demo-1.0-{tag}.whl").artifact.name == "demo"


@pytest.mark.parametrize(
    ("draft", "says"),
    [
        (Draft(files={f"{DIST_INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: py2-none-any\n"}), "W9"),
        (Draft(files={f"{DIST_INFO}/WHEEL": b"Wheel-Version: 1.0\n"}), "W9"),
        (Draft(files={f"{DIST_INFO}/METADATA": b"Name: demo\nVersion: 2.0\n"}), "W7"),
        (Draft(without=frozenset({f"{DIST_INFO}/METADATA"})), "W7"),
        (Draft(without=frozenset({RECORD})), "W1"),
        (Draft(rows=replaced("sha256=", "sha256=A")), "W3"),
    ],
)
def test_wheel__contradicting_itself_is_refused(draft: Draft, says: str, bench: Bench) -> None:
    with pytest.raises(ResultInvalidError) as caught:
        bench.wheel(draft)

    assert caught.value.result == FILE_NAME
    assert says in str(caught.value)
    assert "maintains" in caught.value.hint


def test_wheel__that_is_no_zip_is_refused(bench: Bench) -> None:
    (bench.place / FILE_NAME).write_bytes(b"MZ")

    with pytest.raises(ResultInvalidError, match="not zip but something else"):
        check_result(Kind.WHEEL, FILE_NAME, bench.place)


def test_wheel__may_be_larger_than_a_fetched_one(bench: Bench) -> None:
    draft = Draft(files={"demo/weights": bytes(66 << 20)})

    result = bench.wheel(draft)

    with pytest.raises(ArchiveError, match="expands more than 100 times"):
        inspect_wheel(result.artifact.path)


# The expected name and version


@pytest.mark.parametrize(
    ("name", "version"), [("", ""), ("demo", ""), ("Demo", "1"), ("demo", "v1.0.0"), ("", "1.0")]
)
def test_release__names_and_versions_are_compared_by_meaning(
    name: str, version: str, bench: Bench
) -> None:
    bench.wheel(Draft())

    result = check_result(Kind.WHEEL, FILE_NAME, bench.place, name=name, version=version)

    assert result.artifact.version == "1.0"


@pytest.mark.parametrize(
    ("name", "version"), [("other", ""), ("demo", "1.0.1"), ("", "1.0+local"), ("", "newest")]
)
def test_release__other_than_the_source_is_refused(name: str, version: str, bench: Bench) -> None:
    bench.wheel(Draft())

    with pytest.raises(ResultInvalidError) as caught:
        check_result(Kind.WHEEL, FILE_NAME, bench.place, name=name, version=version)

    wanted = f"{name} {version}".strip()
    assert caught.value.reason == f"it is demo 1.0, and the source is {wanted}"


# Sdists


def test_sdist__sound_one_is_described(bench: Bench) -> None:
    result = bench.sdist(*PROJECT)

    content = (bench.place / SDIST).read_bytes()
    artifact = result.artifact
    assert (artifact.kind, artifact.name, artifact.version) == (Kind.SDIST, "p", "1")
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert artifact.size_bytes == len(content)
    assert result.notes == ()


BEST = file("p-1/setup.py")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((BEST,), "Y5"),
        ((file("p-1/PKG-INFO", PKG_INFO),), "Y6"),
        ((*PROJECT, file("q/x")), "Y2"),
        ((file("setup.py"), file("PKG-INFO", PKG_INFO)), "Y2"),
        ((*PROJECT, file("._p-1")), "Y9"),
        ((file("q-1/setup.py"), file("q-1/PKG-INFO", PKG_INFO)), "Y3"),
        ((BEST, file("p-1/PKG-INFO", b"Name: q\nVersion: 1\n")), "PKG-INFO is about q 1"),
        ((BEST, file("p-1/PKG-INFO", b"Name: p\nVersion: 2\n")), "PKG-INFO is about p 2"),
        ((BEST, file("p-1/PKG-INFO", PKG_INFO.replace(b"2.1\nName: p", b"2.2\nName: q"))), "Y4"),
        ((BEST, file("p-1/PKG-INFO", b"Name: p\n")), "the name `p` and the version ``"),
        ((BEST, file("p-1/PKG-INFO", b"Name: p\nVersion: new\n")), "the version `new`"),
        ((BEST, file("p-1/PKG-INFO", b"Version: 1\n")), "the name `` and"),
        ((BEST, file("p-1/PKG-INFO", b"Name: p\nName: q\nVersion: 1\n")), "the name `` and"),
        ((BEST, file("p-1/PKG-INFO", b"Name: p\n\nVersion: 1\n")), "the version ``"),
        ((BEST, file("p-1/x", PKG_INFO), symlink("p-1/PKG-INFO", "x")), "is no file"),
        ((*PROJECT, file("p-1/../../evil")), "N2"),
    ],
)
def test_sdist__invalid_one_is_refused(parts: tuple[bytes, ...], says: str, bench: Bench) -> None:
    with pytest.raises(ResultInvalidError) as caught:
        bench.sdist(*parts)

    assert says in str(caught.value)
    assert [path.name for path in bench.place.iterdir()] == [SDIST]


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("My-Project-1.0.tar.gz", b"Name: My-Project\nVersion: 1.0\n"),
        ("my.project-1.0.tar.gz", b"Name: my.project\nVersion: 1.0\n"),
        ("my_project-1.0-1.tar.gz", b"Name: my_project\nVersion: 1.0-1\n"),
    ],
)
def test_sdist__legacy_file_name_is_noted(name: str, stated: bytes, bench: Bench) -> None:
    top = name.removesuffix(".tar.gz")

    (note,) = bench.sdist(file(f"{top}/PKG-INFO", stated), file(f"{top}/setup.py"), name=name).notes
    assert note.startswith(f"`{name}` should be called `my_project-1.0")


@pytest.mark.parametrize("name", ["p.tar.gz", "p-.tar.gz", "-1.tar.gz"])
def test_sdist__file_name_has_name_and_version(name: str, bench: Bench) -> None:
    top = name.removesuffix(".tar.gz")

    with pytest.raises(ResultInvalidError):
        bench.sdist(file(f"{top}/PKG-INFO", PKG_INFO), file(f"{top}/setup.py"), name=name)


@pytest.mark.usefixtures("real_sdists")
@pytest.mark.parametrize("real", SDISTS, ids=lambda real: real.file)
def test_sdist__each_real_one_passes(real: Sdist) -> None:
    result = check_result(Kind.SDIST, real.file, real.path.parent)

    assert (result.artifact.sha256, result.artifact.size_bytes) == (real.sha256, real.bytes)


# Metadata


@pytest.mark.parametrize(
    "content", [METADATA, METADATA.replace(b"\n", b"\r\n"), b"name:demo\nversion:  1.0.0 \n"]
)
def test_metadata__directory_is_described(content: bytes, bench: Bench) -> None:
    artifact = bench.metadata(content).artifact

    assert artifact.name == "demo"
    assert artifact.version.startswith("1.0")
    assert artifact.path == bench.place / DIST_INFO / "METADATA"
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [None, b"", b"Name: demo\n", b"Name: demo\nVersion: x\n"])
def test_metadata__directory_without_the_file_is_refused(
    content: bytes | None, bench: Bench
) -> None:
    with pytest.raises(ResultInvalidError) as caught:
        bench.metadata(content)

    assert caught.value.result == DIST_INFO


RICH = b"""\
Metadata-Version: 2.4
Name: Demo
Version: 1.0
Author: K\xc3\xa4the
Keywords: a,b
Classifier: One
Classifier: Two
Requires-Dist: x>1; python_version < "4"
Project-URL: home, https://example.org/
Odd-Field: odd

The description.
"""


@pytest.mark.parametrize("content", [RICH, METADATA, b"", b"Name: d\xe9mo\n"])
def test_metadata__json_is_that_of_pypa_build(content: bytes, tmp_path: Path) -> None:
    draft = Draft(files={f"{DIST_INFO}/METADATA": content})
    (tmp_path / FILE_NAME).write_bytes(draft.pack())
    words = [sys.executable, "-X", "utf8", "-m", "build", "--metadata", str(tmp_path / FILE_NAME)]

    theirs = subprocess.run(words, check=True, capture_output=True, text=True, encoding="utf-8")

    ours = to_json(content)
    # There the order of the fields is another one each time.
    assert ours == json.loads(theirs.stdout)
    assert sorted(ours) == list(ours)


def test_metadata__of_a_wheel_can_be_described(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(Draft().pack())

    found = to_json(inspect_wheel(tmp_path / FILE_NAME).metadata)

    assert (found["name"], found["version"]) == ("demo", "1.0")
