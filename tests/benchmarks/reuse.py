"""Wheels that were built before: one as a whole program, many two at a time, and what a miss costs.

A hit is held against a build of uv, a miss against the same build that looks for no earlier one.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from tests.benchmarks.batch import contenders, find_sources, refuse_without_batches
from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.one_build import BASE
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import OFFLINE, Bench, building

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.corpus import Sdist


_WITHOUT = "wheelforge --no-reuse"


def run(bench: Bench) -> Result:
    """Compare builds with which nothing has changed since they were made."""
    refuse_without_batches(bench)
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        del online["WHEELFORGE_NO_REUSE"]
        rows = [_measure_one(bench, sdist, online) for sdist in bench.sdists()]
        rows.append(_measure_many(bench, online))
        sdists = bench.sdists(with_compiled=False)
        rows += [_measure_miss(bench, sdist, online) for sdist in sdists]
    return Result(name="reuse", title="wheels of earlier builds, to builds of uv", rows=rows)


def _measure_one(bench: Bench, sdist: Sdist, online: Mapping[str, str]) -> Row:
    commands = {
        "wheelforge, reused": bench.build_with_ours(sdist.path),
        BASE: bench.build_with_uv(sdist.path),
    }
    fill, use = (
        {name: building(command, variables) for name, command in commands.items()}
        for variables in (online, {**online, **OFFLINE})
    )
    measure(fill, 0, bench.place)
    samples = measure(use, bench.rounds, bench.place)
    return Row(title=sdist.file, samples=samples, base=BASE)


def _measure_many(bench: Bench, online: Mapping[str, str]) -> Row:
    sources = find_sources(bench)
    measure(contenders(bench, sources, online), 0, bench.place)
    offline = contenders(bench, sources, {**online, **OFFLINE})
    samples = measure(offline, bench.rounds, bench.place)
    base = "xargs -P 2 uv build"
    return Row(title=f"{len(sources)} sdists", samples=samples, base=base, counts=False)


def _measure_miss(bench: Bench, sdist: Sdist, online: Mapping[str, str]) -> Row:
    """Compare builds of which one input is another one each time with builds without reuse."""
    command, numbers = bench.build_with_ours(sdist.path), count()

    def build(place: Path) -> None:
        changed = {**online, **OFFLINE, "CHANGED": str(next(numbers))}
        building(command, changed).run(place)

    contenders = {
        "wheelforge, a miss": Contender(build),
        _WITHOUT: building(command, {**online, **OFFLINE, "WHEELFORGE_NO_REUSE": "1"}),
    }
    samples = measure(contenders, bench.rounds, bench.place)
    return Row(title=f"{sdist.file}, a miss", samples=samples, base=_WITHOUT, counts=False)
