"""Wheels that another machine has built, from a remote cache on loopback, beside builds of uv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.batch import (
    build_all_with_ours,
    contenders,
    find_sources,
    refuse_without_batches,
)
from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import OFFLINE, Bench, run_child
from tests.support.bazel_cache import serve_cache

if TYPE_CHECKING:
    from pathlib import Path

_BASE = "xargs -P 2 uv build"


def run(bench: Bench) -> Result:
    """Compare an empty cache beside a full remote one with builds in warm caches."""
    refuse_without_batches(bench)
    sources = find_sources(bench)
    with serve_wheels() as index, serve_cache() as server:
        online = bench.compose(bench.place, index)
        del online["WHEELFORGE_NO_REUSE"]
        second = _take_from(bench, sources, _fill(bench, sources, online, server.url))
        server.asked.clear()
        server.sent = 0
        measure({_BASE: contenders(bench, sources, online)[_BASE]}, 0, bench.place)
        rival = contenders(bench, sources, {**online, **OFFLINE})[_BASE]
        samples = measure({"wheelforge": second, _BASE: rival}, bench.rounds, bench.place)
    count = len(sources) * (bench.rounds + 1)
    asked, received = len(server.asked) / count, server.sent / count / 1024
    note = f"for each wheel {asked:.2f} requests to the remote cache, {received:.1f} KiB received"
    row = Row(title=f"{len(sources)} sdists", samples=samples, base=_BASE)
    title = "wheels from a remote cache into an empty one, to builds in warm caches"
    return Result(name="remote", title=title, rows=[row], notes=[note])


def _fill(bench: Bench, sources: list[str], online: dict[str, str], url: str) -> dict[str, str]:
    """Build all with a key, and return the variables of machines that have none."""
    key = bench.place / "team.pem"
    run_child((*bench.tools.wheelforge, "cache", "keygen", str(key)), online, bench.place)
    reading = {**online, "WHEELFORGE_REMOTE_CACHE": url, "WHEELFORGE_REMOTE_TRUST": f"{key}.pub"}
    writing = {"WHEELFORGE_REMOTE_KEY": str(key), "WHEELFORGE_REMOTE_SANDBOX": "none"}
    words = build_all_with_ours(bench, sources, bench.place / "first")
    run_child(words, {**reading, **writing}, bench.place, may_fail=True)
    return reading


def _take_from(bench: Bench, sources: list[str], variables: dict[str, str]) -> Contender:
    """Return a machine with an empty cache, the paths of whose home are those of the first one."""

    def build(place: Path) -> None:
        own = {**variables, "WHEELFORGE_CACHE_DIR": str(place / "cache")}
        output = place / "dist"
        run_child(build_all_with_ours(bench, sources, output), own, place, may_fail=True)
        built = len(list(output.glob("*.whl")))
        assert built == len(sources), f"{built} wheels of {len(sources)} sdists"

    return Contender(build)
