"""The most memory that the frontend has resident, its own process alone, not the backend's."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.batch import build_all_with_ours, find_sources, refuse_without_batches
from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.one_build import fill_caches
from tests.benchmarks.world import OFFLINE, Bench, Command, SkipError

BASE = "uv build"
_PAUSE_SECONDS = 0.002
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def run(bench: Bench) -> Result:
    """Compare peaks of one build, and of a batch of ours."""
    if not sys.platform.startswith("linux"):
        raise SkipError("the peak of one process is read from /proc")
    notes: list[str] = []
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        rows = _measure_single(bench, online)
        try:
            rows.append(_measure_batch(bench, online))
        except SkipError as error:
            notes.append(str(error))
    title = "peak memory of the frontend's process"
    return Result(name="memory", title=title, rows=rows, notes=notes)


def _measure_single(bench: Bench, online: Mapping[str, str]) -> list[Row]:
    rows: list[Row] = []
    for sdist in bench.sdists():
        fill_caches(bench, sdist, online)
        variables = {**online, **OFFLINE}
        commands = {
            "wheelforge": bench.build_with_ours(sdist.path),
            BASE: bench.build_with_uv(sdist.path),
        }
        samples = {name: Samples() for name in commands}
        for _ in range(max(1, bench.rounds // 2)):
            for name, command in commands.items():
                samples[name].values.append(_measure_build(bench, command, variables))
        rows.append(Row(title=sdist.file, samples=samples, base=BASE, unit="MiB"))
    return rows


def _measure_build(bench: Bench, command: Command, variables: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory(dir=bench.place) as place:
        return measure_peak((*command, f"{place}/dist"), variables, Path(place))


def _measure_batch(bench: Bench, online: Mapping[str, str]) -> Row:
    refuse_without_batches(bench)
    with tempfile.TemporaryDirectory(dir=bench.place) as place:
        sources = find_sources(bench)
        command = build_all_with_ours(bench, sources, Path(place) / "dist")
        peak = measure_peak(command, online, Path(place))
    title, samples = f"batch of {len(sources)}", {"wheelforge": Samples([peak])}
    return Row(title=title, samples=samples, base="wheelforge", unit="MiB", counts=False)


def measure_peak(command: Command, variables: Mapping[str, str], place: Path) -> float:
    """Return the peak of a process in MiB.

    The kernel keeps it for as long as the process lives, so what is missed is its last moment.
    What is told to a parent afterwards has the peak of all children in it.
    """
    peak = 0
    with (place / "printed").open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(variables), cwd=place, stdout=output, stderr=output
        )
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = _PEAK.search(status.read_text(encoding="ascii", errors="replace"))
            peak = max(peak, int(found[1]) if found else 0)
            time.sleep(_PAUSE_SECONDS)
    return peak / 1024
