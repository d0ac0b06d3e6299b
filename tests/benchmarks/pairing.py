"""Fair comparison on a noisy machine: contenders take turns, and ratios are made pair by pair."""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Contender = Callable[[Path], None]
FAST_DISK = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]


def measure(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each contender took, round by round, after one round of warm-up.

    Each gets an empty directory, in memory where there is such a place, to leave out the disk.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            taken = time_once(run)
            if number:
                seconds[name].append(taken)
    return seconds


def time_once(run: Contender) -> float:
    directory = FAST_DISK if FAST_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(dir=directory) as place:
        gc.collect()
        start = time.perf_counter()
        run(Path(place))
        return time.perf_counter() - start


def show(title: str, seconds: Mapping[str, list[float]], base: str) -> None:
    """Print for each contender its median and its ratio to ``base``, least and most."""
    sys.stdout.write(f"{title} (Python {sys.version.split()[0]}, ratios to {base})\n")
    for name, values in seconds.items():
        ratios = sorted(a / b for a, b in zip(values, seconds[base], strict=True))
        sys.stdout.write(
            f"  {name:28} {statistics.median(values):8.3f} s   x {statistics.median(ratios):.2f}"
            f"   ({ratios[0]:.2f} to {ratios[-1]:.2f})\n"
        )
