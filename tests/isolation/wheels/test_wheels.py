"""W: a wheel has one meaning for every reader, or it gets no name in the cache."""

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.archives import zipped
from tests.support.hostile_wheels import EVIL, HOSTILE, data, metadata, script, stray, wheel_file
from tests.support.wheels import (
    DATA,
    DIST_INFO,
    ENTRY_POINTS,
    FILE_NAME,
    METADATA,
    RECORD,
    WHEEL,
    Counter,
    Draft,
    added,
    entry_points,
    read_tree,
    replaced,
    row,
)
from wheelforge_isolation import Limits
from wheelforge_isolation.errors import FileMissingError, WheelInvalidError
from wheelforge_isolation.wheels import EntryPoint, open_wheel, parse_wheel_name
from wheelforge_isolation.wheels import metadata as wheel_metadata

MODULE = b"print('demo')\n"
SMALL = Limits(total_bytes=100, member_bytes=1000, members=8)


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(place=tmp_path)


@pytest.mark.parametrize("case", EVIL)
def test_wheel__evil_wheel_is_refused_by_file_and_rule(case: str, counter: Counter) -> None:
    evil = EVIL[case]

    error = counter.refuse(evil.wheel.pack())

    assert (error.rule, evil.says in str(error)) == (evil.rule, True), error
    if evil.rule.startswith("W"):
        assert type(error) is WheelInvalidError
        assert str(error).startswith(f"`{FILE_NAME}` is no valid wheel: ")
        assert error.hint == "do not install this file; tell whoever published it"


@pytest.mark.parametrize("case", HOSTILE)
def test_wheel__what_no_archive_may_be_no_wheel_may_be(case: str, counter: Counter) -> None:
    rule, code, draft = HOSTILE[case]

    error = counter.refuse(draft.pack())

    assert (error.rule, error.code) == (rule, code), error


@pytest.mark.parametrize(
    ("wheel", "rule"),
    [(b"", "F20"), (b"\x1f\x8b" + bytes(99), "F21"), (Draft().pack()[:-30], "F10")],
    ids=["empty", "no zip", "cut"],
)
def test_wheel__what_is_no_zip_is_no_wheel(wheel: bytes, rule: str, counter: Counter) -> None:
    assert counter.refuse(wheel).rule == rule


@pytest.mark.parametrize(
    ("draft", "rule"),
    [
        (Draft(), "X1"),
        (Draft(files={"a.py": bytes(1001)}), "X3"),
        (Draft(files={f"{i}.py": b"" for i in range(9)}), "X4"),
    ],
)
def test_wheel__beyond_a_limit_is_refused(draft: Draft, rule: str, counter: Counter) -> None:
    error = replace(counter, limits=SMALL).refuse(draft.pack())

    assert (error.rule, error.code) == (rule, "archive-too-large")


def test_wheel__bomb_in_the_place_of_metadata_is_never_read_whole(counter: Counter) -> None:
    error = counter.refuse(metadata(METADATA + bytes(33 << 20)).pack())

    assert error.rule == "X3"
    assert "METADATA` has 34,603," in str(error)


@pytest.mark.parametrize(
    "file_name",
    [
        "demo.whl",
        "demo-1.0.zip",
        "demo-1.0-py3-none.whl",
        "demo-1.0-py3-none-any.WHL",
        "demo-1.0-x1-py3-none-any.whl",
        "demo-one-py3-none-any.whl",
        "demo__evil-1.0-py3-none-any.whl",
        f"demo-{'1' * 5000}-py3-none-any.whl",
        f"demo-1.0-{'1' * 5000}-py3-none-any.whl",
        "demo-1.0-py3.-none-any.whl",
        "-1.0-py3-none-any.whl",
        "../demo-1.0-py3-none-any.whl",
        "d\\demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl\n",
        "d\u00e9mo-1.0-py3-none-any.whl",
        "",
    ],
)
def test_wheel__file_name_that_is_no_wheels_is_refused(file_name: str) -> None:
    with pytest.raises(WheelInvalidError) as caught:
        parse_wheel_name(file_name)

    assert caught.value.rule == "W0"
    assert str(caught.value).isprintable()


