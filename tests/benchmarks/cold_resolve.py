"""From requirements and an empty cache to wheels that are there: ours beside `uv pip install`.

With the real index the network is part of it, so that each round also says how the network was.
"""

from pathlib import Path

from tests.benchmarks import providing
from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import Bench, run_child

QUESTIONS = {
    "setuptools": ("setuptools",),
    "hatchling and 2 plugins": ("hatchling", "hatch-vcs", "hatch-fancy-pypi-readme"),
    "poetry-core": ("poetry-core",),
    "meson-python": ("meson-python",),
}
REAL_INDEX = "https://pypi.org/simple/"
BASE = "uv pip install --target"


def run(bench: Bench) -> Result:
    """Compare from loopback and, if asked to, from the real index."""
    with serve_wheels() as url:
        rows = _measure_all(bench, url, "")
    if bench.uses_real_index:
        rows += _measure_all(bench, REAL_INDEX, ", real index")
    notes = [
        "the mean is that of loopback",
        "uv links its files into a directory; our environment has bytecode as well",
    ]
    title = "requirements to wheels, empty caches, index on loopback"
    return Result(name="cold-resolve", title=title, rows=rows, notes=notes)


def _measure_all(bench: Bench, url: str, suffix: str) -> list[Row]:
    names = list(QUESTIONS)[: 1 if bench.is_quick else None]
    return [_measure(bench, f"{name}{suffix}", QUESTIONS[name], url) for name in names]


def _measure(bench: Bench, title: str, requirements: tuple[str, ...], url: str) -> Row:
    contenders = {
        "wheelforge, wheels": _ours(bench, providing.WHEELS, requirements, url),
        "wheelforge, environment": _ours(bench, providing.ENVIRONMENT, requirements, url),
        BASE: _uv(bench, requirements, url),
    }
    samples = measure(contenders, bench.rounds, bench.place)
    return Row(title=title, samples=samples, base=BASE, counts=url != REAL_INDEX)


def _ours(bench: Bench, what: str, requirements: tuple[str, ...], url: str) -> Contender:
    # Its directory is full of modules that are none of its business.
    script = (bench.tools.python_of_ours, "-P", str(Path(providing.__file__)))

    def prepare(place: Path) -> None:
        variables = bench.compose(place, url)
        run_child((*script, str(place / "wheelforge"), what, *requirements), variables, place)

    return Contender(prepare)


def _uv(bench: Bench, requirements: tuple[str, ...], url: str) -> Contender:
    def install(place: Path) -> None:
        command = (bench.tools.uv, "pip", "install", "--target", str(place / "target"))
        run_child((*command, *requirements), bench.compose(place, url), place)

    return Contender(install)
