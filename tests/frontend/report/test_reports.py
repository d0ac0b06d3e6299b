"""Reports for machines: JSON, JUnit XML, and events as they happen."""

# ruff: file-ignore[any-type, suspicious-xml-etree-import, suspicious-xml-element-tree-usage]

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.support.reports import (
    HOSTILE,
    JSON_SCHEMA,
    MOMENT,
    Factory,
    check,
    check_event,
    make_artifact,
    make_failure,
    make_outcome,
    make_phases,
    make_wheel,
    tell,
)
from tests.support.source import ROOT
from wheelforge.errors import BuildNotStartedError, HookError, OfflineError
from wheelforge.events import BuildEvent
from wheelforge.models import BuildAttempt, Kind
from wheelforge.report import (
    SCHEMA,
    EventStream,
    describe_run,
    read_tail,
    tail_of,
    write_json_report,
    write_junit_report,
)
from wheelforge_isolation import ForgeError


def report(*outcomes: Any, ending: BaseException | None = None) -> dict[str, Any]:
    """Return the report of ``outcomes``, as JSON that the schema allows."""
    facts: dict[str, Any] = json.loads(json.dumps(describe_run(tell(outcomes, ending=ending))))
    check(facts)
    return facts


def junit(tmp_path: Path, *outcomes: Any, tail: str = "") -> ET.Element:
    write_junit_report(tell(outcomes, tail), tmp_path / "junit.xml")
    return ET.parse(tmp_path / "junit.xml").getroot()


def test_schema__knows_every_name_that_is_written() -> None:
    import_module("jsonschema").Draft7Validator.check_schema(JSON_SCHEMA)
    definitions = JSON_SCHEMA["definitions"]
    outcome = make_outcome(
        artifacts=(make_artifact(),),
        phases=make_phases(MOMENT, 2),
        wheels=(make_wheel(),),
        attempts=(BuildAttempt("", None, (), None, (0, 0)),),
    )

    facts = report(outcome, make_outcome(error=make_failure()), ending=KeyboardInterrupt())

    (build, failed) = facts["builds"]
    pairs = (
        (facts, JSON_SCHEMA),
        (build, definitions["build"]),
        (build["artifacts"][0], definitions["artifact"]),
        (build["phases"][0], definitions["phase"]),
        (build["environment"][0], definitions["wheel"]),
        (build["attempts"][0], definitions["attempt"]),
        (failed["error"], definitions["error"]),
    )
    assert [set(written) ^ set(known["properties"]) for written, known in pairs] == [set()] * 7


def test_schema__refuses_other_documents() -> None:
    facts = report(make_outcome())
    facts["builds"][0]["outcome"] = "fine"

    with pytest.raises(Exception, match="'fine' is not one of"):
        check(facts)


def test_json__a_run_of_any_outcome_is_valid() -> None:
    facts = report(*Factory().make(200))

    totals = facts["totals"]
    assert totals["builds"] == len(facts["builds"]) == 200
    assert sum(totals[kind] for kind in ("built", "resumed", "failed", "cancelled")) == 200
    assert [kind for kind in totals if not totals[kind]] == ["reused", "fetched", "not-started"]


