"""A server with much to do: a batch of one client, many clients, and questions meanwhile."""

import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path

from tests.benchmarks import batch
from tests.benchmarks.crowd import measure_rate
from tests.benchmarks.figures import Row, Samples
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.one_build import fill_caches
from tests.benchmarks.pairing import measure
from tests.benchmarks.world import OFFLINE, Bench, Command, run_child
from wheelforge.service.client import ask

CLIENTS = (2, 50)
QUESTIONS = 200
_PAUSE_SECONDS = 0.02


def fill(bench: Bench) -> Mapping[str, str]:
    """Let the cache of the server, and that of uv, have all that is needed; return variables."""
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        for sdist in bench.sdists():
            fill_caches(bench, sdist, online)
        measure(batch.contenders(bench, batch.find_sources(bench), online), 0, bench.place)
    return online


def measure_load(bench: Bench, variables: Mapping[str, str], address: str) -> list[Row]:
    """Return the rows; ``variables`` are those of clients."""
    offline = {**variables, **OFFLINE}
    words = ("--server", address, "--server-required")
    return [
        _measure_batch(bench, offline, words),
        _measure_clients(bench, offline, words),
        _measure_questions(bench, offline, words),
    ]


def _measure_batch(bench: Bench, variables: Mapping[str, str], words: Command) -> Row:
    sources = batch.find_sources(bench)
    found = batch.contenders(bench, sources, variables, *words)
    name = f"{batch.OURS} --server"
    rivals = {name: found[batch.OURS], batch.BASE: found[batch.BASE]}
    samples = measure(rivals, max(1, bench.rounds // 2), bench.place)
    title = f"{len(sources)} sdists of one client"
    return Row(title=title, samples=samples, base=batch.BASE, counts=False)


def _measure_clients(bench: Bench, variables: Mapping[str, str], words: Command) -> Row:
    builds = [
        (*bench.build_with_ours(sdist.path)[:-1], *words, "--outdir")
        for sdist in bench.sdists(with_compiled=False)
    ]
    commands = list(islice(cycle(builds), CLIENTS[0] if bench.is_quick else CLIENTS[-1]))
    samples = {f"{count} clients at once": Samples() for count in CLIENTS}
    for _ in range(max(1, bench.rounds // 2)):
        for count, name in zip(CLIENTS, samples, strict=True):
            samples[name].values.append(measure_rate(bench, commands, variables, count))
    base = next(iter(samples))
    title = f"{len(commands)} builds of as many clients"
    return Row(title=title, samples=samples, base=base, unit="builds/s", counts=False)


def _measure_questions(bench: Bench, variables: Mapping[str, str], words: Command) -> Row:
    """Ask for the status while nothing is built, and while all cores build."""
    path = Path(words[1].partition(":")[2])
    samples = {"the server is idle": _ask(bench, path), "all cores build": Samples()}
    sources = batch.find_sources(bench)
    done = threading.Event()

    def build() -> None:
        with tempfile.TemporaryDirectory(dir=bench.place) as place:
            command = batch.build_all_with_ours(bench, sources, Path(place) / "dist")
            while not done.is_set():
                run_child((*command, *words), variables, Path(place), may_fail=True)

    thread = threading.Thread(target=build)
    thread.start()
    try:
        while not ask(path, "GET", "/api/v1/server")["running"]:
            time.sleep(_PAUSE_SECONDS)
        samples["all cores build"] = _ask(bench, path)
    finally:
        done.set()
        thread.join()
    return Row(
        title="the status of the server, asked for", samples=samples,
        base="the server is idle", counts=False,
    )  # fmt: skip


def _ask(bench: Bench, path: Path) -> Samples:
    found = Samples()
    for _ in range(bench.rounds if bench.is_quick else QUESTIONS):
        begun = time.perf_counter()
        ask(path, "GET", "/api/v1/server")
        found.values.append(time.perf_counter() - begun)
        time.sleep(_PAUSE_SECONDS)
    return found


def describe(rows: list[Row]) -> list[str]:
    """Return notes on what rows of ratios do not say."""
    (row,) = (row for row in rows if "all cores build" in row.samples)
    median = statistics.median(row.samples["all cores build"].values) * 1000
    return [f"the status while all cores build: {median:.1f} ms, the median of {QUESTIONS}"]
