"""Requests that a lock cannot answer, and invalid lock files: each error names the cause."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.lockfiles import (
    DEMO,
    FLIT,
    SETUPTOOLS,
    SIX,
    answer_with,
    lock_one,
    make_pin,
    make_python,
    make_wheel,
    save,
    save_and_read,
)
from tests.support.universe import PYTHON
from wheelforge.errors import LockError
from wheelforge.lockfile import Recorder, Source, read_lock, write_lock
from wheelforge_isolation import Interpreter, IsolationError

NOTHING = answer_with()
SOURCE_WITHOUT_ANSWERS = (
    '{ name = "a", answers = [], python = { implementation = "", version = "", abi = "", '
    'platform = "", machine = "" } }'
)
ANSWER = "tool.wheelforge.sources[0].answers[0]"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the lock of two builds, of which one has two answers."""
    recorder = Recorder()
    recorder.record(DEMO, PYTHON, ("setuptools>=40",), answer_with(SETUPTOOLS))
    both = ("setuptools>=40", "flit_core")
    recorder.record(DEMO, PYTHON, both, answer_with(SETUPTOOLS, FLIT))
    recorder.record(SIX, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    return save(recorder.lock(), tmp_path)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def refuse(path: Path) -> LockError:
    with raises("lock-invalid") as caught:
        read_lock(path)
    assert caught.value.lock == str(path)
    assert "wheelforge lock" in caught.value.hint
    error: LockError = caught.value
    return error


# Requests


def test_lock__a_source_that_is_not_locked_is_refused(path: Path) -> None:
    with raises("lock-lacks") as caught:
        read_lock(path).answer(Source(label="other-1.0.zip"), (), PYTHON)

    assert str(caught.value) == f"`other-1.0.zip` is not locked in `{path}`"
    assert caught.value.hint == f"name it as well: `wheelforge lock SRC ... -o {path}`"


def test_lock__a_source_with_other_bytes_is_refused(path: Path) -> None:
    with raises("lock-source-changed") as caught:
        read_lock(path).answer(SIX._replace(sha256="6" * 64), ("setuptools",), PYTHON)

    assert str(caught.value) == (
        f"`six-1.16.0.tar.gz` is locked in `{path}` as the archive with the SHA-256 {'5' * 64}, "
        f"and is the archive with the SHA-256 {'6' * 64}"
    )
    assert "once you know why" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source(label="demo", sha256="6" * 64), "as a directory, and is the archive"),
        (Source(label="six-1.16.0.tar.gz"), f"{'5' * 64}, and is a directory"),
    ],
)
def test_lock__a_directory_is_no_archive(path: Path, source: Source, words: str) -> None:
    with raises("lock-source-changed", match=words):
        read_lock(path).answer(source, ("setuptools",), PYTHON)


