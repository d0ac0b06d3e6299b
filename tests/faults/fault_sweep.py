"""Every call that has to do with our files, failing in every way it can."""

from tests.faults.report import describe, show
from tests.faults.scenarios import REUSE_SCENARIOS, SCENARIOS
from tests.faults.sweep import Sweep
from tests.trust import Extent, Figures

_SHARE = 0.15
"""Most calls of a scenario look at one file after the other, and fail alike."""


def run(extent: Extent) -> Figures:
    """Let every call fail in every way, or one in so many of these, spread evenly."""
    share = _SHARE * extent.share
    names = [*SCENARIOS, *REUSE_SCENARIOS]
    sweep = Sweep(scenarios=names, share=share, jobs=extent.jobs, report=show)
    return describe(sweep.fail())
