"""Builders, collectors, a killer and a vandal on one cache, for seconds or for hours."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from tests.races.goods import LITTER, Goods, digest_tree, list_litter
from tests.support.caches import NOTHING
from tests.trust import Extent, Figures
from wheelforge_isolation import Event, collect_garbage, open_cache

_MEMORY = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]
TOP = Path(__file__).parents[2]
CREW = ("build steady", "build", "build", "build", "collect steady", "collect", "destroy steady")
"""The roles, one process each; whoever is not steady is killed, and another one takes his place."""
CONTROLS = {
    "blind": ("build steady", "build steady", "collect steady blind", "collect steady blind"),
    "trusting": ("build steady trusting", "build steady trusting", "destroy steady"),
}
"""Crews of which some break a rule; somebody has to complain of that."""
LONG_SECONDS = 600
_CONTROL_SECONDS = 20
_ORPHANS_SECONDS = 3


@contextlib.contextmanager
def crew(
    goods: Goods, seconds: float, roles: Sequence[str]
) -> Generator[list[subprocess.Popen[str]]]:
    """Yield one nursery for each role, all of them at work; end them if they do not end."""
    with contextlib.ExitStack() as stack:
        nurseries = []
        for seed, role in enumerate(roles):
            name, *words = role.split()
            facts = [name, goods.place, goods.cache, seconds, seed, *words]
            command = [sys.executable, "-m", "tests.races.nursery", *map(str, facts)]
            nurseries.append(
                stack.enter_context(
                    subprocess.Popen(
                        command, cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                    )
                )
            )
            stack.callback(nurseries[-1].kill)
        yield nurseries


def rage(goods: Goods, seconds: float, roles: Sequence[str] = CREW) -> dict[str, int]:
    """Let all of them loose; return how often what happened."""
    with crew(goods, seconds, roles) as nurseries:
        said = [nursery.communicate() for nursery in nurseries]
    assert [errors for _, errors in said if errors] == []
    kills = [int(output) for output, _ in said]
    return {**goods.count(), "kills": sum(kills)}


def look_after(goods: Goods) -> list[str]:
    """Build everything in peace, collect, and return all that is not as it should be."""
    time.sleep(_ORPHANS_SECONDS)  # children of killed processes may still write
    problems: list[str] = []
    with open_cache(goods.layout, _ignore) as cache:
        list(cache.verify(repair=True))
        for wanted in goods.wanted:
            made = cache.environments.get_or_create(goods.python, wanted.keys, goods.stock.read)
            problems += [str(made.path)] * (digest_tree(made.path) != wanted.digests)
            made.give_back()
        problems += [f"{found.path}: {found.reason}" for found in cache.verify()]
    collect_garbage(goods.layout, LITTER)
    problems += list_litter(goods.layout)
    collect_garbage(goods.layout, NOTHING)
    return problems + list_litter(goods.layout)


def _ignore(_: Event) -> None:
    """Events before this are no news."""


def run(extent: Extent) -> Figures:
    """Return the figures of a long storm, and of the two in which something has to go wrong."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        top = Path(directory).resolve()
        goods = Goods(top / "storm", top / "storm-cache")
        goods.prepare()
        figures: Figures = dict(rage(goods, extent.share * LONG_SECONDS))
        problems = [*goods.complaints(), *look_after(goods)]
        sys.stderr.writelines(f"{problem}\n" for problem in problems)
        complaints: list[int] = []
        for word, roles in CONTROLS.items():
            goods = Goods(top / word, top / f"{word}-cache")
            goods.prepare()
            rage(goods, _CONTROL_SECONDS, roles)
            complaints.append(len(goods.complaints()))
    return {
        "runs": figures["begun"],
        "violations": len(problems),
        **figures,
        "controls": len(complaints),
        "controls_found": sum(map(bool, complaints)),
    }
