"""A server that has made thousands of builds is like a new one.

`WHEELFORGE_TEST_BUILDS` says how many, if 10,000 are too many or too few.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, write_sdist
from tests.support.hooks import LINUX_ONLY
from tests.support.service import Service, finish, serving, until
from wheelforge.service.metrics import measure_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [LINUX_ONLY, pytest.mark.stress]
BUILDS = int(os.environ.get("WHEELFORGE_TEST_BUILDS", "10000"))
PARTS = 100
"""After each of so many parts the server is looked at."""
SDISTS = 24
TOLERANCE = 1.05
SLACK_BYTES = 1 << 20
"""A page table more or less."""


class Look(NamedTuple):
    """A server at one moment, with nothing to do."""

    server: int
    """Bytes of memory."""
    zygote: int
    descriptors: int
    zygote_descriptors: int
    processes: int


def look(service: Service) -> Look:
    """Return how large a server is once it has nothing to do."""
    until(lambda: not service.ask("GET", "/api/v1/server")[1]["running"])
    pid = service.process.pid
    (zygote, *others) = list_children(pid)
    assert not others
    until(lambda: len(list_children(zygote)) == 0)
    backends = service.ask("GET", "/api/v1/server")[1]["backends"]["kept"]
    return Look(
        server=measure_memory(pid),
        zygote=measure_memory(zygote),
        descriptors=count_descriptors(pid),
        zygote_descriptors=count_descriptors(zygote),
        processes=backends,
    )


def list_children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return sorted(map(int, text.split()))


def count_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def build_some(service: Service, sdists: Sequence[Path], count: int, out: Path) -> None:
    """Have builds made that are not used again: nearly all over the API, one by a thin client."""
    made = 0
    while made < count:
        some = sdists[: min(len(sdists), count - made)]
        numbers = [
            service.build(sdist, no_reuse=True, output=str(out), fresh=True) for sdist in some[1:]
        ]
        client = service.start(some[0], "-o", out, "--no-reuse", "--server-required")
        assert finish(client).code == 0
        for number in numbers:
            build = service.wait(number)
            assert build["verdict"] == "built", build
        made += len(some)


def test_server__is_as_large_after_thousands_of_builds(tmp_path: Path) -> None:
    ground = Ground.make(tmp_path)
    sdists = [write_sdist(tmp_path, name=f"p{number}") for number in range(SDISTS)]
    looks: list[Look] = []
    with serving(ground, "-j", "2", "--no-index", "-f", ground.links) as service:
        for _ in range(PARTS):
            build_some(service, sdists, BUILDS // PARTS, tmp_path / "out")
            looks.append(look(service))
            sys.stdout.write(f"{len(looks) * BUILDS // PARTS} builds: {looks[-1]}\n")
            sys.stdout.flush()

    last, before = looks[-PARTS // 10 :], looks[-PARTS // 5 : -PARTS // 10]
    for name in ("server", "zygote"):
        now, then = (max(getattr(each, name) for each in some) for some in (last, before))
        assert now <= then * TOLERANCE + SLACK_BYTES, (name, then, now)
    for name in ("descriptors", "zygote_descriptors"):
        assert {getattr(each, name) for each in last} <= {getattr(each, name) for each in looks[:5]}
    assert max(each.processes for each in looks) <= 8
