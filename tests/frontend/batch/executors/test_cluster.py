"""Batches that a cluster on this machine builds: as one process does, whatever ends meanwhile."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import Yard, noting, read_lines
from tests.support.clusters import (
    KILL_WORKER,
    list_processes,
    need_distributed,
    open_scheduler,
    open_worker,
    wait_long,
)

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("dask")]

VARYING = {"started", "seconds", "phases", "waits", "queued_seconds", "cpu_seconds"} | {
    *("peak_memory", "attempts", "cause", "cache", "environment")
}
"""Facts of a build that differ from time to time."""


@pytest.fixture(scope="module")
def dask() -> None:
    need_distributed()


def read_builds(path: Path) -> dict[str, dict[str, Any]]:
    builds = json.loads(path.read_text(encoding="utf-8"))["builds"]
    facts = {each["label"]: {k: v for k, v in each.items() if k not in VARYING} for each in builds}
    for each in facts.values():
        if each["error"]:
            each["error"] = {k: v for k, v in each["error"].items() if k != "log_tail"}
            each["error"]["message"] = each["error"]["message"].partition("\n")[0]
    return facts


def test_cluster__tells_what_one_process_tells_though_a_worker_is_killed(tmp_path: Path) -> None:
    yard, log = Yard(place=tmp_path), tmp_path / "log"
    sdists = [yard.sdist(f"one{number}", noting(log)) for number in range(9)]
    killer = yard.sdist("killer", noting(log) + KILL_WORKER.format(place=str(tmp_path)))
    sdists += [killer, yard.sdist("broken", "raise RuntimeError('no')")]
    report, events = tmp_path / "report.json", tmp_path / "events"
    files = ("--report", report, "--events", events)

    code, _, err = yard.run(*sdists, "-j", "2", "--executor", "dask", *files)

    assert code == 1, err
    assert len(yard.results()) == 10
    assert sorted(read_lines(log)) == sorted([*(f"one{n}" for n in range(9)), *["killer"] * 2])
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    built = {line["build"] for line in lines if line["kind"] == "finished" and not line["phase"]}
    assert built == {path.name for path in sdists} - {"broken-1.0.tar.gz"}
    assert any(line["kind"] == "output" for line in lines)
    assert "1 of 11 builds failed" in err
    assert [path.name for path in (tmp_path / "cache" / "stage-v1").iterdir()] == [".git"]

    other = tmp_path / "other.json"
    yard.run(*sdists, "-j", "2", "--report", other, "-o", str(tmp_path / "again"), "--no-reuse")
    cluster, here = read_builds(report), read_builds(other)
    for builds in (cluster, here):
        for each in builds.values():
            each["artifacts"] = [artifact["hashes"] for artifact in each["artifacts"]]
    assert cluster == here


def start_slow(yard: Yard, place: Path, *words: str) -> tuple[Any, list[Path]]:
    """Start a batch of which a build is at work, and one is done."""
    slow = f"import time; open({str(place / 'slow')!r}, 'w').close(); time.sleep(300)"
    sdists = [yard.sdist("slow", slow), yard.sdist("quick", noting(place / "log"))]
    process = yard.start(*sdists, "-j", "2", *words)
    wait_long(lambda: (place / "slow").exists() and yard.results() == {"quick"})
    return process, sdists


def is_clean(place: Path) -> bool:
    return not list_processes(place)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.stress)]
)
def test_cluster__interrupted_leaves_no_process_and_no_stage(
    tmp_path: Path, number: signal.Signals
) -> None:
    yard = Yard(place=tmp_path)
    process, _ = start_slow(yard, tmp_path, "--executor", "dask")

    with process:
        process.send_signal(number)
        _, err = process.communicate()

    assert process.returncode == 130
    assert "1 built, 1 cancelled" in err
    assert list_processes(tmp_path) == []
    assert {path.name for path in (tmp_path / "cache" / "stage-v1").iterdir()} == {".git"}


@pytest.mark.stress
def test_cluster__coordinator_is_killed_and_resumed(tmp_path: Path) -> None:
    yard = Yard(place=tmp_path)
    process, sdists = start_slow(yard, tmp_path, "--executor", "dask")
    with process:
        process.kill()
    wait_long(lambda: is_clean(tmp_path))
    yard.sdist("slower", noting(tmp_path / "log"))
    (tmp_path / "links" / "slower-1.0.tar.gz").replace(sdists[0].with_name("late-1.0.tar.gz"))

    code, _, err = yard.run(
        sdists[1], sdists[0].with_name("late-1.0.tar.gz"), "--executor", "dask", "--resume"
    )

    assert code == 0, err
    assert read_lines(tmp_path / "log").count("quick") == 1
    assert "1 built, 1 kept" in err


@pytest.mark.stress
def test_cluster__a_lost_scheduler_is_one_error_and_the_batch_goes_on_later(
    tmp_path: Path,
) -> None:
    yard = Yard(place=tmp_path)
    with open_scheduler() as (address, scheduler), open_worker(yard, address, "-j", "2") as worker:
        words = ("--executor", "dask", "--scheduler", address)
        process, _ = start_slow(yard, tmp_path, *words)
        with process:
            scheduler.kill()
            _, err = process.communicate()
        wait_long(lambda: len(list_processes(tmp_path)) == 1)

        assert process.returncode == 5
        assert err.count("error[") == 1
        assert f"error[scheduler-lost]: the scheduler `{address}` was lost" in err
        assert "hint: the same command with `--resume`" in err
        assert worker.poll() is None

        port = address.rpartition(":")[2]
        with open_scheduler(port=int(port)):
            last = yard.sdist("last", noting(tmp_path / "log"))
            code, _, err = yard.run(last, *words)
        assert code == 0, err


@pytest.mark.stress
def test_cluster__no_worker_is_used_that_is_no_use_and_the_reason_is_told(
    tmp_path: Path,
) -> None:
    yard = Yard(place=tmp_path)
    sdist = yard.sdist("one")
    mask = "import wheelforge.version as v; v.VERSION = '99.0'"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(mask, encoding="utf-8")
    with open_scheduler() as (address, _):
        before = ("env", f"PYTHONPATH={site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        with open_worker(yard, address, before=before):
            words = ("--executor", "dask", "--scheduler", address)
            code, _, err = yard.run(sdist, *words)

    assert code == 5
    assert "is not used: it is wheelforge 99.0, and the batch is" in err
    assert "error[workers-absent]" in err


def test_cluster__overrides_and_constraints_count_there_too(tmp_path: Path) -> None:
    yard = Yard(place=tmp_path)
    code = f"import os; open({str(tmp_path / 'log')!r}, 'a').write(os.environ['MARK'] + '\\n')"
    sdist = yard.sdist("one", code)
    overrides = tmp_path / "overrides.toml"
    overrides.write_text(
        '[[package]]\nname = "one"\nreason = "r"\nenvironment = { MARK = "there" }\n',
        encoding="utf-8",
    )

    done, _, err = yard.run(sdist, "--executor", "dask", "--overrides", overrides, "-j", "1")

    assert done == 0, err
    assert read_lines(tmp_path / "log") == ["there"]