@pytest.mark.parametrize(
    ("asked", "added", "removed"),
    [
        (("setuptools>=41",), ("setuptools>=41",), ("setuptools>=40",)),
        (("setuptools>=40", "wheel"), ("wheel",), ()),
        (("setuptools>=40", "flit_core", "wheel"), ("wheel",), ()),
        (("flit-core",), (), ("setuptools>=40",)),
        ((), (), ("setuptools>=40",)),
    ],
)
def test_lock__other_requirements_are_refused_with_what_differs_from_the_nearest(
    path: Path, asked: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    with raises("lock-stale") as caught:
        read_lock(path).answer(DEMO, asked, PYTHON)

    assert (caught.value.added, caught.value.removed) == (added, removed)
    changes = [*(f"`{text}` was added" for text in added)]
    changes += [f"`{text}` was removed" for text in removed]
    assert str(caught.value) == (
        f"what `demo` needs is not what `{path}` has locked: {', '.join(changes)}"
    )
    assert caught.value.hint == f"write it again: `wheelforge lock SRC ... -o {path}`"


def test_lock__a_refused_requirement_keeps_its_secrets(path: Path) -> None:
    secret = "b @ https://me:hunter2@elsewhere.test/b-1.0-py3-none-any.whl?token=hunter2"  # ruff: ignore[hardcoded-password-string]

    with raises("lock-stale") as caught:
        read_lock(path).answer(SIX, (secret, "b @@ https://me:hunter2@x.test/"), PYTHON)

    assert "hunter2" not in str(caught.value)
    assert "elsewhere.test" in str(caught.value)


@pytest.mark.parametrize(
    ("python", "words"),
    [
        (make_python(12), "cpython 3.12 (cp312) on linux x86_64"),
        (make_python(11, abi="cp311d"), "cpython 3.11 (cp311d) on linux x86_64"),
        (make_python(11, machine="aarch64"), "cpython 3.11 (cp311) on linux aarch64"),
    ],
)
def test_lock__another_python_is_refused(path: Path, python: Interpreter, words: str) -> None:
    with raises("lock-other-python") as caught:
        read_lock(path).answer(SIX, ("setuptools",), python)

    assert str(caught.value) == (
        f"`six-1.16.0.tar.gz` is locked in `{path}` for cpython 3.11 (cp311) on linux x86_64, "
        f"and this is {words}"
    )
    assert "--python" in caught.value.hint


def test_lock__a_file_that_an_older_system_does_not_take_is_refused(tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux_2_39_x86_64.linux_riscv"
    new = replace(PYTHON, tags=(*PYTHON.tags, "cp311-cp311-manylinux_2_39_x86_64"))
    wheel = make_wheel("cffi", "1.17", tag)
    lock = save_and_read(lock_one(wheel, python=new), tmp_path)

    assert lock.answer(SIX, ("setuptools",), new).pins[0].file_name == wheel.file_name
    with raises("lock-other-python", match=re.escape(f"for `{wheel.file_name}`, and")):
        lock.answer(SIX, ("setuptools",), PYTHON)


# Writing


@pytest.mark.parametrize("is_wheel", [True, False])
def test_lock__a_file_without_a_hash_is_not_locked(*, is_wheel: bool) -> None:
    file_name = "a-1.0-py3-none-any.whl" if is_wheel else "a-1.0.tar.gz"
    reason = "its hash is not known" if is_wheel else "it is no archive that was built on the way"

    with raises("lock-impossible") as caught:
        lock_one(make_pin(file_name, sha256=""))

    assert str(caught.value) == (
        f"`{file_name}`, which `six-1.16.0.tar.gz` needs, cannot be locked: {reason}"
    )


def test_lock__an_archive_of_which_is_not_known_what_it_needs_is_not_locked() -> None:
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(make_pin("a-1.0.tar.gz")))
    recorder.record(Source(label="a-1.0.tar.gz", sha256="6" * 64), make_python(12), (), NOTHING)

    with raises("lock-impossible", match="no archive that was built on the way"):
        recorder.lock()


def test_lock__an_archive_of_which_other_bytes_were_built_is_not_locked() -> None:
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(make_pin("a-1.0.tar.gz")))
    recorder.record(Source(label="a-1.0.tar.gz", sha256="6" * 64), PYTHON, (), NOTHING)

    with raises("lock-impossible", match="other bytes of it were built"):
        recorder.lock()


def test_lock__an_archive_without_a_hash_of_which_two_were_built_is_not_locked() -> None:
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(make_pin("a-1.0.tar.gz", sha256="")))
    for digit in "67":
        recorder.record(Source(label="a-1.0.tar.gz", sha256=digit * 64), PYTHON, (), NOTHING)

    with raises("lock-impossible", match="its hash is not known"):
        recorder.lock()


def test_lock__a_directory_that_is_a_build_requirement_is_not_locked() -> None:
    url = "file:///projects/a-1.0"
    pin = make_pin("a-1.0", url=url, sha256="", origin=url)._replace(is_wheel=False)
    recorder = Recorder()
    recorder.record(SIX, PYTHON, (f"a @ {url}",), answer_with(pin))
    recorder.record(Source(label="a-1.0"), PYTHON, (), NOTHING)

    with raises("lock-impossible"):
        recorder.lock()


def test_lock__a_file_that_would_not_be_found_under_its_name_is_not_locked() -> None:
    pin = make_pin("a-1.0.tar.gz", url="https://x.test/f?a")._replace(file_name="a-1.0-1.zip")
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(pin))
    recorder.record(Source(label="a-1.0-1.zip", sha256=pin.sha256), PYTHON, (), NOTHING)

    with raises("lock-impossible", match="its URL has another name"):
        recorder.lock()