def test_json__a_build_has_all_its_facts() -> None:
    outcome = make_outcome(
        artifacts=(make_artifact(),),
        sha256="12" * 32,
        phases=make_phases(MOMENT, 2.0),
        wheels=(make_wheel("wheel", "0.48.0"), make_wheel()),
        environments_found=1,
        compiler_hits=19,
        peak_bytes=5_000_000,
        cpu_seconds=1.25,
        notes=("a note",),
        log=Path("/work/logs/demo.log"),
    )

    (build,) = report(outcome)["builds"]

    assert (build["source"], build["label"]) == ("/work/demo-1.0.tar.gz", "demo-1.0.tar.gz")
    assert (build["outcome"], build["error"], build["sha256"]) == ("built", None, "12" * 32)
    assert (build["started"], build["seconds"]) == ("2026-09-21T14:13:20.000000+00:00", 2.0)
    assert [phase["name"] for phase in build["phases"]][-2:] == ["check", "deliver"]
    assert [wheel["name"] for wheel in build["environment"]] == ["setuptools", "wheel"]
    assert (build["peak_memory"], build["cpu_seconds"]) == (5_000_000, 1.25)
    assert (build["cache"]["environments_found"], build["cache"]["compiler_hits"]) == (1, 19)
    assert (build["notes"], build["log"]) == (["a note"], "/work/logs/demo.log")


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, "built"),
        ({"is_resumed": True}, "resumed"),
        ({"is_reused": True}, "reused"),
        ({"is_fetched": True}, "fetched"),
        ({"error": make_failure()}, "failed"),
        ({"error": HookError("hook-cancelled", "build_wheel")}, "cancelled"),
        ({"error": BuildNotStartedError("demo")}, "not-started"),
    ],
)
def test_json__an_outcome_has_one_of_six_names(facts: dict[str, Any], outcome: str) -> None:
    told = report(make_outcome(**facts))

    assert told["builds"][0]["outcome"] == outcome
    assert told["totals"][outcome] == 1


def test_json__an_error_has_code_exit_code_message_and_hint() -> None:
    error = OfflineError("offline", "setuptools", "this build")

    (build,) = report(make_outcome(error=error))["builds"]

    assert build["error"] == {
        "code": "offline",
        "exit_code": 5,
        "message": str(error),
        "summary": str(error),
        "detail": "",
        "hint": error.hint or None,
        "log_tail": "",
    }


def test_json__an_error_of_a_hook_has_its_cause_and_its_output_apart() -> None:
    error = make_failure("compiling\nThis backport is for Python 2.7 only.")

    (build,) = report(make_outcome(error=error))["builds"]

    cause = "This backport is for Python 2.7 only."
    summary = f"building the wheel has failed with status 1: {cause}"
    assert build["error"]["summary"] == summary
    assert build["error"]["log_tail"] == f"compiling\n{cause}"
    assert (build["error"]["detail"], build["error"]["message"]) == ("", str(error))


def test_json__has_every_attempt_and_every_reason_of_waiting() -> None:
    error, phases = make_failure("first"), make_phases(MOMENT, 3.0, wait=1.0)
    era = datetime(2015, 8, 30, tzinfo=UTC)
    attempts = (
        BuildAttempt("", None, phases[:4], error, (0, 10)),
        BuildAttempt("era", era, phases[4:], make_failure("second"), (10, 20)),
    )
    outcome = make_outcome(
        error=error, phases=phases, attempts=attempts, waits={"slot": 2.0, "token": 0.5}
    )

    (build,) = report(outcome)["builds"]

    first, second = build["attempts"]
    assert (first["reason"], first["era"], first["error"]["log_tail"]) == (None, None, "first")
    assert (second["reason"], second["era"]) == ("era", era.isoformat())
    assert second["error"]["log_tail"] == "second"
    names = [phase["name"] for each in (first, second) for phase in each["phases"]]
    assert names == [phase["name"] for phase in build["phases"]]
    assert build["waits"] == {"slot": 2.0, "token": 0.5, "directory": 1.0}
    assert build["queued_seconds"] == build["waits"]["slot"]


def test_log_tail__is_that_of_the_attempt_whose_error_is_told(tmp_path: Path) -> None:
    log, error = tmp_path / "log", make_failure("first")
    log.write_bytes(b"first\n-- once more --\nsecond\n")
    spans = {"": ((0, 6), error), "era": ((6, 30), make_failure("second"))}
    attempts = tuple(
        BuildAttempt(reason, None, (), why, span) for reason, (span, why) in spans.items()
    )

    assert tail_of(make_outcome(error=error, attempts=attempts, log=log)) == "first"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (OfflineError("offline", "setuptools", "this build"), "offline"),
        (ZeroDivisionError("of ours"), "unexpected"),
    ],
)
def test_json__the_end_of_a_run_stands_beside_the_builds(ending: BaseException, code: str) -> None:
    facts = report(make_outcome(), ending=ending)

    assert facts["error"]["code"] == code
    assert facts["totals"]["built"] == 1


