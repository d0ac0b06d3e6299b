"""Builds by a server that lives on: its thin client as a whole process, beside uv."""

import contextlib
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.figures import Result, Row, geometric_mean
from tests.benchmarks.one_build import BASE
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.resident_load import describe, fill, measure_load
from tests.benchmarks.world import COMPILED, OFFLINE, Bench, building, run_child

THIN, NOTHING = "wheelforge --server", "python -c pass"
_PATIENCE_SECONDS = 30


def run(bench: Bench) -> Result:
    """Compare whole programs, and what the client itself costs."""
    online = fill(bench)
    with _serving(bench, online) as address:
        rows = _measure(bench, {**online, **OFFLINE}, address)
        load = measure_load(bench, online, address)
    own = geometric_mean(
        sum(row.samples[THIN].cpu) / max(sum(row.samples[NOTHING].cpu), 1e-9) for row in rows
    )
    rows = [
        replace(row, samples={name: each for name, each in row.samples.items() if name != NOTHING})
        for row in rows
    ]
    notes = [f"{COMPILED} is not in the mean", f"the client itself: {own:.1f} of `{NOTHING}`"]
    return Result(
        name="resident",
        title="sdist to wheel, by a server",
        rows=[*rows, *load],
        notes=[*notes, *describe(load)],
    )


@contextlib.contextmanager
def _serving(bench: Bench, variables: Mapping[str, str]) -> Generator[str]:
    path = Path(variables["WHEELFORGE_CACHE_DIR"]) / "service-v1" / "socket"
    words = [*bench.tools.wheelforge, "serve", "--no-config"]
    with subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        assert "listening" in line, line
        try:
            yield f"unix:{path}"
        finally:
            server.terminate()
            server.wait(_PATIENCE_SECONDS)


def _measure(bench: Bench, variables: Mapping[str, str], address: str) -> list[Row]:
    rows: list[Row] = []
    for sdist in bench.sdists():
        ours = (*bench.build_with_ours(sdist.path)[:-1], "--no-reuse")
        contenders = {
            "wheelforge": building((*ours, "--outdir"), variables),
            THIN: building(
                (*ours, "--server", address, "--server-required", "--outdir"), variables
            ),
            BASE: building(bench.build_with_uv(sdist.path), variables),
            NOTHING: Contender(
                lambda place: run_child((sys.executable, "-c", "pass"), variables, place)
            ),
        }
        samples = measure(contenders, bench.rounds, bench.place)
        rows.append(
            Row(title=sdist.file, samples=samples, base=BASE, counts=sdist.file != COMPILED)
        )
    return rows