def test_lock__a_file_on_another_drive_is_not_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_drives(path: str, start: str) -> str:
        raise ValueError(f"path is on mount {path!r}, start on mount {start!r}")

    monkeypatch.setattr("os.path.relpath", refuse_drives)
    lock = lock_one(make_pin("a-1.0-py3-none-any.whl", url="file:///d/a-1.0-py3-none-any.whl"))

    with raises("lock-impossible", match=r"which `six-1\.16\.0\.tar\.gz` needs"):
        save(lock, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["lock.toml", "pylock.a.b.toml", "pylock..toml", "pylock.build.toml.txt"]
)
def test_lock__a_name_that_other_tools_do_not_take_for_a_lock_is_refused(
    tmp_path: Path, name: str
) -> None:
    with raises("lock-invalid", match=re.escape("`pylock.NAME.toml`")):
        write_lock(lock_one(), tmp_path / name)

    assert list(tmp_path.iterdir()) == []


def test_lock__a_lock_that_cannot_be_written_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(IsolationError):
        save(lock_one(), tmp_path / "nowhere")


# Reading


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "it cannot be read: No such file or directory"),
        (b"a = 1\nb = ", "it is no TOML: Invalid value"),
        (b"a = '\xff'", "it is no TOML: 'utf-8' codec"),
        (b"", "`tool.wheelforge`: there is no such table, so this lock is not for builds"),
        (b"tool = 3", "`tool.wheelforge`: there is no such table"),
        (b"tool.wheelforge = 3", "`tool.wheelforge`: there is no such table"),
        (b"tool.wheelforge.x = 3", "`tool.wheelforge.format`: it has to be a number"),
        (b"tool.wheelforge.format = true", "`tool.wheelforge.format`: it has to be a number"),
        (b"tool.wheelforge.format = 0", "`tool.wheelforge.format`: it has to be a number"),
        (b"tool.wheelforge.format = 2", "it is 2, of a newer wheelforge; this one knows 1"),
        (b"tool.wheelforge.format = 1", "`lock-version`: Missing required value"),
    ],
)
def test_lock__what_is_no_lock_is_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "pylock.toml"
    if content is not None:
        path.write_bytes(content)

    assert words in str(refuse(path))


def test_lock__what_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(f"a = {'[' * 100_000}", encoding="utf-8")

    assert refuse(path).reason == "it is nested too deeply"


def test_lock__the_lock_of_another_tool_is_refused(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.partition("[tool.wheelforge]")[0], encoding="utf-8")

    assert refuse(path).place == "tool.wheelforge"


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ('lock-version = "1.0"', 'lock-version = "2.0"', "", "version 2.0 is not supported"),
        ('"1.0"\n', "1.0\n", "lock-version", "Unexpected type float"),
        ('name = "setuptools"', "name = 3", "packages[1].name", "Unexpected type int"),
        ('version = "80.9.0"', 'version = "x"', "packages[1].version", "Invalid version"),
        ("[[packages.wheels]]", "[packages.wheels]", "packages[0].wheels", "Unexpected type dict"),
        ("hashes]\nsha256", "hashes]\nx", f"{ANSWER}.files[0]", "no package has the file"),
        ('"https://index.test/simple/files/', '"https://[', "packages[0]", "Invalid IPv6 URL"),
        ('version = "80.9.0"', "", f"{ANSWER}.files[1]", "no package has the file"),
        ('name = "demo"\n', "", "tool.wheelforge.sources[0].name", "it has to be a text"),
        ("sources.python]", "sources.snake]", "tool.wheelforge.sources[0].python", "to be a table"),
        ('abi = "cp311"', "abi = 3", "tool.wheelforge.sources[0].python.abi", "to be a text"),
        ('sha256 = "5', 'sha256 = "z', "tool.wheelforge.sources[1].sha256", "64 digits"),
        ('sha256 = "5', 'commit = "z', "tool.wheelforge.sources[1].commit", "the whole name"),
        ("requirements = [", "requirements = [3,", f"{ANSWER}.requirements[0]", "to be a text"),
        ("requirements = [", "x = [", f"{ANSWER}.requirements", "it has to be a list"),
        ("#sha256=", "#sha256=A", f"{ANSWER}.files[0]", "64 digits of 0-9 and a-f"),
        ("files = [", "files = [{},", f"{ANSWER}.files[0]", "it has to be a text"),
    ],
)
def test_lock__a_wrong_value_is_named_with_its_place(
    path: Path, old: str, new: str, place: str, reason: str
) -> None:
    edit(path, old, new)

    error = refuse(path)

    assert error.place == place
    assert reason in error.reason


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        (lambda text: f"{text}sources = 3\n", "tool.wheelforge.sources", "to be a list"),
        (lambda text: f"{text}sources = [3]\n", "tool.wheelforge.sources[0]", "to be a table"),
        (
            lambda text: f"{text}sources = [{SOURCE_WITHOUT_ANSWERS}]\n",
            "tool.wheelforge.sources[0].answers",
            "there has to be one",
        ),
    ],
)
def test_lock__sources_of_a_wrong_kind_are_refused(
    path: Path, change: Callable[[str], str], place: str, reason: str
) -> None:
    head = path.read_text(encoding="utf-8").partition("\n[[tool.wheelforge.sources]]")[0]
    path.write_text(change(head), encoding="utf-8")

    error = refuse(path)

    assert (error.place, reason in error.reason) == (place, True)