def test_json__an_editable_wheel_is_a_wheel() -> None:
    (artifact,) = report(make_outcome(artifacts=(make_artifact(kind=Kind.EDITABLE),)))["artifacts"]

    assert (artifact["kind"], artifact["editable"]) == ("wheel", True)


def test_json__a_file_of_two_builds_is_one_artifact() -> None:
    outcome = make_outcome(artifacts=(make_artifact(),))

    assert len(report(outcome, outcome)["artifacts"]) == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("https://me:secret@host/a-1.tar.gz?token=secret#frag", "https://host/a-1.tar.gz#frag"),
        ("a @ https://token@host/a-1.tar.gz", "a @ https://host/a-1.tar.gz"),
        ("six==1.17.0", "six==1.17.0"),
    ],
)
def test_json__has_no_credentials(source: str, told: str) -> None:
    (build,) = report(make_outcome(source))["builds"]

    assert build["source"] == told


def test_json__has_every_path(tmp_path: Path) -> None:
    name = b"/work/\xff-\xe2\x82\xac.tar.gz".decode(errors="surrogateescape")

    write_json_report(tell([make_outcome(Path(name))]), tmp_path / "report.json")

    content = (tmp_path / "report.json").read_bytes()
    assert "€".encode() in content
    assert json.loads(content)["builds"][0]["source"] == name


def test_json__is_readable_as_a_report_of_pypa_build(tmp_path: Path) -> None:
    project = ROOT / "fixtures" / "projects" / "minimal"
    theirs, ours = tmp_path / "theirs.json", tmp_path / "ours.json"
    output = str(tmp_path / "out")
    common = [str(project), "--sdist", "--wheel", "-o", output, "-n", "-x", "--report"]
    cache = ["--cache-dir", str(tmp_path / "cache"), "--no-index"]
    for words in (["build", *common, str(theirs)], ["wheelforge", *common, str(ours), *cache]):
        command = [sys.executable, "-m", *words]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)

    expected, found = (json.loads(path.read_bytes()) for path in (theirs, ours))

    check(found)
    digests = [
        sha256((tmp_path / "out" / each["name"]).read_bytes()) for each in found["artifacts"]
    ]
    for artifact, digest in zip(expected["artifacts"], digests, strict=True):
        artifact["hashes"]["sha256"] = digest.hexdigest()  # which tells when it was built
    assert found["schema"] == SCHEMA
    assert found["version"] == expected["version"]
    assert expected.keys() <= found.keys()
    assert len(expected["artifacts"]) == 2
    for wanted, artifact in zip(expected["artifacts"], found["artifacts"], strict=True):
        assert {name: artifact[name] for name in wanted} == wanted


def test_json__a_failed_write_leaves_the_old_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old", encoding="utf-8")
    unspeakable: Any = make_outcome(notes=(b"no text",))

    with pytest.raises(TypeError):
        write_json_report(tell([unspeakable]), path)

    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_junit__has_a_case_for_each_build_and_counts_them(tmp_path: Path) -> None:
    suite = junit(
        tmp_path,
        make_outcome(phases=make_phases(MOMENT, 2.5), notes=("a note",)),
        make_outcome(is_resumed=True),
        make_outcome(error=make_failure("cc: no such file")),
        make_outcome(error=OfflineError("offline", "setuptools", "this build")),
        tail="the last line",
    )

    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "2.500"}
    assert {each.tag for each in suite} == {"testcase"}
    assert suite.get("timestamp") == "2026-09-21T14:13:20"
    built, resumed, failed, offline = suite
    assert (built.get("name"), built.get("classname")) == ("demo-1.0.tar.gz", "python 3_11_9")
    assert (built.get("time"), built.findtext("system-out")) == ("2.500", "a note")
    assert [each.tag for each in resumed] == ["properties", "skipped"]
    (failure,) = failed.iter("failure")
    assert failure.get("type") == "backend-failed"
    assert (failure.get("message") or "").startswith("building the wheel has failed")
    assert "cc: no such file" in (failed.findtext("failure") or "")
    assert failed.findtext("system-err") == "the last line"
    assert [each.get("type") for each in offline.iter("error")] == ["offline"]


