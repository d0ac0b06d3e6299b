"""The life of a server: one for each cache, found when it is there, and survived when it dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.forge import Done
from tests.support.service import finish, serving, start_client, until
from wheelforge.service.queue import Queue, Run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def control(ground: Ground, *words: str) -> Done:
    """Give a command about the server of a cache."""
    done = subprocess.run(
        [sys.executable, "-m", "wheelforge", *words, "--cache-dir", str(ground.cache)],
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def test_server__is_one_for_each_cache_and_says_where(ground: Ground) -> None:
    with serving(ground) as service:
        second = finish(start_client(ground, "serve"))
        status = json.loads(control(ground, "server", "status", "--json").out)
        text = control(ground, "server", "status").out

        assert (second.code, second.error) == (5, "server-running")
        assert service.address in second.err
        assert (status["pid"], status["address"]) == (service.process.pid, service.address)
        assert service.address in text
        assert service.process.poll() is None


def test_servers__that_start_at_once_are_one(ground: Ground) -> None:
    processes = [start_client(ground, "serve") for _ in range(4)]
    try:
        until(lambda: sum(each.poll() is not None for each in processes) == len(processes) - 1)
        (winner,) = [each for each in processes if each.poll() is None]
        assert winner.stderr is not None
        assert "listening" in winner.stderr.readline()
        status = json.loads(control(ground, "server", "status", "--json").out)

        assert status["pid"] == winner.pid
        for each in processes:
            if each is not winner:
                done = finish(each)
                assert (done.code, done.error) == (5, "server-running")
    finally:
        for each in processes:
            each.terminate()
            each.communicate()


@pytest.mark.parametrize("words", [("server", "status"), ("server", "stop")])
def test_questions__never_start_a_server(ground: Ground, words: tuple[str, ...]) -> None:
    done = control(ground, *words)

    assert (done.code, done.error) == (5, "server-absent")
    assert not (ground.cache / "service-v1").exists()


def test_stop__is_over_when_the_server_is(ground: Ground) -> None:
    with serving(ground) as service:
        done = control(ground, "server", "stop")

        assert done.code == 0, done.err
        assert not (service.home / "server.json").exists()
        assert not service.socket.exists()
        service.process.wait(5)
    with serving(ground) as service:  # a new one at once
        assert service.fetch("GET", "/healthz")[0] == 200


def test_stop__with_drain_finishes_and_without_leaves_the_rest_to_the_next(
    ground: Ground, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'a').write('x'); import time; time.sleep(1)"
    sdist = write_sdist(tmp_path, build_wheel=code)
    with serving(ground, "--no-index", "-f", str(ground.links)) as service:
        first = service.build(sdist, output=str(tmp_path / "a"))
        until(mark.exists)
        assert control(ground, "server", "stop", "--drain").code == 0
        assert len(names_in(tmp_path / "a")) == 1
    with serving(ground, "--no-index", "-f", str(ground.links)) as service:
        assert service.ask("GET", f"/api/v1/builds/{first}")[1]["verdict"] == "built"
        other = write_sdist(tmp_path, version="2.0", build_wheel=code)
        second = service.build(other, output=str(tmp_path / "b"))
        until(lambda: mark.read_text() == "xx")
        assert control(ground, "server", "stop").code == 0
        assert names_in(tmp_path / "b") == []
    with serving(ground, "--no-index", "-f", str(ground.links)) as service:
        assert service.wait(second)["verdict"] == "built"
        assert len(names_in(tmp_path / "b")) == 1


def test_server__ends_when_nobody_has_been_there_for_long(ground: Ground, tmp_path: Path) -> None:
    with serving(ground, "--idle", "2") as service:
        sdist = write_sdist(tmp_path, build_wheel="import time; time.sleep(4)")
        done = service.run(sdist, "-o", tmp_path / "out")

        assert done.code == 0
        assert service.process.poll() is None
        assert service.process.wait(15) == 0


def test_sockets__let_nobody_else_through_whatever_the_umask(ground: Ground) -> None:
    with serving(ground, umask=0) as service:
        sockets = [service.socket, service.socket.with_name("socket.run")]
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (*sockets, service.home)]

        assert modes == [0o600, 0o600, 0o700]


def test_socket__in_a_directory_that_others_may_enter_is_refused(
    ground: Ground, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)

    refused = [
        finish(start_client(ground, "serve", "--socket", path / "s"))
        for path in (shared, tmp_path / "link", tmp_path / ("x" * 120))
    ]

    assert {(each.code, each.error) for each in refused} == {(2, "socket-invalid")}


def test_killed_server__its_queue_is_taken_up_and_nothing_is_built_twice(
    ground: Ground, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    code = "import os, time; open({mark!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(1)"
    sdists = [
        write_sdist(tmp_path, name=f"p{n}", build_wheel=code.format(mark=str(marks / f"p{n}")))
        for n in range(5)
    ]
    words = ("-j", "1", "--no-index", "-f", str(ground.links))
    with serving(ground, *words) as service:
        numbers = [service.build(sdist, output=str(tmp_path / "out")) for sdist in sdists]
        service.wait(numbers[0])
        until((marks / "p1").exists)
        service.process.kill()
        service.process.wait()
        hook = (marks / "p1").read_text().split()[0]
        until(lambda: not Path("/proc", hook).exists(), 2)
    with serving(ground, *words) as service:
        verdicts = [service.wait(number)["verdict"] for number in numbers]

    counts = [len((marks / f"p{n}").read_text().split()) for n in range(5)]
    assert verdicts == ["built"] * 5
    assert counts == [1, 2, 1, 1, 1]  # the second was at work, and is not whole before
    assert len(names_in(tmp_path / "out")) == 5


def test_server__ends_on_a_signal_and_leaves_no_process(ground: Ground, tmp_path: Path) -> None:
    with serving(ground) as service:
        service.run(write_sdist(tmp_path), "-o", tmp_path / "out")
        service.process.send_signal(signal.SIGTERM)

        assert service.process.wait(15) == 0
        until(lambda: not find_processes(str(ground.cache)), 5)


def find_processes(text: str) -> list[str]:
    """Return the processes that have ``text`` in their command line."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def make_run(name: str, **facts: Any) -> Run:  # ruff: ignore[any-type]
    run = Run(name, name, "build", name, {}, "a", 20, "queued", time.time())
    return run._replace(**facts)


def test_queue__priorities_age_and_clients_have_equal_shares(tmp_path: Path) -> None:
    queue, now = Queue(tmp_path / "queue"), time.time()
    queue.add_run(make_run("later", created=now))
    queue.add_run(make_run("urgent", priority=30, created=now))
    assert queue.choose({}) == queue.run("urgent")

    queue.add_run(make_run("patient", priority=0, created=now - 400))
    assert queue.choose({}) == queue.run("patient")

    queue.update("patient", state="done")
    queue.add_run(make_run("other", client="b", created=now))
    assert queue.choose({"a": 1}) == queue.run("other")
    queue.update("other", state="queued", not_before=now + 100)
    assert queue.choose({"a": 1}) == queue.run("urgent")
    queue.close()


def test_queue__forgets_all_but_the_last(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue")
    for number in range(5):
        queue.add_run(make_run(str(number), state="done", ended=float(number)))

    assert queue.remove_old(2) == ["2", "1", "0"]
    assert [run.id for run in queue.list_runs("done")] == ["4", "3"]
    queue.close()
