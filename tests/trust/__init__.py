"""Long searches for violations of the guarantees; the figures are in ``tests/trust.json``.

A section is a module with ``run(extent) -> Figures``, listed by its name in ``SECTIONS``. Among its
figures are always ``runs`` and ``violations``; those that go over points have ``points`` too.
"""

from dataclasses import dataclass
from typing import TypeAlias

Figures: TypeAlias = "dict[str, int | float | str]"

SECTIONS = {
    "kill sweep": "tests.faults.kill_sweep",
    "fault sweep": "tests.faults.fault_sweep",
    "reuse sweep": "tests.faults.reuse_sweep",
    "model": "tests.races.exploration",
    "storm": "tests.races.storm",
    "power cuts": "tests.filesystems.powercut",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is to be done."""

    share: float = 1.0
    """Of what the published figures stand for; less is for a first look."""
    jobs: int = 2
