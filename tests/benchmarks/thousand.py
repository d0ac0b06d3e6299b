"""A thousand small sdists in one command: the last ones beside the first, and the memory."""

import io
import json
import tarfile
from operator import itemgetter
from pathlib import Path

from tests.benchmarks.batch import build_all_with_ours, refuse_without_batches
from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.memory import measure_peak
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.world import Bench

COUNT, WINDOW = 1_000, 100
_PROJECT = """\
[build-system]
requires = ["flit-core"]
build-backend = "flit_core.buildapi"

[project]
name = "{name}"
version = "1.0"
description = "One of a thousand."
"""
EARLY = "second hundred"
"""By then, everything is loaded that will be."""


def run(bench: Bench) -> Result:
    """Build all of them, once."""
    refuse_without_batches(bench)
    count, window = (20, 5) if bench.is_quick else (COUNT, WINDOW)
    sources = [str(write_sdist(bench.place, number)) for number in range(count)]
    report = bench.place / "report.json"
    command = (*build_all_with_ours(bench, sources, bench.place / "dist"), "--report", str(report))
    with serve_wheels() as url:
        peak = measure_peak(command, bench.compose(bench.place, url), bench.place)
    taken = _read_seconds(report)
    assert len(taken) == count, f"{len(taken)} wheels of {count} sdists"
    windows = {EARLY: taken[window : 2 * window], "last hundred": taken[-window:]}
    rows = [
        Row(title="a build", samples={name: Samples(w) for name, w in windows.items()}, base=EARLY),
        Row(title="peak memory", samples={"all": Samples([peak])}, base="all", unit="MiB"),
    ]
    return Result(name="thousand", title=f"{count:,} small sdists, one command", rows=rows)


def write_sdist(place: Path, number: int) -> Path:
    """Write one of many small sdists."""
    name = f"small{number:04}"
    text = _PROJECT.format(name=name)
    path = place / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        _add(archive, f"{name}-1.0/pyproject.toml", text)
        _add(archive, f"{name}-1.0/{name}.py", f'"""One of a thousand."""\n\nNUMBER = {number}\n')
        _add(
            archive, f"{name}-1.0/PKG-INFO", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
    return path


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text.encode()))


def _read_seconds(report: Path) -> list[float]:
    """Return what each build took, in the order in which they were begun."""
    builds = json.loads(report.read_text(encoding="utf-8"))["builds"]
    done = [build for build in builds if build["outcome"] == "built"]
    return [build["seconds"] for build in sorted(done, key=itemgetter("started"))]
