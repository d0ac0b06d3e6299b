"""Mishaps that a server survives: dead or stopped workers, no descriptors, names of bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, write_sdist
from tests.support.hooks import LINUX_ONLY
from tests.support.service import ONCE, PLAIN, Service, finish, serving, until
from wheelforge.cli import hosted
from wheelforge.service import wire
from wheelforge.service.home import Home
from wheelforge.service.runs import Runs
from wheelforge.service.wire import AsyncLine
from wheelforge.service.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

if sys.platform != "win32":
    import resource

pytestmark = LINUX_ONLY


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    ground = Ground.make(tmp_path)
    with serving(ground, "--no-index", "-f", str(ground.links), "-j", "1") as service:
        yield service


def find_child(pid: int) -> int:
    """Return the one process below another one."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(child)


def start_slow(service: Service, place: Path) -> tuple[str, int]:
    """Have a build begin whose hook waits; return its number, and the number of its worker."""
    mark = place / "mark"
    sdist = write_sdist(place, build_wheel=ONCE.format(mark=str(mark)))
    number = service.build(sdist)
    until(lambda: mark.exists() and mark.read_text())
    return number, find_child(find_child(service.process.pid))


def test_client__builds_by_itself_if_no_worker_can_be_had(service: Service, tmp_path: Path) -> None:
    os.kill(find_child(service.process.pid), signal.SIGKILL)
    service.process.wait(15)  # a server that cannot build any more ends

    done = service.run(write_sdist(tmp_path), "-o", tmp_path / "out")

    assert done.code == 0, done.err
    assert "it is done here" in done.err


def test_cancelled_build__ends_although_its_worker_stands_still(
    service: Service, tmp_path: Path
) -> None:
    number, worker = start_slow(service, tmp_path)
    os.kill(worker, signal.SIGSTOP)
    try:
        service.fetch("DELETE", f"/api/v1/builds/{number}")

        until(lambda: not service.ask("GET", "/api/v1/queue")[1]["running"], 15)
    finally:
        os.kill(worker, signal.SIGKILL)


def test_build__whose_result_cannot_be_kept_is_tried_again(
    service: Service, tmp_path: Path
) -> None:
    place = service.home / "artifacts"
    place.rmdir()
    place.touch()
    number = service.build(write_sdist(tmp_path))
    until(lambda: b"builds_retried_total 1" in service.fetch("GET", "/metrics")[2])

    place.unlink()
    place.mkdir()
    build = service.wait(number)

    assert (build["attempts"], len(build["artifacts"])) == (2, 1)
    assert service.fetch("GET", build["artifacts"][0]["url"])[0] == 200


def test_drain__does_not_wait_for_another_attempt(service: Service, tmp_path: Path) -> None:
    _, worker = start_slow(service, tmp_path)
    service.ask("POST", "/api/v1/server/stop?drain=1", {})
    time.sleep(0.5)

    os.kill(worker, signal.SIGKILL)

    assert service.process.wait(15) == 0


def test_server__without_descriptors_serves_again_once_there_are_some(
    service: Service, tmp_path: Path
) -> None:
    pid, address = service.process.pid, f"{service.socket}.run"
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    count = len(os.listdir(f"/proc/{pid}/fd"))  # ruff: ignore[os-listdir]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count + 3, limits[1]))
    lines = [socket.socket(socket.AF_UNIX) for _ in range(6)]
    for line in lines:
        line.connect(address)
    time.sleep(0.5)
    for line in lines:
        line.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    done = service.run(write_sdist(tmp_path), "-o", tmp_path / "out")

    assert (done.code, done.err.count("is done here")) == (0, 0), done.err


def test_command__may_name_files_that_are_not_unicode(service: Service, tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.tar.gz"))
    place.write_bytes(b"no archive")

    words = ["build", f"--cache-dir={service.ground.cache}", "--server", service.address]
    done = subprocess.run(
        [sys.executable, "-m", "wheelforge", *words, place],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=PLAIN,
    )

    assert "is done here" not in done.stderr, done.stderr
    assert done.stderr.startswith("error[")


def test_hooks__heed_signals_that_the_server_was_started_to_ignore(tmp_path: Path) -> None:
    code = "import signal; assert signal.getsignal(signal.SIGQUIT) is signal.SIG_DFL"
    sdist = write_sdist(tmp_path, build_wheel=code)
    with contextlib.ExitStack() as stack:
        before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # as `sh` does for `serve &`
        try:
            service = stack.enter_context(serving(Ground.make(tmp_path)))
        finally:
            signal.signal(signal.SIGQUIT, before)
        done = service.run(sdist, "-o", tmp_path / "out")

    assert done.code == 0, done.err


def test_command__that_is_cancelled_before_it_begins_is_not_begun(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def work(_: socket.socket, __: list[int]) -> NoReturn:
        mark.touch()
        os._exit(0)

    async def cancel_at_once() -> None:
        runs = Runs(home, zygote, jobs=1, cache=tmp_path)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            words = ["session", "/", "0", "", "utf-8", "strict", "1", "x"]
            active = runs.add_command(AsyncLine(ours), words, [])
            runs.cancel(active.run.id)
            await asyncio.sleep(0.3)
            assert runs.queue.count() == {"cancelled": 1}
        await runs.close(drain=False)

    home = Home.of(tmp_path)
    home.prepare()
    zygote = Zygote(lambda: None, work)
    try:
        asyncio.run(cancel_at_once())
    finally:
        zygote.close()
        os.waitpid(zygote.pid, 0)
    assert not mark.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed in /proc")
def test_server__ends_with_an_error_if_workers_can_no_longer_be_forked(tmp_path: Path) -> None:
    with serving(Ground.make(tmp_path)) as service:
        pid = service.process.pid
        zygote = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")

        os.kill(int(zygote), signal.SIGKILL)

        done = finish(service.process)
    assert (done.code, done.error) == (5, "server-failed")
    assert "the process that workers are forked from has ended" in done.err
    assert not (service.home / "server.json").exists()


def test_zygote__says_why_it_cannot_begin(capfd: pytest.CaptureFixture[str]) -> None:
    def prepare() -> None:
        raise ModuleNotFoundError("No module named 'obstacle'")

    zygote = Zygote(prepare, lambda _, __: os._exit(0))
    status = os.waitpid(zygote.pid, 0)[1]
    zygote.close()

    assert os.waitstatus_to_exitcode(status) == 70
    assert (
        "forked from: ModuleNotFoundError(\"No module named 'obstacle'\")" in capfd.readouterr().err
    )


def test_workers__are_prepared_without_extras() -> None:
    blocked = ("obstore", "cryptography", "dask", "distributed")
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))"
    code += "; from wheelforge.cli.hosted import prepare; prepare()"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_worker__whose_command_fails_unexpectedly_says_how(
    capfd: pytest.CaptureFixture[str],
) -> None:
    zygote = Zygote(lambda: None, hosted.work)
    with zygote.fork([]) as line:
        wire.send(line, ["a job", "that is none"])
        assert line.recv(1) == b""
    zygote.close()
    os.waitpid(zygote.pid, 0)

    assert "ValueError: not enough values to unpack" in capfd.readouterr().err
