"""Reports as the command line is asked for them."""

# ruff: file-ignore[any-type]

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import write_project
from tests.support.forge import Place
from tests.support.reports import check, check_event

_ALL = ("report", "events", "junit", "html")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(path=tmp_path)


def words(place: Place, *names: str) -> list[str]:
    """Return the options that ask for these reports, each in a file of its name."""
    return ["--no-index", "-w", "-o", str(place.path / "out")] + [
        f"--{name}={place.path / name}" for name in names
    ]


def project(place: Place, name: str = "demo", **code: Any) -> Path:
    return write_project(place.path / name, name=name, own=True, **code)


def read(place: Place) -> Any:
    """Return the report, which the schema allows."""
    facts = json.loads((place.path / "report").read_bytes())
    check(facts)
    return facts


def read_events(place: Place) -> list[Any]:
    lines = (place.path / "events").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_reports__are_about_what_was_built(place: Place) -> None:
    done = place.run(project(place), *words(place, *_ALL))

    facts = read(place)
    assert [artifact["path"] for artifact in facts["artifacts"]] == list(map(str, done.paths))
    (build,) = facts["builds"]
    assert (build["outcome"], facts["error"]) == ("built", None)
    assert {"isolate", "build wheel", "deliver"} <= {phase["name"] for phase in build["phases"]}
    assert '<testcase classname="python 3_' in (place.path / "junit").read_text(encoding="utf-8")
    assert "demo-1.0-py3-none-any.whl" in (place.path / "html").read_text(encoding="utf-8")


def test_events__are_valid_and_end_with_the_build(place: Place) -> None:
    place.run(project(place, build_wheel="print('hello')"), *words(place, "events"))

    events = read_events(place)
    for event in events:
        check_event(event)
    first, *_, finished, outcome, last = events
    assert (first["kind"], first["schema"]) == ("run", 1)
    assert "hello\n" in [event["text"] for event in events if event["kind"] == "output"]
    assert (finished["kind"], finished["phase"]) == ("finished", "")
    assert [Path(path).name for path in outcome["artifacts"]] == finished["artifacts"]
    assert (outcome["kind"], outcome["text"], last["kind"]) == ("outcome", "built", "summary")


def test_events__builds_of_one_name_have_different_ids(place: Place) -> None:
    sources = [project(place, f"{name}/demo") for name in ("d1", "d2")]
    for source in sources:
        path = source / "pyproject.toml"
        text = path.read_text(encoding="utf-8").replace(f'"{source.parent.name}/demo"', '"demo"')
        path.write_text(text, encoding="utf-8")

    place.run(*sources, *words(place, "events", "report"))

    events = [event for event in read_events(place) if event["build"]]
    assert {event["build"] for event in events} == {"demo"}
    queued = [event["id"] for event in events if event["kind"] == "queued"]
    assert queued == [build["id"] for build in read(place)["builds"]] or len(set(queued)) == 2
    assert {event["id"] for event in events} == set(queued)


def test_report__tells_how_it_was_called_without_credentials(place: Place) -> None:
    index = "https://me:secret@host.invalid/simple/"
    job = {"CI_JOB_URL": "https://ci.invalid/7", "CI_COMMIT_SHA": "ab" * 20}

    place.run(project(place), *words(place, "report"), "-j", "3", "--index-url", index, **job)

    run = read(place)["run"]
    assert "secret" not in json.dumps(run)
    assert "https://host.invalid/simple/" in run["argv"]
    assert (run["jobs"], run["requested"]) == (3, [str(place.path / "demo")])
    assert (run["cache_dir"], run["machine"]) == (str(place.layout.root), platform.machine())
    assert run["ci"] == {"url": job["CI_JOB_URL"], "commit": job["CI_COMMIT_SHA"]}


def test_report__has_the_options_of_one_build_however_they_are_spelled(place: Place) -> None:
    source = project(place)
    spelled = ["-j3", "-wqC", "a=1", "--no-index", f"-o{place.path / 'out'}", "--keep-going"]

    place.run(source, *words(place, "report"), *spelled, WHEELFORGE_TIMEOUT="10m")

    found = read(place)["run"]["options"]
    place.run(source, *found)
    assert {"--wheel", "--no-index", "--config-setting", "--quiet"} < set(found)
    assert not {"-j3", "--jobs", "--keep-going", "--report", str(source)} & set(found)
    assert found[found.index("--timeout") + 1] == "600.0"
    assert [path.suffix for path in (place.path / "out").iterdir()] == [".whl"]


