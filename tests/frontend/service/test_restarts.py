"""Installers that wait for pages, and outlive the server that they wait for."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground
from tests.support.index import Manners, Project, serve
from tests.support.on_demand import Ahead, sdist_of, start_installer
from tests.support.service import PLAIN_PROCESS, Service, until

if TYPE_CHECKING:
    from collections.abc import Generator

UV = Path(sys.executable).with_name("uv")
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.skipif(find_spec("pip") is None or not UV.exists(), reason="needs pip and uv"),
    pytest.mark.xdist_group("installers"),
]
PYTHONS = os.environ.get("WHEELFORGE_TEST_PIPS", sys.executable).split(os.pathsep)
"""Pythons with further releases of pip."""
ACTIVATOR = """
import os, sys
if sys.argv[1] != "0":
    os.dup2(int(sys.argv[1]), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "wheelforge", *sys.argv[2:]])
"""


def start(number: int, url: str, directory: Path) -> subprocess.Popen[str]:
    """Start an installer that waits for the page of a project of its own."""
    words = ["install", "--only-binary", ":all:", "--no-deps", "--target", f"t{number}"]
    if number % 2:
        python = PYTHONS[number // 2 % len(PYTHONS)]
        return start_installer(
            *(python, "-m", "pip", *words, "--index-url", url, f"p{number}"), directory=directory
        )
    words += ["--python", sys.executable, "--default-index", url]
    return start_installer(UV, "pip", *words, f"p{number}", directory=directory)


@contextlib.contextmanager
def serving_at(
    ground: Ground, listener: socket.socket | None, port: int
) -> Generator[subprocess.Popen[str]]:
    """Yield a server of a port: it opens that itself, or is given what a service manager holds."""
    words = [f"--target=this={sys.executable}", "--open-index", "--sandbox", "none"]
    if listener is None:
        words += ["--listen", f"127.0.0.1:{port}"]
    number = 0 if listener is None else listener.fileno()
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATOR, str(number), *ground.words("serve", *words)],
        env=PLAIN_PROCESS,
        pass_fds=[number] if number else [],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "listening" in line, line
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("count", "is_held"),
    [
        pytest.param(2, True, marks=pytest.mark.long, id="2, whose socket is held"),
        pytest.param(20, False, marks=pytest.mark.stress, id="20"),
    ],
)
def test_installers__that_wait_while_a_server_is_killed_have_their_wheels_from_the_next(
    tmp_path: Path, count: int, *, is_held: bool
) -> None:
    gate = tmp_path / "gate"
    code = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.05)"
    sdists = [sdist_of(tmp_path, f"p{number}", build_wheel=code) for number in range(count)]
    projects = [Project(f"p{number}", sdist) for number, sdist in enumerate(sdists)]
    plain = Ground.make(tmp_path)
    with (
        serve(*projects, manners=Manners(json=True)) as upstream,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        held = listener if is_held else None
        if held is None:
            listener.close()
        ground = Ahead(cache=plain.cache, links=plain.links, url=upstream.url)
        with serving_at(ground, held, port) as process:
            service = Service(
                ground=ground, process=process, socket=ground.cache / "service-v1" / "socket"
            )
            url = f"http://127.0.0.1:{port}/this/simple/"
            clients = [start(number, url, tmp_path) for number in range(count)]

            def count_waiting() -> int:
                queue = service.ask("GET", "/api/v1/queue")[1]
                return len(queue["running"]) + len(queue["queued"])

            until(lambda: count_waiting() == count)
            process.kill()
        with serving_at(ground, held, port):
            gate.touch()
            ends = [client.communicate(timeout=120) for client in clients]
    assert [client.returncode for client in clients] == [0] * count, ends
    for number in range(count):
        assert (tmp_path / f"t{number}" / f"p{number}-1.0.dist-info").exists()
