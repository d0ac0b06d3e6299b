"""The cost of statements and of lists of contents: warm builds with them, to the same without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import measure
from tests.benchmarks.world import OFFLINE, Bench, building

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.corpus import Sdist

BASE = "without"
_WORDS = {
    BASE: (),
    "--provenance": ("--provenance",),
    "--sbom sidecar": ("--sbom", "sidecar"),
    "both": ("--provenance", "--sbom", "sidecar"),
}
_KEPT = "--rebuild"


def run(bench: Bench) -> Result:
    """Compare builds of which nothing is kept, and such as are kept for later ones."""
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        kept = {name: text for name, text in online.items() if name != "WHEELFORGE_NO_REUSE"}
        ways = ((online, ()), (kept, (_KEPT,)))
        rows = [
            _measure(bench, sdist, variables, more)
            for sdist in bench.sdists()
            for variables, more in ways
        ]
    return Result(name="provenance", title="statements and lists of contents", rows=rows)


def _measure(bench: Bench, sdist: Sdist, online: Mapping[str, str], more: tuple[str, ...]) -> Row:
    (*command, outdir) = bench.build_with_ours(sdist.path)
    fill, use = (
        {
            name: building((*command, *words, *more, outdir), variables)
            for name, words in _WORDS.items()
        }
        for variables in (online, {**online, **OFFLINE})
    )
    measure({BASE: fill[BASE]}, 0, bench.place)
    title = " ".join([sdist.file, *more])
    return Row(title=title, samples=measure(use, bench.rounds, bench.place), base=BASE)
