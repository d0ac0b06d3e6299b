"""Events during a build, and the facts that it leaves."""

import time
from pathlib import Path

import pytest

from tests.support.builds import Ground, Hearer, ask, write_project, write_sdist
from wheelforge.cli import main
from wheelforge.events import BuildEvent, EventLog
from wheelforge.models import BuildRequest


def test_events__cover_a_build_from_start_to_end(tmp_path: Path, ground: Ground) -> None:
    hearer = Hearer()
    with ground.forge(hearer) as forge:
        outcome = forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))

    told = [(event.kind, event.phase) for event in hearer.events if event.build]
    phases = ["unpack", "isolate", "ask", "build wheel", "check", "deliver"]
    inside = [(kind, phase) for phase in phases for kind in ("started", "finished")]
    inside.insert(4, ("environment", ""))
    assert told == [("started", ""), *inside, ("finished", "")]
    assert {event.build for event in hearer.events} == {"demo-1.0.tar.gz"}
    assert [phase.name for phase in outcome.phases] == [*phases, ""]


def test_events__durations_fit_and_times_are_in_order(tmp_path: Path, ground: Ground) -> None:
    hearer = Hearer()
    before = time.time()
    with ground.forge(hearer) as forge:
        outcome = forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))

    *parts, whole = outcome.phases
    assert 0 < sum(part.seconds for part in parts) <= whole.seconds
    times = [event.time for event in hearer.events]
    assert times == sorted(times)
    assert before <= whole.started <= parts[0].started
    assert outcome.peak_bytes > 1 << 20
    assert outcome.cpu_seconds > 0


def test_events__failed_phase_fails_the_whole(tmp_path: Path, ground: Ground) -> None:
    hearer = Hearer()
    project = write_project(tmp_path / "project", build_wheel="raise SystemExit(1)")
    with ground.forge(hearer) as forge:
        outcome = forge.try_build(ask(project, tmp_path / "out"))

    failed = [event.phase for event in hearer.events if event.kind == "failed"]
    # Once in a fork, once in a fresh process.
    assert failed == ["build wheel", "build wheel", ""]
    assert [phase.name for phase in outcome.phases][-2:] == failed[-2:]


def test_events__output_comes_line_by_line(tmp_path: Path, ground: Ground) -> None:
    code = "import os; os.write(1, b'one\\ntwo \\xff\\nthree')"
    hearer = Hearer()
    with ground.forge(hearer) as forge:
        forge.build(ask(write_project(tmp_path / "project", build_wheel=code), tmp_path / "out"))

    lines = [event.text for event in hearer.events if event.kind == "output"]
    assert lines == ["one\n", "two \ufffd\n", "three"]


def test_events__requirement_that_is_built_has_its_own_label(
    tmp_path: Path, ground: Ground
) -> None:
    write_sdist(ground.links, name="inner")
    hearer = Hearer()
    with ground.forge(hearer) as forge:
        forge.build(ask(write_project(tmp_path / "outer", requires=("inner",)), tmp_path / "out"))

    whole = [
        (event.build, event.kind)
        for event in hearer.events
        if not event.phase and event.kind != "environment"
    ]
    assert whole == [
        ("outer", "started"),
        ("inner-1.0.tar.gz", "started"),
        ("inner-1.0.tar.gz", "finished"),
        ("outer", "finished"),
    ]


def test_events__note_is_sent_once() -> None:
    events: list[BuildEvent] = []
    journal = EventLog("demo", events.append)

    journal.note("one", "two", "one")
    journal.note("two")

    assert journal.notes == ["one", "two"] == [event.text for event in events]


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("six==1.17.0", "six==1.17.0"),
        ("https://me:secret@host/a/demo-1.0.tar.gz?token=secret#sha256=00", "demo-1.0.tar.gz"),
        ("demo @ https://me:secret@host/demo-1.0.tar.gz", "demo-1.0.tar.gz"),
        ("https://me:secret@host/", "source"),
    ],
)
def test_events__label_holds_no_secrets(tmp_path: Path, source: str, label: str) -> None:
    assert BuildRequest(source=source, output=tmp_path).label == label


def test_environment__is_told_by_names_and_versions(tmp_path: Path, ground: Ground) -> None:
    hearer = Hearer()
    with ground.forge(hearer) as forge:
        forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))

    assert [event.text for event in hearer.events if event.kind == "environment"] == ["willing 1.0"]


def test_environment__is_shown_with_verbose(
    tmp_path: Path, ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    sdist = write_sdist(tmp_path)

    main(ground.words(sdist, "-o", tmp_path / "out"))
    quiet = capsys.readouterr().err
    main(ground.words(sdist, "-v", "-o", tmp_path / "out"))

    assert "built with" not in quiet
    assert "demo-1.0.tar.gz: built with willing 1.0\n" in capsys.readouterr().err
