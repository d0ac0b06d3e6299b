"""An sdist of another time: built with what there was then, if that is wished for or helps."""

# ruff: file-ignore[any-type]

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import NEWEST, WILLING, Ground, ask, facts_of, write_project, write_sdist
from tests.support.index import File, Index, Project, serve
from wheelforge.build.forge import Forge
from wheelforge.errors import BackendFailedError
from wheelforge.models import Era, Outcome, Policy
from wheelforge.report import tail_of

Build = Callable[..., Outcome]

DROPPED = "import willing; assert not hasattr(willing, 'NEW'), 'dropped'"
"""Works with the older backend only."""
NEW = f"{WILLING}\nNEW = True\nSTATE.append('new')\n"
SAME_DAY = "2020-09-13T12:26:40Z"
"""NEWEST, as an index puts it."""


def publish(ground: Ground, name: str, version: str, uploaded: str, code: str) -> File:
    """Return a wheel with a module of that name."""
    key = ground.stock.add(name, version, files={f"{name}.py": code.encode()})
    content = (ground.links / key.file_name).read_bytes()
    return File(name=key.file_name, content=content, uploaded=uploaded)


@contextlib.contextmanager
def eras(
    ground: Ground, *files: File, more: tuple[Project, ...] = (), **facts: Any
) -> Generator[tuple[Forge, Index]]:
    """Yield a forge on an index that has those files of the backend."""
    with serve(Project("willing", *files), *more) as index:
        url: dict[str, Any] = {"index_url": index.url, "no_index": False, "find_links": ()}
        with ground.forge(**url, **facts) as forge:
            yield forge, index


@pytest.fixture
def files(own: Ground) -> tuple[File, File]:
    """Return the backend of then and that of today."""
    return (
        publish(own, "willing", "1.0", "2020-01-01T00:00:00Z", WILLING),
        publish(own, "willing", "2.0", "2024-01-01T00:00:00Z", NEW),
    )


@pytest.fixture
def build(tmp_path: Path, own: Ground, files: tuple[File, File]) -> Build:
    """Return what builds a source on an index with both backends, or with the files given."""

    def build(source: Path, *given: File, **facts: Any) -> Outcome:
        with eras(own, *(given or files), **facts) as (forge, _):
            return forge.try_build(ask(source, tmp_path / "out"))

    return build


@pytest.mark.parametrize(
    ("era", "code"),
    [
        (Era.ALWAYS, ""),
        (Era.ALWAYS, DROPPED),
        (Era.FALLBACK, ""),
        (Era.FALLBACK, DROPPED),
        (Era.OFF, ""),
    ],
)
def test_era__always_uses_the_backend_of_then(
    tmp_path: Path, build: Build, era: Era, code: str
) -> None:
    is_old = era is Era.ALWAYS or bool(code)
    outcome = build(write_sdist(tmp_path, build_wheel=code), policy=Policy(era=era))

    then = dt.datetime.fromtimestamp(NEWEST, dt.UTC) + dt.timedelta(days=1)
    assert facts_of(outcome)["state"] == ([] if is_old else ["new"])
    assert outcome.era == (then if is_old else None)
    assert any("there was on 2020-09-14" in note for note in outcome.notes) == is_old


def test_era__notes_of_a_second_attempt_are_in_order(tmp_path: Path, build: Build) -> None:
    outcome = build(write_sdist(tmp_path, build_wheel=DROPPED))

    assert outcome.notes == (
        "with what there is today it fails: backend-failed",
        "built once more with what there was on 2020-09-14, as the newest file in the archive says",
    )


def test_era__off_lets_the_failure_stand(tmp_path: Path, build: Build) -> None:
    outcome = build(write_sdist(tmp_path, build_wheel=DROPPED), policy=Policy(era=Era.OFF))

    assert isinstance(outcome.error, BackendFailedError)
    assert outcome.notes == ()


