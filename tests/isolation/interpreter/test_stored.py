"""Interpreters are probed once, and again when anything has changed that matters."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.interpreters import count, find, needs_bash, write_disguise
from wheelforge_isolation.interpreter import find_interpreter

_RECALL = """
import sys
before = set(sys.modules)
from pathlib import Path
from wheelforge_isolation.interpreter import find_interpreter

find_interpreter(None, search=[], cache_dir=Path(sys.argv[1]))
print(sorted({"packaging", "subprocess"} & (sys.modules.keys() - before)))
"""


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "pythons"


@needs_bash
def test_stored__python_is_probed_once(tmp_path: Path, cache_dir: Path) -> None:
    python = write_disguise(tmp_path / "python", log=tmp_path / "log")

    found = [find(python, cache_dir) for _ in range(3)]

    assert found == found[:1] * 3
    assert count(tmp_path / "log") == 1


def test_stored__many_threads_may_ask_at_once(cache_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(find, Path(sys.executable), cache_dir) for _ in range(16)]
        answers = [future.result() for future in asked]

    assert answers == answers[:1] * 16
    assert len(list(cache_dir.iterdir())) == 1


def test_stored__loading_imports_neither_packaging_nor_subprocess(cache_dir: Path) -> None:
    find_interpreter(None, search=[], cache_dir=cache_dir)

    command = [sys.executable, "-c", _RECALL, str(cache_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def replace_program(python: Path) -> None:
    python.with_name("next").write_bytes(python.read_bytes() + b"#\n")
    python.with_name("next").chmod(0o755)
    python.with_name("next").replace(python)


def touch_program(python: Path) -> None:
    os.utime(python, (1, 1))


def lead_elsewhere(python: Path) -> None:
    target = python.with_name("elsewhere")
    shutil.copy2(python, target)
    python.unlink()
    python.symlink_to(target)


def write_settings(python: Path) -> None:
    settings = python.parent.parent / "pyvenv.cfg"
    settings.write_text(f"home = {Path(sys.executable).resolve().parent}\n", encoding="utf-8")


@needs_bash
@pytest.mark.parametrize("change", [replace_program, touch_program, lead_elsewhere, write_settings])
def test_stored__changed_python_is_probed_again(
    change: Callable[[Path], None], tmp_path: Path, cache_dir: Path
) -> None:
    python = write_disguise(tmp_path / "bin" / "python", log=tmp_path / "log")
    find(python, cache_dir)
    change(python)

    for _ in range(2):
        find(python, cache_dir)

    assert count(tmp_path / "log") == 2


@needs_bash
def test_stored__other_system_is_probed_again(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = write_disguise(tmp_path / "python", log=tmp_path / "log")
    find(python, cache_dir)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result("abcde"))

    find(python, cache_dir)

    assert count(tmp_path / "log") == 2


@needs_bash
@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (b"(?s)^.*$", b""),
        (b"(?s)^.*$", b"junk"),
        (b"(?s)^.*$", b'{"seal":""}\n{}'),
        (b"..$", b""),
        (b"$", b"\n"),
        (b"cpython", b"pypython"),
    ],
)
def test_stored__damaged_file_is_replaced(
    pattern: bytes, replacement: bytes, tmp_path: Path, cache_dir: Path
) -> None:
    python = write_disguise(tmp_path / "python", log=tmp_path / "log")
    before = find(python, cache_dir)
    [record] = cache_dir.iterdir()
    record.write_bytes(re.sub(pattern, replacement, record.read_bytes(), count=1))

    assert [find(python, cache_dir) for _ in range(2)] == [before] * 2
    assert count(tmp_path / "log") == 2
    assert list(cache_dir.iterdir()) == [record]


@needs_bash
def test_stored__file_of_another_python_is_not_used(tmp_path: Path, cache_dir: Path) -> None:
    python = write_disguise(tmp_path / "python")
    find(python, cache_dir)
    [record] = cache_dir.iterdir()
    find(Path(sys.executable), cache_dir)
    [foreign] = set(cache_dir.iterdir()) - {record}
    shutil.copy(foreign, record)

    assert find(python, cache_dir).executable == python


def test_stored__unwritable_directory_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    find_interpreter(None, search=[], cache_dir=tmp_path / "taken")
    [record] = (tmp_path / "taken").iterdir()
    record.unlink()
    (record / "full").mkdir(parents=True)

    for cache_dir in (tmp_path / "file" / "pythons", tmp_path / "taken"):
        assert find_interpreter(None, search=[], cache_dir=cache_dir).executable == Path(
            sys.executable
        )

    assert list((tmp_path / "taken").iterdir()) == [record]
