"""Small sdists built by a local cluster, beside as many builds at a time in one process."""

from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.batch import AT_ONCE, build_all_with_ours, refuse_without_batches
from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Act, Contender, measure
from tests.benchmarks.thousand import write_sdist
from tests.benchmarks.world import Bench, Command, run_child

COUNT, FEW = 1_000, 100
BASE = f"-j {AT_ONCE}"


def run(bench: Bench) -> Result:
    """Compare many sdists, and a few, where the start of the cluster counts."""
    refuse_without_batches(bench)
    counts = (10, 20) if bench.is_quick else (FEW, COUNT)
    rows: list[Row] = []
    with serve_wheels() as url:
        variables = bench.compose(bench.place, url)
        for count in counts:
            sources = [str(write_sdist(bench.place, number)) for number in range(count)]
            contenders = {
                name: Contender(_make_run(bench, sources, variables, words))
                for name, words in ((BASE, ()), ("--executor dask", ("--executor", "dask")))
            }
            rounds = 1 if count == COUNT else min(bench.rounds, 3)
            samples = measure(contenders, rounds, bench.place)
            rows.append(Row(title=f"{count:,} sdists", samples=samples, base=BASE))
    return Result(name="cluster", title=f"a cluster of {AT_ONCE} workers here", rows=rows)


def _make_run(
    bench: Bench, sources: list[str], variables: Mapping[str, str], words: Command
) -> Act:
    def build(place: Path) -> None:
        output = place / "dist"
        run_child((*build_all_with_ours(bench, sources, output), *words), variables, place)
        built = len(list(output.glob("*.whl")))
        assert built == len(sources), f"{built} wheels of {len(sources)} sdists"

    return build