def test_era__second_attempt_starts_with_a_pristine_tree(
    tmp_path: Path, own: Ground, files: tuple[File, File]
) -> None:
    code = f"import os; assert not os.path.exists('left'); open('left', 'w').close(); {DROPPED}"
    sdist = write_sdist(tmp_path, build_wheel=code)

    with eras(own, *files) as (forge, _):
        in_stage = forge.build(ask(sdist, tmp_path / "out"))
        in_tree = forge.build(ask(sdist, tmp_path / "out", tree=tmp_path / "tree"))

    assert in_stage.era == in_tree.era
    assert facts_of(in_tree)["directory"] == str(tmp_path / "tree" / "demo-1.0")


def test_era__upload_time_of_the_index_comes_before_the_archive(
    tmp_path: Path, own: Ground, files: tuple[File, File]
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=DROPPED, moment=1_700_000_000)
    uploaded = "2021-05-05T00:00:00Z"
    listed = File(name=sdist.name, content=sdist.read_bytes(), uploaded=uploaded)

    with eras(own, *files, more=(Project("demo", listed),)) as (forge, _):
        by_path = forge.build(ask(sdist, tmp_path / "out"))
        by_name = forge.build(ask("demo==1.0", tmp_path / "out"))

    assert by_path.era == by_name.era == dt.datetime(2021, 5, 6, tzinfo=dt.UTC)
    assert "as the index says" in by_path.notes[-1]


def test_era__oldest_release_is_taken_where_none_is_old_enough(
    tmp_path: Path, build: Build
) -> None:
    outcome = build(write_sdist(tmp_path, moment=1_000_000_000, build_wheel=DROPPED))

    assert facts_of(outcome)["state"] == []
    assert [key.version for key in outcome.wheels] == ["1.0"]


def test_era__unmeetable_requirements_are_reported_as_of_today(
    tmp_path: Path, build: Build
) -> None:
    outcome = build(write_sdist(tmp_path, requires=("willing>=3",)))

    assert outcome.error is not None
    assert outcome.error.code == "requirements-conflict"
    assert outcome.notes == outcome.remarks
    assert outcome.notes[-1].startswith("with what there was on ")
    assert outcome.notes[-1].endswith(", it fails too: requirements-conflict")
    assert not any(note.startswith("built") for note in outcome.notes)


def test_era__timeless_failure_is_not_tried_twice(tmp_path: Path, build: Build) -> None:
    code = (
        f"open({str(tmp_path / 'tries')!r}, 'a').write('x'); "
        "print('demo.c:1:10: fatal error: lib/demo.h: No such file or directory', flush=True); "
        "raise SystemExit(1)"
    )
    outcome = build(write_sdist(tmp_path, build_wheel=code))

    assert outcome.error is not None
    assert outcome.error.code == "header-missing"
    assert (tmp_path / "tries").read_text(encoding="ascii") == "x"
    assert outcome.notes == ()


@pytest.mark.parametrize("hook", ["get_requires_for_build_wheel", "build_wheel"])
def test_era__same_wheels_are_not_tried_twice(
    tmp_path: Path, files: tuple[File, File], build: Build, hook: str
) -> None:
    code = f"open({str(tmp_path / 'tries')!r}, 'a').write('x'); raise SystemExit(1)"
    hooks: dict[str, Any] = {hook: code}
    outcome = build(write_sdist(tmp_path, **hooks), files[0])

    assert isinstance(outcome.error, BackendFailedError)
    # Once in a fork, once in a fresh process.
    assert (tmp_path / "tries").read_text(encoding="ascii") == "xx"
    assert outcome.notes[-1].endswith("is the same, so it is not built once more")
    assert not any(note.startswith("built once more") for note in outcome.notes)
    assert outcome.era is None
    assert [each.reason for each in outcome.attempts] == ["", "unforked"]
    assert {each.error and each.error.code for each in outcome.attempts} == {outcome.error.code}


