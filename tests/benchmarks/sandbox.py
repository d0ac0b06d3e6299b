"""One warm build in a new process, its hooks in each sandbox: beside the same in none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import COMPILED, OFFLINE, Bench, SkipError, building
from wheelforge.hooks.sandbox.ladder import try_rungs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.corpus import Sdist

BASE = "none"
_WORDS = {"landlock": "tcp-off", "bubblewrap": "strict", "unshare": "strict"}
_TOOLS = "/usr/local/bin:/usr/bin:/bin"


def run(bench: Bench) -> Result:
    """Compare whole programs."""
    rungs = [each.rung for each in try_rungs(_TOOLS) if each.rung in _WORDS]
    if not rungs:
        raise SkipError("this machine has no sandbox")
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        for sdist in bench.sdists(with_compiled=False):
            ours = building(bench.build_with_ours(sdist.path), online)
            measure({BASE: ours}, 0, bench.place)
    rows = [
        _measure(bench, sdist, {**online, **OFFLINE}, rungs)
        for sdist in bench.sdists(with_compiled=False)
    ]
    notes = [f"without {COMPILED}; without `bwrap` on PATH for `unshare`"]
    return Result(name="sandbox", title="sdist to wheel, in a sandbox", rows=rows, notes=notes)


def _measure(bench: Bench, sdist: Sdist, variables: Mapping[str, str], rungs: list[str]) -> Row:
    command = bench.build_with_ours(sdist.path)
    contenders: dict[str, Contender] = {BASE: building(command, variables)}
    for rung in rungs:
        path = str(bench.place) if rung == "unshare" else _TOOLS
        words = (*command[:-1], "--sandbox", _WORDS[rung], command[-1])
        contenders[rung] = building(words, {**variables, "PATH": path})
    samples = measure(contenders, bench.rounds, bench.place)
    return Row(title=sdist.file, samples=samples, base=BASE)
