"""Real sdists, two at a time: one process of ours, or `xargs -P 2` of uv's."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import OFFLINE, Bench, Command, SkipError, run_child
from tests.support.corpus import SDISTS, fetch_missing

AT_ONCE = "2"
OURS, BASE = "wheelforge -j 2", "xargs -P 2 uv build"


def run(bench: Bench) -> Result:
    """Compare a batch."""
    refuse_without_batches(bench)
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        sources = find_sources(bench)
        measure(contenders(bench, sources, online), 0, bench.place)
        offline = contenders(bench, sources, {**online, **OFFLINE})
        samples = measure(offline, bench.rounds, bench.place)
    row = Row(title=f"{len(sources)} sdists", samples=samples, base=BASE)
    return Result(name="batch", title="many sdists to wheels, warm caches", rows=[row])


def refuse_without_batches(bench: Bench) -> None:
    """Say so if the wheelforge that is measured builds one source at a time."""
    command = (*bench.tools.wheelforge, "build", "--help")
    if "--jobs" not in subprocess.check_output(command, text=True):
        raise SkipError("this wheelforge builds one source at a time: it has no --jobs")


def find_sources(bench: Bench) -> list[str]:
    """Return the paths of the sdists that can be built here."""
    sdists = [sdist for sdist in SDISTS if sdist.wheel]
    problems = fetch_missing(sdists)
    if problems:
        raise SkipError(problems[0])
    return [str(sdist.path) for sdist in (bench.sdists() if bench.is_quick else sdists)]


def build_all_with_ours(bench: Bench, sources: list[str], output: Path) -> Command:
    """Return the words that build all."""
    words = ("build", "--wheel", "--jobs", AT_ONCE, "--keep-going", "--outdir", str(output))
    return (*bench.tools.wheelforge, *words, *sources)


def contenders(
    bench: Bench, sources: list[str], variables: Mapping[str, str], *more: str
) -> dict[str, Contender]:
    """Return who builds ``sources``, two at a time; ours with ``more`` options."""

    def build_with_ours(place: Path) -> None:
        output = place / "dist"
        words = (*build_all_with_ours(bench, sources, output), *more)
        run_child(words, variables, place, may_fail=True)
        _check(output, sources)

    def build_with_uv(place: Path) -> None:
        # A shell for the pipe only; the paths are ours, and go in as they are.
        each = ("xargs", "-P", AT_ONCE, "-I{}", bench.tools.uv, "build", "--wheel", "{}")
        words = (*each, "--out-dir", str(place / "dist"))
        shell = ("/bin/sh", "-c", 'list=$1; shift; "$@" < "$list"', "sh", str(place / "list"))
        run_child((*shell, *words), variables, place, may_fail=True)
        _check(place / "dist", sources)

    def write_list(place: Path) -> None:
        (place / "list").write_text("".join(f"{source}\n" for source in sources), encoding="utf-8")

    return {
        OURS: Contender(build_with_ours),
        BASE: Contender(build_with_uv, prepare=write_list),
    }


def _check(output: Path, sources: list[str]) -> None:
    """Make sure that nobody is fast because of what failed."""
    built = len(list(output.glob("*.whl")))
    assert built == len(sources), f"{built} wheels of {len(sources)} sdists"
