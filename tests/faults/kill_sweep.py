"""Every process killed before every call that changes something."""

from tests.faults.report import describe, show
from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import Sweep
from tests.trust import Extent, Figures

CONTROLS = {
    "records in place": ("install, wheels there", "/records/"),
    "unpacking in place": ("unpack a zip", "/p-1/"),
    "deliveries in place": ("build a wheel", "output/"),
}
"""Protocols that are wrong on purpose, and which points of which scenario betray each of them."""


def run(extent: Extent) -> Figures:
    """Kill, look, and see that what is wrong on purpose is found wrong."""
    sweep = Sweep(scenarios=list(SCENARIOS), share=extent.share, jobs=extent.jobs, report=show)
    tally = sweep.kill()
    red = sum(bool(sabotaged(name).kill().violations) for name in CONTROLS)
    return {**describe(tally), "controls": len(CONTROLS), "controls_found": red}


def sabotaged(name: str) -> Sweep:
    """Return the sweep that has to find something."""
    scenario, about = CONTROLS[name]
    return Sweep(scenarios=[scenario], about=about, jobs=1, sabotage=name)
