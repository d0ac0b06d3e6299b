"""Fair comparison on a noisy machine: contenders take turns, and ratios are made pair by pair."""

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import Samples

Act = Callable[[Path], object]
FAST_DISK = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]


def _prepare_nothing(_: Path) -> None:
    """Leave the directory as it is."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that can be run again and again, each time in an empty directory."""

    run: Act
    prepare: Act = _prepare_nothing
    """Preparation of that directory, which is not counted."""
    is_here: bool = False
    """Whether this process works for it; else its processor time is that of children alone."""


def measure(
    contenders: Mapping[str, Contender], rounds: int, parent: Path | None = None
) -> dict[str, Samples]:
    """Return what each contender took, round by round, after one round of warm-up.

    Each round begins with another contender: who comes first pays for the idle processor.
    """
    names = list(contenders)
    samples = {name: Samples() for name in names}
    for number in range(rounds + 1):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            seconds, cpu = time_once(contenders[name], parent)
            if number:
                samples[name].values.append(seconds)
                samples[name].cpu.append(cpu)
    return samples


def time_once(contender: Contender, parent: Path | None = None) -> tuple[float, float]:
    """Return the seconds on the clock, and those that processors worked for it."""
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        contender.prepare(Path(directory))
        gc.collect()
        cpu, start = _cpu_seconds(contender), time.perf_counter()
        contender.run(Path(directory))
        return time.perf_counter() - start, _cpu_seconds(contender) - cpu


def _cpu_seconds(contender: Contender) -> float:
    """Return the processor time so far, without that of an index that this process serves."""
    own = time.process_time() if contender.is_here else 0.0
    if sys.platform == "win32":
        return own  # Windows keeps no count for ended children
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + children.ru_utime + children.ru_stime


def fast_disk() -> Path | None:
    """Return a directory in memory, for what would otherwise measure the disk."""
    return FAST_DISK if FAST_DISK.is_dir() else None
