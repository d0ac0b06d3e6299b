"""Builds run outside of the cache: `--stage-dir`."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.batches import Yard, noting, read_lines

_MEMORY = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]


@pytest.fixture
def memory() -> Iterator[Path]:
    """Return a directory in memory, which is another file system than that of the cache."""
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        pytest.skip("there is no file system in memory here")
    place = _MEMORY / f"wheelforge-test-{os.getpid()}-{time.monotonic_ns()}"
    yield place
    shutil.rmtree(place, ignore_errors=True)  # ruff: ignore[banned-api]


def _telling_place(path: Path) -> str:
    return f"import os; open({str(path)!r}, 'a').write(os.getcwd() + '\\n')"


def test_stage_dir__builds_run_there_under_the_same_path(yard: Yard, memory: Path) -> None:
    told = yard.place / "told"
    sdist = yard.sdist("one", _telling_place(told))
    words = (sdist, "--no-reuse", "--stage-dir", memory)

    first, second = yard.run(*words), yard.run(*words)

    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    places = set(read_lines(told))
    assert len(places) == 1
    assert places.pop().startswith(f"{memory}/stage-v1/one-")
    assert [path.name for path in (memory / "stage-v1").iterdir()] == [".git"]
    assert yard.results() == {"one"}


def test_stage_dir__a_variable_names_it_and_a_batch_uses_it(yard: Yard, memory: Path) -> None:
    told = yard.place / "told"
    sdists = [yard.sdist(name, _telling_place(told)) for name in ("one", "two", "three")]

    code, _, err = yard.run(*sdists, "-j", "3", WHEELFORGE_STAGE_DIR=str(memory))

    assert code == 0, err
    assert all(line.startswith(f"{memory}/stage-v1/") for line in read_lines(told))
    assert len(set(read_lines(told))) == 3


def test_stage_dir__what_a_killed_build_left_is_removed_by_the_next(
    yard: Yard, memory: Path
) -> None:
    told = yard.place / "told"
    slow = yard.sdist("slow", f"{_telling_place(told)}; import time; time.sleep(60)")
    quick = yard.sdist("quick")
    with yard.start(slow, "--stage-dir", memory) as process:
        while not read_lines(told):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert list((memory / "stage-v1").glob("slow-*"))

    code, _, err = yard.run(quick, "--stage-dir", memory)

    assert code == 0, err
    assert [path.name for path in (memory / "stage-v1").iterdir()] == [".git"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_stage_dir__that_others_can_write_to_is_refused(yard: Yard) -> None:
    place = yard.place / "open"
    place.mkdir()
    place.chmod(0o1777)

    code, out, err = yard.run(yard.sdist("one"), "--stage-dir", place)

    assert (code, out) == (5, "")
    assert err.startswith(f"error[stage-dir-shared]: other users can write to `{place}`, so no")
    assert "--stage-dir" in err
    assert not list(place.iterdir())


def test_stage_dir__that_cannot_be_made_is_one_error(yard: Yard) -> None:
    file = yard.place / "file"
    file.write_text("", encoding="utf-8")

    code, out, err = yard.run(yard.sdist("one"), "--stage-dir", file / "inside")

    assert (code, out) == (2, "")
    assert err.startswith("error[")
    assert str(file) in err
    assert "Traceback" not in err


def test_stage_dir__does_not_make_a_build_another_one(yard: Yard, memory: Path) -> None:
    built = yard.place / "built"
    sdist = yard.sdist("one", noting(built))

    yard.run(sdist)
    code, _, err = yard.run(sdist, "--stage-dir", memory)

    assert code == 0, err
    assert read_lines(built) == ["one"]