def test_wheel__that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError), open_wheel(tmp_path / FILE_NAME):
        pytest.fail("nothing was opened")


RICH = Draft(
    files={
        "demo/__init__.py": b"",
        "demo/run.sh": b"#!/bin/sh\n",
        f"{DATA}/purelib/pure.py": b"pure",
        f"{DATA}/platlib/demo/fast.so": b"\x7fELF",
        f"{DATA}/platlib/demo.py": MODULE,
        f"{DATA}/headers/demo.h": b"int demo;",
        f"{DATA}/scripts/demo-run": b"#!python\n",
        f"{DATA}/data/share/demo/a b.txt": b"text",
        ENTRY_POINTS: b"""\
# for people, and for others
[demo.plugins]
anything goes here
[DEFAULT]
evil = evil:evil
  [console_scripts]
  demo = demo:main
  demo-2.x = demo.cli:App.run [extra]
[gui_scripts]
demo-window=demo.gui:main
""",
    },
    programs=frozenset({"demo/run.sh", f"{DATA}/scripts/demo-run"}),
)


def test_wheel__is_written_as_it_is_in_the_archive(counter: Counter) -> None:
    outcome = counter.accept(RICH.pack())

    assert outcome.tree() == RICH.all_contents()
    programs = {path for path in RICH.all_contents() if os.access(outcome.root / path, os.X_OK)}
    assert programs == RICH.programs
    assert {path for path, file in outcome.wheel.files.items() if file.executable} == programs
    assert outcome.rules == []


def test_wheel__manifest_is_what_is_on_disk(counter: Counter) -> None:
    outcome = counter.accept(RICH.pack())

    assert set(outcome.wheel.files) == set(RICH.all_contents())
    for path, file in outcome.wheel.files.items():
        assert file.size == (outcome.root / path).stat().st_size
        assert file.sha256 == hashlib.sha256(RICH.all_contents()[path]).hexdigest()