def test_reports__have_a_failed_build_with_the_end_of_its_log(place: Place) -> None:
    source = project(place, build_wheel="print('the last words', flush=True); raise SystemExit(3)")

    assert place.run(source, *words(place, *_ALL)).code == 4
    (build,) = read(place)["builds"]
    assert (build["outcome"], build["error"]["code"]) == ("failed", "backend-failed")
    for name in ("junit", "html"):
        assert "the last words" in (place.path / name).read_text(encoding="utf-8")
    failed = [event for event in read_events(place) if event["kind"] == "failed"]
    assert (failed[-1]["phase"], failed[-1]["error"]) == ("", "backend-failed")


def test_reports__of_a_batch_have_failures_and_results(place: Place) -> None:
    sources = [project(place, "good"), project(place, "bad", build_wheel="raise SystemExit(1)")]

    assert place.run(*sources, *words(place, "report")).code == 1
    outcomes = {build["label"]: build["outcome"] for build in read(place)["builds"]}
    assert outcomes == {"good": "built", "bad": "failed"}


def test_reports__of_an_interrupted_run_have_the_ended_builds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wheelforge.cli.commands.build_alone", interrupt)

    assert place.run(project(place), *words(place, *_ALL)).code == 130
    facts = read(place)
    assert (facts["error"]["code"], facts["builds"]) == ("interrupted", [])
    assert (place.path / "html").exists()
    assert (place.path / "junit").exists()


def test_reports__are_written_after_ctrl_c(place: Place) -> None:
    slow = project(place, "slow", build_wheel="import time; time.sleep(600)")
    command = [sys.executable, "-m", "wheelforge", project(place, "good"), slow, "-j", "1"]

    with subprocess.Popen(
        [*map(str, command), *words(place, "report")],
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        built = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate()

    facts = read(place)
    assert process.returncode == 130
    assert facts["error"]["code"] == "interrupted"
    assert [artifact["path"] for artifact in facts["artifacts"]] == [built.strip()]


def test_reports__have_the_error_that_ended_the_run(place: Place) -> None:
    done = place.run(project(place), *words(place, "report"), "-p", "3.99")

    assert (done.code, done.error) == (2, "interpreter-not-found")
    assert read(place)["error"]["code"] == "interpreter-not-found"


@pytest.mark.parametrize("name", _ALL)
def test_reports__an_absent_directory_is_refused_before_building(place: Place, name: str) -> None:
    done = place.run(project(place), *words(place), f"--{name}", place.path / "none" / "file")

    assert (done.code, done.error) == (2, "option-invalid")
    assert f"`--{name}` cannot be used: there is no directory" in done.err
    assert not (place.path / "out").exists()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("-", "standard output has the paths of the results"),
        ("out.d", "is a directory"),
        ("pipe", "is no file"),
        ("events", "`--events` goes to the same file"),
    ],
)
def test_reports__refuse_a_path_that_cannot_be_written(
    place: Place, target: str, reason: str
) -> None:
    (place.path / "out.d").mkdir()
    os.mkfifo(place.path / "pipe")

    done = place.run(project(place), *words(place, "events"), "--report", place.path / target)

    assert (done.code, done.error) == (2, "option-invalid")
    assert reason in done.err
    assert not (place.path / "out").exists()


def test_reports__are_refused_with_metadata(place: Place) -> None:
    done = place.run(project(place), *words(place, "report"), "--metadata")

    assert (done.code, done.error) == (2, "option-invalid")


def test_events__survive_a_pipe_whose_reader_leaves(place: Place) -> None:
    os.mkfifo(place.path / "events")
    heard: list[str] = []

    def look() -> None:
        with (place.path / "events").open(encoding="utf-8") as file:
            heard.append(file.readline())

    reader = threading.Thread(target=look)
    reader.start()
    done = place.run(project(place), *words(place, "events"))
    reader.join()

    assert done.code == 0
    assert json.loads(heard[0])["kind"] == "run"


def test_reports__one_failed_write_does_not_keep_others_back(place: Place) -> None:
    gone = place.path / "gone"
    gone.mkdir()
    source = project(place, build_wheel=f"import os; os.rmdir({str(gone)!r})")

    done = place.run(source, *words(place, "junit", "html"), f"--report={gone / 'file'}")

    assert done.code == 5 or done.error == "file-missing"
    assert (place.path / "junit").exists()
    assert (place.path / "html").exists()


def test_reports__are_not_imported_unless_asked_for(place: Place) -> None:
    telling = ["env", "PYTHONPROFILEIMPORTTIME=1"]

    without = place.call(project(place), *words(place), before=telling)
    asked = place.call(project(place), *words(place, "report"), before=telling)

    assert (without.code, asked.code) == (0, 0)
    assert "wheelforge.report" not in without.err
    assert "wheelforge.report" in asked.err
