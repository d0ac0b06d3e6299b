"""``python -m tests.benchmarks [NAME ...]``: speed as ratios to peers, measured in one run.

Peers are installed below ``.bench`` when they are first needed; so is the checkout. What is
measured starts from an environment that is composed and the same for all. No time is a failure.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from tests.benchmarks import chart, report
from tests.benchmarks.figures import Result
from tests.benchmarks.peers import UNWANTED, Tools
from tests.benchmarks.world import Bench, SkipError

NAMES = (
    *("one-build", "resident", "cold-build", "cold-resolve", "batch", "crowd", "unpacking"),
    "environments",
    *("start-up", "growth", "thousand", "collecting", "reuse", "memory", "overhead"),
    *("compiler-cache", "sandbox", "remote", "cluster", "provenance", "index"),
)


def main(words: Sequence[str] | None = None) -> None:
    """Run what is asked for; write after each bench, as the next one may be interrupted."""
    options = _parse(words)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        bench = Bench(
            place=Path(place).resolve(),
            rounds=1 if options.quick else options.rounds,
            is_quick=options.quick,
            uses_real_index=options.real_index,
            tools=Tools(given=options.wheelforge),
        )
        for name in options.names or NAMES:
            results.append(_run(name, bench))
            sys.stdout.write(f"{report.format_result(results[-1])}\n")
            sys.stdout.flush()
            _write(options, bench, results)


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure wheelforge beside its peers."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is run (7)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="every sample, as JSON")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="ratios to uv, as SVG")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--real-index", action="store_true", help="cold-resolve: from PyPI too")
    parser.add_argument(
        "--wheelforge", type=_absolute, metavar="PYTHON", help="a Python that has what is measured"
    )
    parser.add_argument("--place", type=Path, metavar="DIR", help="on the disk to measure on")
    options = parser.parse_args(words)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there is {', '.join(NAMES)}")
    return options


def _absolute(text: str) -> Path:
    """Return a path as children find it; where a link of an environment leads is another Python."""
    return Path(text).absolute()


def _run(name: str, bench: Bench) -> Result:
    module = import_module(f"tests.benchmarks.{name.replace('-', '_')}")
    within = bench.place / name
    within.mkdir()
    try:
        # In a directory of its own, lest one bench finds the cache of another.
        result = module.run(replace(bench, place=within))
    except SkipError as error:
        return Result(name=name, title="skipped", notes=[str(error)])
    assert isinstance(result, Result)
    return result


def _write(options: argparse.Namespace, bench: Bench, results: Sequence[Result]) -> None:
    if options.output is not None:
        text = json.dumps(report.describe_run(bench, results), indent=1)
        options.output.write_text(f"{text}\n", encoding="utf-8")
    if options.chart is not None:
        options.chart.write_text(chart.draw(results), encoding="utf-8")


if __name__ == "__main__":
    for unwanted in UNWANTED:
        os.environ.pop(unwanted, None)  # some benches start children of their own
    main()