def test_era__first_error_is_reported_if_both_fail(tmp_path: Path, build: Build) -> None:
    code = "import willing; raise SystemExit('new' if hasattr(willing, 'NEW') else 'old')"
    outcome = build(write_sdist(tmp_path, build_wheel=code))

    assert isinstance(outcome.error, BackendFailedError)
    assert outcome.error.failure.output.strip() == b"new"
    assert outcome.notes[-1].startswith("with what there was on ")
    assert outcome.notes[-1].endswith(", it fails too: backend-failed")
    assert not any(note.startswith("built") for note in outcome.notes)
    assert outcome.era is None
    assert [key.version for key in outcome.wheels] == ["2.0"]
    _, again, last = outcome.attempts
    assert (again.error, last.reason) == (outcome.error, "era")
    assert last.era is not None
    assert isinstance(last.error, BackendFailedError)
    assert last.error.failure.output.strip() == b"old"
    assert [phase for each in outcome.attempts for phase in each.phases] == list(
        outcome.phases[:-1]
    )
    assert outcome.log is not None
    log = outcome.log.read_text(encoding="utf-8")
    assert re.search(r"new\s+-- once more, with what there was on [^\n]* --\s+old", log)
    assert tail_of(outcome).strip() == "new"


def test_era__undated_archive_is_built_once(tmp_path: Path, build: Build) -> None:
    outcome = build(write_sdist(tmp_path, build_wheel=DROPPED, moment=86400 * 10_000))

    assert isinstance(outcome.error, BackendFailedError)
    assert "nothing tells when it was published" in outcome.notes


def test_era__directory_has_none(tmp_path: Path, build: Build) -> None:
    project = write_project(tmp_path / "project", build_wheel=DROPPED)

    outcome = build(project, policy=Policy(era=Era.ALWAYS))

    assert isinstance(outcome.error, BackendFailedError)
    assert outcome.era is None


def test_era__requirement_that_is_built_is_of_then_too(tmp_path: Path, build: Build) -> None:
    needed = write_sdist(tmp_path / "needed", name="needed", build_wheel=DROPPED)
    listed = File(name=needed.name, content=needed.read_bytes(), uploaded=SAME_DAY)
    sdist = write_sdist(tmp_path, requires=("needed",))
    policy = Policy(era=Era.ALWAYS)

    outcome = build(sdist, more=(Project("needed", listed),), policy=policy)

    assert {(key.name, key.version) for key in outcome.wheels} == {
        ("willing", "1.0"),
        ("needed", "1.0"),
    }


def test_era__offline_asks_no_index(tmp_path: Path, own: Ground, files: tuple[File, File]) -> None:
    sdist = write_sdist(tmp_path, build_wheel=DROPPED)
    with eras(own, *files) as (forge, index):
        forge.build(ask(sdist, tmp_path / "out"))
        asked = len(index.asked)
        settings: dict[str, Any] = {
            "index_url": index.url,
            "no_index": False,
            "find_links": (),
            "offline": True,
        }
        with own.forge(**settings) as offline:
            outcome = offline.build(ask(sdist, tmp_path / "out"))

        assert len(index.asked) == asked
    assert outcome.era is not None


def test_era__wheel_of_a_second_attempt_is_used_again_until_the_backend_is_another(
    tmp_path: Path, build: Build, own: Ground, files: tuple[File, File]
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=DROPPED)

    first, second = build(sdist), build(sdist)
    mended = publish(own, "willing", "3.0", "2025-01-01T00:00:00Z", WILLING)
    third = build(sdist, *files, mended)
    fourth = build(sdist, *files, mended)

    assert [each.verdict for each in (first, second, third, fourth)] == [
        *("built", "reused", "built", "reused")
    ]
    assert first.era is not None
    assert (second.era, third.era, fourth.era) == (first.era, None, None)
    assert second.wheels == first.wheels[-len(second.wheels) :]
    assert any("as with what is newer it fails" in note for note in second.notes)


def test_era__wheel_of_a_second_attempt_is_built_anew_if_the_tools_of_then_are_others(
    tmp_path: Path, build: Build, own: Ground, files: tuple[File, File]
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=DROPPED)
    other = publish(own, "willing", "1.1", "2020-02-01T00:00:00Z", WILLING)

    first, second = build(sdist), build(sdist, *files, other)

    assert (first.verdict, second.verdict) == ("built", "built")
    assert first.era == second.era
    assert second.cause is not None
    assert second.cause.place == "closure.wheels.willing.version"