def test_wheel__can_be_written_more_than_once(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(RICH.pack())
    roots = [tmp_path / "one", tmp_path / "two"]

    with open_wheel(path) as wheel:
        for root in roots:
            root.mkdir()
            wheel.archive.write(str(root))

    assert [read_tree(root) for root in roots] == [RICH.all_contents()] * 2


def test_wheel__knows_where_each_file_goes(counter: Counter) -> None:
    outcome = counter.accept(RICH.pack())

    data = {path: place for path, place in outcome.places.items() if path.startswith(DATA)}
    assert data == {
        f"{DATA}/purelib/pure.py": ("purelib", "pure.py"),
        f"{DATA}/platlib/demo/fast.so": ("platlib", "demo/fast.so"),
        f"{DATA}/platlib/demo.py": ("platlib", "demo.py"),
        f"{DATA}/headers/demo.h": ("headers", "demo.h"),
        f"{DATA}/scripts/demo-run": ("scripts", "demo-run"),
        f"{DATA}/data/share/demo/a b.txt": ("data", "share/demo/a b.txt"),
    }
    root = {place for path, place in outcome.places.items() if not path.startswith(DATA)}
    assert root == {("purelib", path) for path in RICH.all_contents() if not path.startswith(DATA)}


@pytest.mark.parametrize(
    ("line", "scheme"),
    [
        (b"Root-Is-Purelib: false\n", "platlib"),
        (b"", "platlib"),
        (b"Root-Is-Purelib: True\r\n", "purelib"),
    ],
)
def test_wheel__root_goes_where_wheel_says(line: bytes, scheme: str, counter: Counter) -> None:
    outcome = counter.accept(wheel_file(WHEEL.replace(b"Root-Is-Purelib: true\n", line)).pack())

    assert {place for place, _ in outcome.places.values()} == {scheme}


def test_wheel__knows_its_entry_points(counter: Counter) -> None:
    outcome = counter.accept(RICH.pack())

    assert outcome.wheel.entry_points == (
        EntryPoint(name="demo", module="demo", attribute="main", kind="console"),
        EntryPoint(name="demo-2.x", module="demo.cli", attribute="App.run", kind="console"),
        EntryPoint(name="demo-window", module="demo.gui", attribute="main", kind="gui"),
    )


def test_wheel__without_entry_points_has_none(counter: Counter) -> None:
    assert counter.accept(Draft().pack()).wheel.entry_points == ()


@pytest.mark.parametrize("name", ["con", "NUL", "aux.exe", "lpt1"])
def test_wheel__script_may_not_be_a_device_where_there_are_devices(
    name: str, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_metadata, "_ON_WINDOWS", True)

    error = counter.refuse(script(name).pack())

    assert error.rule == "W13"
    assert "Windows reserves" in str(error)


@pytest.mark.parametrize("name", ["ipython", "python-config", "pypy-stats", "pythonize", "con"])
def test_wheel__script_may_resemble_an_interpreter(name: str, counter: Counter) -> None:
    outcome = counter.accept(script(name).pack())

    assert [entry.name for entry in outcome.wheel.entry_points] == [name]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_wheel__every_strong_hash_is_good(algorithm: str, counter: Counter) -> None:
    draft = replace(RICH, algorithm=algorithm)

    assert counter.accept(draft.pack()).tree() == draft.all_contents()


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_wheel__every_strong_hash_is_checked(algorithm: str, counter: Counter) -> None:
    draft = Draft(algorithm=algorithm)

    error = counter.refuse(draft.pack({"demo.py": MODULE.swapcase()}))

    assert error.rule == "W3"
    assert f"has {algorithm} " in str(error)


TOLERATED: dict[str, tuple[Draft, list[str]]] = {
    "rows with ./": (Draft(rows=replaced("demo.py", "./demo.py")), []),
    "rows with backslashes": (Draft(rows=replaced(f"{DIST_INFO}/", f"{DIST_INFO}\\")), []),
    "rows with //": (Draft(rows=replaced(f"{DIST_INFO}/", f"{DIST_INFO}//")), []),
    "blank rows": (Draft(rows=lambda rows: ["", *rows, " ", ""]), []),
    "rows that end as on Windows": (Draft(rows=lambda rows: [f"{line}\r" for line in rows]), []),
    "padded hashes": (Draft(rows=replaced(",14", "=,14")), []),
    "a row without a size": (Draft(rows=replaced(",14", ",")), []),
    "names with commas and quotes": (Draft(files={'a, "b".py': b"", "\u00e9.py": b""}), ["N12"]),
    "signatures": (stray(zipped(f"{RECORD}.jws"), zipped(f"{RECORD}.p7s")), []),
    "a listed signature": (Draft(
        files={f"{RECORD}.jws": b"{}"}, rows=replaced(
            row(f"{RECORD}.jws", b"{}"), f"{RECORD}.jws,,")), ["W5"]),
    "a later minor format": (wheel_file(WHEEL.replace(b"1.0", b"1.9")), ["W8"]),
    "other tags": (wheel_file(WHEEL.replace(b"py3", b"py2")), ["W9"]),
    "odd tags": (wheel_file(WHEEL.replace(b"py3-none", b"py3")), ["W9"]),
    "no tags": (wheel_file(b"Wheel-Version: 1.0\n"), ["W9"]),
    "a compressed tag": (wheel_file(WHEEL.replace(b"none-any", b"none-any.any")), []),
    "a script that is made twice": (replace(
        script("run"), files={
            ENTRY_POINTS: b"[console_scripts]\nrun = demo:main\n", f"{DATA}/scripts/run": b""}),
        ["W15"]),
    "a script and a window of one name": (entry_points(
        "[console_scripts]\nrun = demo:a\n[gui_scripts]\nrun = demo:b\n"), ["W15"]),
    "one content for one place": (data(**{"purelib__demo.py": MODULE}), []),
    "a file that is repeated": (stray(zipped("demo.py", MODULE)), []),
    "an absolute name": (Draft(
        without=frozenset({"demo.py"}), members=(zipped("/demo.py", MODULE),),
        rows=added(row("demo.py", MODULE))), ["N1"]),
    "a twin by case": (Draft(files={"a.py": b"1", "A.py": b"2"}), ["N13"]),
    "a file called .data": (Draft(files={"some.data": b""}), []),
    "metadata in another spelling": (metadata(METADATA.replace(b"demo", b"DeMo").replace(
        b"1.0", b"v1.0.0")), []),
    "a .dist-info in another spelling": (Draft(dist_info="Demo-1.0.0.dist-info"), []),
    "bytecode": (Draft(files={"__pycache__/demo.cpython-312.pyc": b"\0"}), []),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLERATED)
def test_wheel__what_is_only_odd_is_accepted_and_noted(case: str, counter: Counter) -> None:
    draft, rules = TOLERATED[case]

    outcome = counter.accept(draft.pack())

    assert outcome.rules == rules
    assert set(outcome.wheel.files) >= set(draft.all_contents())
    assert set(outcome.tree()) == set(outcome.wheel.files)


def test_wheel__unlisted_files_are_counted(counter: Counter) -> None:
    draft = stray(*(zipped(f"{name}.py") for name in "abc"))

    error = counter.refuse(draft.pack())

    assert "`a.py` is in the wheel but not in RECORD (and 2 more) [W2]" in str(error)
    assert error.member == "a.py"


def test_wheel__what_goes_wrong_in_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(Draft().pack())

    with pytest.raises(OSError, match="of the caller") as caught, open_wheel(tmp_path / FILE_NAME):
        raise OSError("of the caller")

    assert type(caught.value) is OSError


_COMPONENTS = st.text("abc\u00e9,+ '", min_size=0, max_size=4).map(lambda text: f"m{text}m")
_FOLDERS = st.lists(_COMPONENTS.map(lambda text: f"d{text}"), max_size=3)
_AREAS = ["", *(f"{DATA}/{scheme}/" for scheme in ("headers", "data"))]


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Return a good wheel with some files in some places."""
    places = st.tuples(st.sampled_from(_AREAS), _FOLDERS, _COMPONENTS)
    paths = places.map(lambda place: place[0] + "/".join([*place[1], place[2]]))
    files = draw(st.dictionaries(paths, st.binary(max_size=300), max_size=6))
    programs = frozenset(draw(st.sets(st.sampled_from(sorted(files)))) if files else ())
    algorithm = draw(st.sampled_from(["sha256", "sha512"]))
    return Draft(files=files, programs=programs, algorithm=algorithm)


def test_wheel__good_wheel_is_written_byte_for_byte(fast_path: Path) -> None:
    @given(draft=drafts())
    def check(draft: Draft) -> None:
        with tempfile.TemporaryDirectory(dir=fast_path) as place:
            outcome = Counter(place=Path(place)).accept(draft.pack())

            assert outcome.tree() == draft.all_contents()
            assert set(outcome.wheel.files) == set(draft.all_contents())

    check()


def test_wheel__one_flipped_byte_in_any_file_is_seen(fast_path: Path) -> None:
    @given(draft=drafts(), choice=st.integers(0, 2**32), bit=st.integers(0, 7))
    def check(draft: Draft, choice: int, bit: int) -> None:
        damage = flip(draft, choice, bit)

        with tempfile.TemporaryDirectory(dir=fast_path) as place:
            assert Counter(place=Path(place)).refuse(draft.pack(damage)).rule in {"W2", "W3", "W4"}

    check()


def flip(draft: Draft, choice: int, bit: int) -> dict[str, bytes]:
    """Return one file of the wheel with one bit changed."""
    contents = {path: content for path, content in draft.all_contents().items() if content}
    path = sorted(contents)[choice % len(contents)]
    # In RECORD the lowest bit alone: another turns one kind of line end into another.
    mask = 1 if path == RECORD else 1 << bit
    damaged = bytearray(contents[path])
    damaged[choice // len(contents) % len(damaged)] ^= mask
    return {path: bytes(damaged)}
