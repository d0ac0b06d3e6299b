"""Clients and servers that are killed at random moments: nothing is lost, and nothing is left."""

from __future__ import annotations

import random
import threading
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.hooks import LINUX_ONLY
from tests.support.service import Service, finish, serving, start_client, until

if TYPE_CHECKING:
    import subprocess

pytestmark = [LINUX_ONLY, pytest.mark.stress]
HOOK = """
import os, time
path = {place!r} + '/' + {name!r}
with open(path, 'a') as file: file.write(f'{{os.getpid()}} ')
time.sleep({seconds})
with open(path, 'a') as file: file.write('done ')
"""
KILLS = 500
KILLS_A_SEED = 10
ORPHAN_SECONDS = 2.0


class Arena:
    """Builds that are asked for over the API and by thin clients, and a server that dies."""

    def __init__(self, place: Path, seed: int) -> None:
        self.place, self.random = place, random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
        self.ground = Ground.make(place)
        self.marks = place / "marks"
        self.marks.mkdir()
        self.count = 0
        self.asked: dict[str, str] = {}
        """The builds that a server has taken in, by their names."""

    def serve(self, stack: ExitStack) -> Service:
        """Start a server, which takes up what is left."""
        words = ("-j", "2", "--no-index", "-f", str(self.ground.links))
        return stack.enter_context(serving(self.ground, *words))

    def write(self) -> tuple[str, Path]:
        """Return the name and the sdist of another build."""
        self.count += 1
        name = f"p{self.count}"
        seconds = self.random.choice((0, 0, 0.1, 0.3))
        code = HOOK.format(place=str(self.marks), name=name, seconds=seconds)
        return name, write_sdist(self.place, name=name, build_wheel=code)

    def ask(self, service: Service) -> None:
        """Ask for builds that nobody waits for."""
        for _ in range(3):
            name, sdist = self.write()
            self.asked[name] = service.build(sdist, output=str(self.place / "out"))

    def start(self, service: Service) -> subprocess.Popen[str]:
        """Start a thin client."""
        _, sdist = self.write()
        return start_client(
            self.ground, sdist, "-o", self.place / "own", "--server", service.address
        )

    def list_hooks(self) -> set[int]:
        """Return the hooks that were begun."""
        words = [word for path in self.marks.iterdir() for word in self.read_marks(path.name)]
        return {int(word) for word in words if word != "done"}

    def read_marks(self, name: str) -> list[str]:
        """Return the hooks of a build that were begun, and `done` for each that has ended."""
        path = self.marks / name
        return path.read_text(encoding="ascii").split() if path.exists() else []

    def list_built(self, service: Service) -> dict[str, list[str]]:
        """Return the builds that the server knows to be done, with their marks."""
        states = {
            name: service.ask("GET", f"/api/v1/builds/{number}")[1]["state"]
            for name, number in self.asked.items()
        }
        return {name: self.read_marks(name) for name, state in states.items() if state == "done"}

    def check_orphans(self, before: set[int]) -> None:
        """Check that the hooks of a server that is dead have ended."""
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before), ORPHAN_SECONDS)


@pytest.mark.parametrize("seed", range(KILLS // KILLS_A_SEED))
def test_kills__of_servers_and_clients_lose_nothing(tmp_path: Path, seed: int) -> None:
    arena = Arena(tmp_path, seed)
    built: dict[str, list[str]] = {}
    with ExitStack() as stack:
        service = arena.serve(stack)
        for _ in range(KILLS_A_SEED):
            arena.ask(service)
            client = arena.start(service)
            time.sleep(arena.random.uniform(0, 0.6))  # the moment is what is tried
            if arena.random.random() < 0.5:
                client.kill()
                client.communicate()
                continue
            service.process.kill()
            service.process.wait()
            assert finish(client).code == 0  # it has built by itself
            arena.check_orphans(arena.list_hooks())
            service = arena.serve(stack)
            built |= arena.list_built(service)
        ends = {name: service.wait(number) for name, number in arena.asked.items()}
        until(lambda: service.ask("GET", "/api/v1/queue")[1]["running"] == [])

    # A wheel that was in the cache before its server died is used again.
    assert {build["verdict"] for build in ends.values()} <= {"built", "reused"}
    assert {name.partition("-")[0] for name in names_in(tmp_path / "out")} == ends.keys()
    for path in [*(tmp_path / "out").iterdir(), *(tmp_path / "own").glob("*.whl")]:
        with zipfile.ZipFile(path) as wheel:
            assert wheel.testzip() is None
    assert {name: arena.read_marks(name) for name in built} == built
    assert {arena.read_marks(name)[-1] for name in ends} == {"done"}
    assert not [name for name in names_in(tmp_path / "own") if not name.endswith(".whl")]


def test_fifty_clients__at_once_are_all_served(tmp_path: Path) -> None:
    arena = Arena(tmp_path, 0)
    with ExitStack() as stack:
        service = arena.serve(stack)
        words = [(arena.write()[1], "-o", tmp_path / "own") for _ in range(50)]
        clients = [service.start(*each, "--server-required") for each in words]
        ends = list[int]()
        threads = [
            threading.Thread(target=lambda each=each: ends.append(finish(each).code))
            for each in clients
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ends == [0] * 50
    assert len(names_in(tmp_path / "own")) == 50
