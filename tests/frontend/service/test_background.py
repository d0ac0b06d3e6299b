"""Servers in the background, and servers that a service manager has started for a client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.service import PLAIN_PROCESS, Service, finish, start_client, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks")
ACTIVATOR = """
import os, socket, sys
for number, path in enumerate(sys.argv[1].split(os.pathsep), 3):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    os.dup2(listener.detach(), number)
    os.set_inheritable(number, True)
os.environ.update(LISTEN_FDS=str(number - 2), LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "wheelforge", *sys.argv[2:]])
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def read_record(ground: Ground) -> dict[str, object]:
    found: dict[str, object] = json.loads((ground.cache / "service-v1/server.json").read_bytes())
    return found


def is_there(pid: object) -> bool:
    return Path("/proc", str(pid)).exists()


def test_detached_server__is_ready_when_its_starter_ends(ground: Ground, tmp_path: Path) -> None:
    done = finish(start_client(ground, "serve", "--detach"))  # at the end of all its output

    record = read_record(ground)
    pid = int(str(record["pid"]))
    try:
        log = ground.cache / "service-v1/server.log"
        assert (done.code, done.out) == (0, "")
        assert f"listening on {record['address']}" in done.err
        assert f"log: `{log}`" in done.err
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
        for number in (1, 2):
            assert Path(f"/proc/{pid}/fd/{number}").resolve() == log
        build = start_client(
            ground, write_sdist(tmp_path), "-o", tmp_path / "out", "--server-required",
            "--server", str(record["address"]),
        )  # fmt: skip
        assert finish(build).code == 0
        assert len(names_in(tmp_path / "out")) == 1
    finally:
        stopped = subprocess.run(
            [sys.executable, "-m", "wheelforge", "server", "stop", "--cache-dir", ground.cache],
            check=False,
        )
    assert stopped.returncode == 0
    until(lambda: not is_there(pid))


def test_detached_server__that_cannot_start_says_why_to_its_starter(ground: Ground) -> None:
    words = ("--listen", "192.0.2.1:1")

    done = finish(start_client(ground, "serve", "--detach", *words))

    assert (done.code, done.error) == (5, "server-failed")
    assert "in the background" not in done.err
    assert not (ground.cache / "service-v1/server.json").exists()


@pytest.mark.parametrize("suffixes", [[""], ["", ".run"]])
def test_activated_server__takes_the_sockets_it_is_given_and_leaves_them(
    ground: Ground, tmp_path: Path, suffixes: list[str]
) -> None:
    place = tmp_path / "sockets"
    place.mkdir(0o700)
    path = place / "socket"
    paths = os.pathsep.join(f"{path}{suffix}" for suffix in suffixes)
    words = [paths, *map(str, ground.words("serve"))]
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATOR, *words],
        env=PLAIN_PROCESS,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"listening on unix:{path}" in line, line
        service = Service(ground=ground, process=process, socket=path)

        done = service.run(write_sdist(tmp_path), "-o", tmp_path / "out", "--server-required")
        process.send_signal(signal.SIGTERM)

    assert done.code == 0, done.err
    assert process.returncode == 0
    assert names_in(place) == sorted(f"socket{suffix}" for suffix in suffixes)


def test_activated_server__is_started_by_the_first_client(ground: Ground, tmp_path: Path) -> None:
    program = "/usr/bin/systemd-socket-activate"
    if not Path(program).exists():
        pytest.skip("there is no systemd-socket-activate")
    place = tmp_path / "sockets"
    place.mkdir(0o700)
    paths = [str(place / name) for name in ("socket", "socket.run")]
    listens = [word for path in paths for word in ("-l", path)]
    command = [sys.executable, "-m", "wheelforge", *map(str, ground.words("serve", "--idle", "1"))]
    process = subprocess.Popen([program, *listens, *command], env=PLAIN_PROCESS)
    with process:
        until(lambda: all(map(os.path.exists, paths)))
        service = Service(ground=ground, process=process, socket=Path(paths[0]))  # type: ignore[arg-type]

        done = service.run(write_sdist(tmp_path), "-o", tmp_path / "out", "--server-required")

        assert done.code == 0, done.err
        assert process.wait(60) == 0  # idle


def test_activated_server__refuses_a_socket_in_an_open_directory(
    ground: Ground, tmp_path: Path
) -> None:
    place = tmp_path / "sockets"
    place.mkdir()
    place.chmod(0o755)
    words = [str(place / "socket"), *map(str, ground.words("serve"))]

    done = subprocess.run(
        [sys.executable, "-c", ACTIVATOR, *words],
        env=PLAIN_PROCESS,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "error[socket-invalid]" in done.stderr
    assert "others may enter its directory" in done.stderr


def test_sockets__that_another_process_was_given_are_left_alone(ground: Ground) -> None:
    variables = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    with start_client(ground, "serve", variables=variables) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)

    assert f"listening on unix:{ground.cache}" in line
