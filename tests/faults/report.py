"""The figures of a sweep, for people and for the record."""

import sys

from tests.faults.sweep import Tally
from tests.trust import Figures


def describe(tally: Tally) -> Figures:
    """Return the figures of a sweep."""
    return {
        "scenarios": len(tally.scenarios),
        "points": tally.points,
        "runs": tally.outcomes.total(),
        "missed": tally.outcomes["missed"],
        "violations": len(tally.violations),
        "succeeded": tally.outcomes["success"],
        "killed": tally.outcomes["killed"],
    }


def show(tally: Tally) -> None:
    """Say how far a sweep has come, and what the last scenario had to complain of."""
    last = next(reversed(tally.scenarios), "")
    for finding in tally.violations:
        if finding.point.scenario == last:
            sys.stderr.write(f"{finding}\n")
    done = tally.scenarios[last]
    sys.stderr.write(f"{last}: {done}; so far {tally.points} points, ")
    sys.stderr.write(f"{len(tally.violations)} violations\n")