@pytest.mark.parametrize("name", ["..%2fdemo.whl", "%2e%2e", "demo%0a.whl", "~demo.whl"])
def test_file_name_of_a_locked_archive__is_not_a_path(tmp_path: Path, name: str) -> None:
    url = "https://host/demo-1.0-py3-none-any.whl"
    recorder = Recorder()
    pin = make_wheel("demo")._replace(url=url, origin=url)
    recorder.record(DEMO, PYTHON, (f"demo @ {url}",), answer_with(pin))
    path = save(recorder.lock(), tmp_path)
    edit(path, f'url = "{url}"', f'url = "https://host/{name}"')

    error = refuse(path)

    assert (error.place, error.reason) == ("packages[0]", "it does not have the name of a file")


def test_lock__a_hash_that_was_changed_in_one_place_is_noticed(path: Path) -> None:
    edit(path, f'sha256 = "{SETUPTOOLS.sha256}"', f'sha256 = "{"0" * 64}"')

    error = refuse(path)

    assert error.place.startswith("tool.wheelforge.sources[0].answers")
    assert SETUPTOOLS.file_name in error.reason


def test_lock__a_source_that_is_there_twice_is_refused(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    last = text.rpartition("[[tool.wheelforge.sources]]")
    path.write_text(f"{text}{last[1]}{last[2]}", encoding="utf-8")

    error = refuse(path)

    assert error.place == "tool.wheelforge.sources[2]"
    assert error.reason == "`six-1.16.0.tar.gz` is there twice"


def test_lock__an_answer_with_two_files_of_one_name_is_refused(path: Path) -> None:
    line = f'  "{FLIT.file_name}#sha256={FLIT.sha256}",\n'
    edit(path, line, line * 2)

    error = refuse(path)

    assert error.place == f"{ANSWER}.files[1]"
    assert error.reason == "`flit-core` is there twice"


def test_lock__what_others_have_added_does_not_matter(path: Path) -> None:
    before = read_lock(path)
    edit(path, "[tool.wheelforge]", "[tool.other]\nx = 1\n\n[tool.wheelforge]\nfuture = true")
    edit(path, 'name = "demo"', 'name = "demo"\nfuture = true')

    assert read_lock(path) == before


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ('name = "six-1.16.0.tar.gz"\nurl', 'name = "../six"\nurl', ".name", "not the name of a"),
        ('url = "https://index.test/six', 'url = "https://[', ".url", "Invalid IPv6 URL"),
        ('url = "https://index.test/six', 'x = "', ".url", "it has to be a text"),
        (f'sha256 = "{SIX.sha256}"', f'commit = "{"a" * 40}"', "", "no `sha256`"),
    ],
)
def test_sdist_of_a_locked_release__that_is_none_is_refused(
    tmp_path: Path, old: str, new: str, place: str, reason: str
) -> None:
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    url = "https://index.test/six-1.16.0.tar.gz"
    recorder.name_archive(SIX, PYTHON, "six-1.16.0.tar.gz", url, "")
    path = save(recorder.lock(), tmp_path)
    edit(path, old, new)

    error = refuse(path)

    assert error.place == f"tool.wheelforge.sources[0].archive{place}"
    assert reason in error.reason
