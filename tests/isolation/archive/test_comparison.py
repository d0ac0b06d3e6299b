"""Archives side by side: how far they are the same, and the first difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.archives import file, gz, tar
from tests.support.wheels import DIST_INFO, FILE_NAME, WHEEL, Draft
from wheelforge_isolation import Sameness, compare_archives

OTHER = WHEEL.replace(b"Generator: us", b"Generator: them")
SETUP = file("demo-1.0/setup.py", b"x")


def compare(tmp_path: Path, one: bytes, other: bytes, name: str = FILE_NAME) -> tuple[str, str]:
    """Return how far two archives are the same, and the first difference."""
    paths = [tmp_path / "one" / name, tmp_path / "other" / name]
    for path, content in zip(paths, (one, other), strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    found = compare_archives(*paths)
    text = "".join(f"{each.path}: {each.text}" for each in found.differences[:1])
    return found.sameness.value, text


def test_wheel__that_is_packed_in_another_way_is_equivalent(tmp_path: Path) -> None:
    draft = Draft(files={"b.py": b"b", "a.py": b"a"})
    again = replace(draft, files={"a.py": b"a", "b.py": b"b"}, rows=sorted)

    assert compare(tmp_path, draft.pack(), again.pack()) == ("equivalent", "")


def test_wheel__same_bytes_are_identical(tmp_path: Path) -> None:
    assert compare(tmp_path, Draft().pack(), Draft().pack()) == (Sameness.IDENTICAL.value, "")


@pytest.mark.parametrize(
    ("files", "sameness", "text"),
    [
        ({f"{DIST_INFO}/WHEEL": OTHER}, "same content", "line "),
        ({"demo.pyc": b"\x00\x01"}, "same content", "line "),
        ({"demo.py": b"print('demo')\nprint()\n"}, "different", "line 4: "),
        ({"new.txt": b""}, "different", "line "),
        ({f"{DIST_INFO}/WHEEL": OTHER + b"Tag: py2-none-any\n"}, "different", "line "),
    ],
)
def test_wheel__of_other_content_tells_the_first_difference(
    tmp_path: Path, files: dict[str, bytes], sameness: str, text: str
) -> None:
    found = compare(tmp_path, Draft().pack(), Draft(files=files).pack())

    assert found[0] == sameness
    assert found[1].startswith(f"{DIST_INFO}/RECORD: {text[:5]}")


def test_wheel__program_in_one_only_is_different(tmp_path: Path) -> None:
    one, other = Draft(), Draft(programs=frozenset({"demo.py"}))

    found = compare(tmp_path, one.pack(), other.pack())

    assert found == ("different", "demo.py: is a program in one of them only")


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (b"a\nb\n", b"a\nc\n", "line 2: `b`, and `c`"),
        (b"a\n", b"a\nb\n", "line 2: none, and `b`"),
        (b"\xff\x00\x01", b"\xff\x00\x02", "byte 2: 01, and 02"),
        (b"\xff", b"\xff\x02", "byte 1: nothing, and 02"),
        (b"a\n", None, "is only in the first"),
    ],
)
def test_sdist__differences_are_told(
    tmp_path: Path, one: bytes, other: bytes | None, text: str
) -> None:
    contents = [gz(tar(SETUP, file("demo-1.0/file", one)))]
    more = [] if other is None else [file("demo-1.0/file", other)]
    contents.append(gz(tar(SETUP, *more)))

    found = compare(tmp_path, contents[0], contents[1], "demo-1.0.tar.gz")

    assert found == ("different", f"demo-1.0/file: {text}")


def test_sdist__of_another_time_is_equivalent(tmp_path: Path) -> None:
    inner = tar(SETUP)

    found = compare(tmp_path, gz(inner), gz(inner) + gz(b""), "demo-1.0.tar.gz")

    assert found == ("equivalent", "")
