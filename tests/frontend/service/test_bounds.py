"""The bounds of a server that lives for long: it keeps so much, and no more."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.service import PLAIN, Service, until
from wheelforge.service.retention import find_surplus, limit_log, remove_oldest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks")
PROGRAM = """
import wheelforge.cli
from wheelforge.service import depot, retention, server
depot.Bounds.__new__.__defaults__ = ({servers}, {idle}, {age}, {loans}, {memory})
retention.Retention.__new__.__defaults__ = (
    {runs}, {requests}, {artifact_bytes}, {log_bytes}, {run_bytes}, {wheel_bytes}, {waiting},
    {in_use}, {sets}
)
server._SWEEP_SECONDS = 0.0
wheelforge.cli.run()
"""
USUAL = {
    "servers": 8,
    "idle": 600.0,
    "age": 3600.0,
    "loans": 500,
    "memory": 1 << 30,
    "runs": 1000,
    "requests": 10_000,
    "artifact_bytes": 1 << 30,
    "log_bytes": 1 << 20,
    "run_bytes": 1 << 30,
    "wheel_bytes": 1 << 30,
    "waiting": 100,
    "in_use": 0.0,
    "sets": 1000,
}


@contextlib.contextmanager
def serving_within(ground: Ground, **bounds: float) -> Generator[Service]:
    """Yield a server with other bounds."""
    words = ground.words("serve", "--no-index", "-f", ground.links)
    command = [sys.executable, "-c", PROGRAM.format(**{**USUAL, **bounds}), *map(str, words)]
    process = subprocess.Popen(command, env=PLAIN, stderr=subprocess.PIPE, text=True)
    path = ground.cache / "service-v1" / "socket"
    with process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "listening" in line, line
        try:
            yield Service(ground=ground, process=process, socket=path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def count_backends(service: Service) -> int:
    kept: int = service.ask("GET", "/api/v1/server")[1]["backends"]["kept"]
    return kept


def build_with(service: Service, sdist: Path, out: Path) -> str:
    """Return what the wheel says of the process that had the backend imported."""
    done = service.run(sdist, "-o", out, "--no-reuse", "--server-required")
    with zipfile.ZipFile(done.paths[0]) as wheel:
        found = re.findall(r'"imported": ("?[^,}]+)', wheel.read("willing_facts.json").decode())
    return str(found[0])


def test_backends__have_an_idle_time(ground: Ground, tmp_path: Path) -> None:
    with serving_within(ground, idle=0.5) as service:
        build_with(service, write_sdist(tmp_path), tmp_path / "out")

        until(lambda: count_backends(service) == 0)


@pytest.mark.parametrize("bound", [{"loans": 2}, {"age": 0.0}])
def test_backends__have_an_age_and_a_number_of_uses(
    ground: Ground, tmp_path: Path, bound: dict[str, float]
) -> None:
    sdist = write_sdist(tmp_path)
    with serving_within(ground, **bound) as service:
        found = [build_with(service, sdist, tmp_path / f"{number}") for number in range(4)]

    assert len(set(found)) == (2 if "loans" in bound else 4)


def test_backends__are_so_many_at_most(ground: Ground, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path)
    with serving_within(ground, servers=1) as service:
        for umask in (0o022, 0o027, 0o077):
            service.run(sdist, "-o", tmp_path / "out", "--no-reuse", umask=umask)
            assert count_backends(service) <= 1


def test_backends__have_so_much_memory_together(ground: Ground, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path)
    with serving_within(ground, memory=1) as service:
        for umask in (0o022, 0o027, 0o077):
            service.run(sdist, "-o", tmp_path / "out", "--no-reuse", umask=umask)
            assert count_backends(service) == 1


def test_runs_and_requests__are_forgotten_with_all_that_is_theirs(
    ground: Ground, tmp_path: Path
) -> None:
    bad = write_sdist(tmp_path, name="bad", build_wheel="raise SystemExit('no')")
    with serving_within(ground, runs=2, requests=3) as service:
        good = [service.build(write_sdist(tmp_path, name=f"good{n}")) for n in range(3)]
        for number in good:
            service.wait(number)
        again = [service.build(bad) for _ in range(5)]
        service.wait(again[0])
        more = [service.build(bad) for _ in range(5)]  # remembered: no further run

        until(lambda: service.ask("GET", f"/api/v1/builds/{again[0]}")[0] == 404)

        known = [service.ask("GET", f"/api/v1/builds/{each}")[0] for each in more]
        assert known[-3:] == [200, 200, 200]
        assert len(service.ask("GET", "/api/v1/builds")[1]["builds"]) == 2
        assert len(names_in(service.home / "runs")) == 2


def test_artifacts__have_so_many_bytes_the_oldest_go_first(ground: Ground, tmp_path: Path) -> None:
    code = "files['ballast'] = __import__('random').randbytes(100_000).hex()"
    with serving_within(ground, artifact_bytes=400_000) as service:
        found: list[str] = []
        for number in range(4):
            sdist = write_sdist(tmp_path, name=f"large{number}", build_wheel=code)
            build = service.wait(service.build(sdist))
            assert build["verdict"] == "built", build["error"]
            found.append(build["artifacts"][0]["url"])

        until(lambda: service.fetch("GET", found[0])[0] == 404)

        assert service.fetch("GET", found[-1])[0] == 200


def test_artifacts__are_looked_at_without_a_list_of_them(tmp_path: Path) -> None:
    for number in range(2000):
        place = tmp_path / f"{number:04}"
        place.mkdir()
        (place / "demo-1.0-py3-none-any.whl").touch()
    bounds = tmp_path, 1 << 30
    find_surplus(*bounds, 0.0)  # for modules and values that stay

    tracemalloc.start()
    remove_oldest(*bounds)
    assert find_surplus(*bounds, 0.0) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100_000
    assert len(list(tmp_path.iterdir())) == 2000


@pytest.mark.parametrize("most", [0, 1, 3, 4, 5, 9])
def test_artifacts__no_more_go_than_have_to(tmp_path: Path, most: int) -> None:
    kept = 1 << 13
    order = [3, 1, 4, 0, 2]
    for number in order:
        (tmp_path / f"{number}").write_bytes(b"x")
        os.utime(tmp_path / f"{number}", (number, number))

    found = find_surplus(tmp_path, most * kept, 4.0)

    surplus = range(max(len(order) - most, 0))
    assert [path.name for path in found] == [str(number) for number in surplus if number < 4]


def test_output__of_one_build_is_bounded(ground: Ground, tmp_path: Path) -> None:
    code = "[print('x' * 1000) for _ in range(300)]"
    with serving_within(ground, log_bytes=20_000) as service:
        number = service.build(write_sdist(tmp_path, build_wheel=code))
        build = service.wait(number)
        _, _, log = service.fetch("GET", f"/api/v1/builds/{number}/log")
        _, _, events = service.fetch("GET", f"/api/v1/builds/{number}/events")

    assert build["verdict"] == "built"
    assert len(log) < 20_000
    assert events.count(b"output beyond 20000 bytes is left out") == 1
    assert events.splitlines()[-2].count(b'"finished"') == 1


def test_logs__of_all_builds_have_so_many_bytes_the_oldest_go_first(
    ground: Ground, tmp_path: Path
) -> None:
    code = "print('x' * 100_000)"
    with serving_within(ground, run_bytes=500_000) as service:
        numbers = [
            service.build(write_sdist(tmp_path, name=f"loud{number}", build_wheel=code))
            for number in range(4)
        ]
        for number in numbers:
            service.wait(number)

        until(lambda: service.ask("GET", f"/api/v1/builds/{numbers[0]}")[0] == 404)

        assert service.ask("GET", f"/api/v1/builds/{numbers[-1]}")[0] == 200
        assert len(names_in(service.home / "runs")) in {1, 2}


@pytest.mark.parametrize("kind", ["wheels", "files"])
def test_index__keeps_so_many_bytes_of_files(ground: Ground, kind: str) -> None:
    with serving_within(ground, wheel_bytes=300_000) as service:
        place = service.home / kind
        for number in range(4):
            directory = place / f"{number}" if kind == "wheels" else place
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"file{number}").write_bytes(bytes(100_000))

        until(lambda: len(names_in(place)) <= 3)

        assert "3" in names_in(place)[-1]


def test_queue__is_so_long_at_most(ground: Ground, tmp_path: Path) -> None:
    code = "import time; time.sleep(30)"
    sdists = [write_sdist(tmp_path, name=f"p{n}", build_wheel=code) for n in range(4)]
    with serving_within(ground, waiting=3) as service:
        numbers = [service.build(sdist) for sdist in sdists[:3]]
        document = {"source": str(sdists[3]), "detach": True}

        status, problem = service.ask("POST", "/api/v1/builds", document)

        assert (status, problem["code"]) == (429, "queue-full")
        for number in numbers:
            service.ask("DELETE", f"/api/v1/builds/{number}")
        until(lambda: service.ask("POST", "/api/v1/builds", document)[0] == 202)
        service.ask("POST", "/api/v1/server/stop", {})


def test_background_log__is_moved_when_it_is_too_large(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as appending:
        for number in range(50):
            appending.write(f"line {number}\n".encode())
            limit_log(log, 100)
        appending.write(b"the last\n")

    assert log.read_bytes().endswith(b"the last\n")
    assert log.stat().st_size < 200
    assert (tmp_path / "log.1").stat().st_size == 100
    assert names_in(tmp_path) == ["log", "log.1"]


def test_api_builds__have_the_usual_limits_whatever_the_server_has(
    ground: Ground, tmp_path: Path
) -> None:
    code = (
        "import resource as r; names = ('NOFILE', 'CORE', 'CPU', 'STACK');"
        "files['limits'] = repr([r.getrlimit(getattr(r, f'RLIMIT_{n}'))[0] for n in names])"
    )
    resource = pytest.importorskip("resource", reason="this platform has no limits")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(600, limits[0][1]), limits[0][1]))
    resource.setrlimit(resource.RLIMIT_CPU, (3000, limits[1][1]))
    try:
        with serving_within(ground) as service:
            number = service.build(
                write_sdist(tmp_path, build_wheel=code), output=str(tmp_path / "out")
            )
            assert service.wait(number)["verdict"] == "built"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits[0])
        resource.setrlimit(resource.RLIMIT_CPU, limits[1])

    (wheel,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        found = archive.read("limits").decode()
    hard = [resource.getrlimit(each)[1] for each in (resource.RLIMIT_STACK, resource.RLIMIT_CPU)]
    stack = 8 << 20 if hard[0] == -1 else min(8 << 20, hard[0])
    assert found == f"[1024, 0, {hard[1]}, {stack}]"
