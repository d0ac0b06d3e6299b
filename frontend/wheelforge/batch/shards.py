"""A part of a batch, for one of several machines that share it.

Each machine splits the same jobs by the same rule, and builds its own part: nothing is agreed on.
So all of them have to know the same of the past; a digest of the split shows whether they do.
"""

from __future__ import annotations

import hashlib
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelforge.batch.jobs import Job


class Shard(NamedTuple):
    """The part with that number, counted from 1."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def split(jobs: Sequence[Job], seconds: Mapping[int, float], count: int) -> list[list[Job]]:
    """Return ``count`` parts that take about as long as each other, by what is known of the past.

    The longest goes to the part that has least so far; an unknown one is taken for the median.
    Jobs that need each other's wheels stay together.
    """
    median = statistics.median(seconds.values()) if seconds else 1.0
    groups = [
        (sum(seconds.get(job.number, median) for job in group), group) for group in _group(jobs)
    ]
    groups.sort(key=lambda pair: (-pair[0], [_name(job) for job in pair[1]]))
    parts: list[list[Job]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for weight, group in groups:
        number = min(range(count), key=lambda number: (loads[number], len(parts[number])))
        parts[number] += group
        loads[number] += weight
    return [sorted(part, key=lambda job: job.number) for part in parts]


def digest(parts: Sequence[Sequence[Job]]) -> str:
    """Return some digits that are the same for the same split."""
    names = repr([[_name(job) for job in part] for part in parts])
    return hashlib.sha256(names.encode()).hexdigest()[:8]


def _group(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return the jobs that need each other, directly or not, in groups."""
    groups: dict[int, list[Job]] = {job.number: [job] for job in jobs}
    for job in jobs:
        for need in job.needs:
            one, other = groups[job.number], groups[need]
            if one is not other:
                one += other
                groups.update((each.number, one) for each in other)
    whole = {id(group): group for group in groups.values()}
    return [sorted(group, key=lambda job: job.number) for group in whole.values()]


def _name(job: Job) -> tuple[str, str, int]:
    return job.request.label, job.python or "", job.number
