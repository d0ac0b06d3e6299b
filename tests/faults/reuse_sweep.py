"""Wheels of earlier builds, kept, used, compared and collected, with every process killed."""

from tests.faults.report import describe, show
from tests.faults.scenarios import REUSE_SCENARIOS
from tests.faults.sweep import Sweep
from tests.trust import Extent, Figures

CONTROLS = {
    "records of built wheels in place": ("keep a wheel", "built-v2/records/"),
    "records before built wheels": ("keep a wheel", "/files-v1/"),
    "deliveries in place": ("use a wheel", "output/"),
}
"""Protocols that are wrong on purpose, and which points of which scenario betray each of them."""


def run(extent: Extent) -> Figures:
    """Kill, look, and see that what is wrong on purpose is found wrong."""
    names = list(REUSE_SCENARIOS)
    sweep = Sweep(scenarios=names, share=extent.share, jobs=extent.jobs, report=show)
    tally = sweep.kill()
    red = sum(bool(sabotaged(name).kill().violations) for name in CONTROLS)
    return {**describe(tally), "controls": len(CONTROLS), "controls_found": red}


def sabotaged(name: str) -> Sweep:
    """Return the sweep that has to find something."""
    scenario, about = CONTROLS[name]
    return Sweep(scenarios=[scenario], about=about, jobs=1, sabotage=name)