def test_junit__has_properties_and_the_time_that_was_waited(tmp_path: Path) -> None:
    phases = [make_phases(MOMENT + start, 4.0) for start in (0, 1)]
    artifact, log = make_artifact(), Path("/work/logs/demo.log")
    outcomes = [make_outcome(phases=each, artifacts=(artifact,), log=log) for each in phases]

    suite = junit(tmp_path, *outcomes)

    assert suite.get("time") == "5.000"
    properties = {each.get("name"): each.get("value") for each in suite[0].iter("property")}
    assert properties["wheel"] == str(artifact.path)
    assert (properties["wheel.sha256"], properties["log"]) == (artifact.sha256, str(log))


def test_junit__escapes_hostile_text(tmp_path: Path) -> None:
    error = make_failure(HOSTILE, source=HOSTILE)

    suite = junit(tmp_path, make_outcome(error=error, notes=(HOSTILE, "\x00\ufffe")), tail=HOSTILE)

    (case,) = suite
    assert sorted(each.tag for each in case) == [
        *("failure", "properties", "system-err", "system-out")
    ]
    assert "</script>" in (case.findtext("system-err") or "")
    assert len(list(suite.iter())) == 7


def test_log_tail__is_two_hundred_lines_and_safe_to_show(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [f"line {number}".encode() for number in range(1000)]
    lines[-2:] = [b"10%\r50%\r100%\r", b"\x1b[31mred\x1b[0m \xff \x00 \xe2\x80\xae end"]
    log.write_bytes(b"\r\n".join(lines) + b"\n\n")

    tail = read_tail(log).split("\n")

    assert len(tail) == 200
    assert tail[0] == "line 800"
    assert tail[-2:] == ["100%", "red \ufffd  \\u202e end"]


def test_log_tail__reads_only_the_end_of_a_huge_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, 2)
        file.write(b"\nthe last line\n")

    assert read_tail(log) == "the last line"


def test_log_tail__of_an_absent_log_is_empty(tmp_path: Path) -> None:
    assert (read_tail(tmp_path / "gone"), read_tail(None)) == ("", "")


def test_events__can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with EventStream(path) as stream:
        for number in range(3):
            stream.on_event(BuildEvent(kind="note", build="demo", text=f"\u20ac\n\udcff{number}"))

            lines = path.read_text(encoding="utf-8").splitlines()
            assert json.loads(lines[-1])["text"] == f"\u20ac\n\udcff{number}"
            assert len(lines) == number + 2
            check_event(json.loads(lines[-1]))


def test_events__of_parallel_builds_are_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events"

    def tell_much(stream: EventStream, label: str) -> None:
        for _ in range(200):
            stream.on_event(BuildEvent(kind="output", build=label, text=label * 5000))

    with EventStream(path) as stream:
        threads = [threading.Thread(target=tell_much, args=(stream, label)) for label in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    _, *events = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(events) == 800
    assert all(event["text"] == event["build"] * 5000 for event in events)


def test_events__after_the_end_are_not_written(tmp_path: Path) -> None:
    with EventStream(tmp_path / "events") as stream:
        pass

    stream.on_event(BuildEvent(kind="note", build="demo"))

    assert (tmp_path / "events").read_bytes().count(b"\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_events__a_full_disk_is_an_error_only_at_the_end() -> None:
    stream = EventStream(Path("/dev/full"))
    stream.on_event(BuildEvent(kind="note", build="demo"))
    stream.on_event(BuildEvent(kind="note", build="demo"))

    with pytest.raises(ForgeError) as told:
        stream.close()

    assert told.value.code == "disk-full"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_events__a_full_disk_does_not_hide_the_first_error() -> None:
    def be_interrupted() -> None:
        with EventStream(Path("/dev/full")) as stream:
            stream.on_event(BuildEvent(kind="note", build="demo"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
