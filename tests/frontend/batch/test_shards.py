"""A batch that several machines share."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.batches import Yard
from wheelforge.batch.history import BuildTiming, Timings
from wheelforge.batch.jobs import Job
from wheelforge.batch.shards import digest, split
from wheelforge.models import BuildRequest
from wheelforge_isolation import JsonCache, Layout, remove_tree


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Job], dict[int, float]]:
    """Return jobs, some of which need earlier ones, and how long some of them took."""
    jobs: list[Job] = []
    seconds: dict[int, float] = {}
    for number in range(draw(st.integers(0, 30))):
        has_needs = number > 0 and draw(st.integers(0, 3)) == 0
        needs = draw(st.frozensets(st.integers(0, number - 1), max_size=2)) if has_needs else ()
        name = draw(st.sampled_from("abc"))
        request = BuildRequest(source=Path(f"/{name}.tar.gz"), output=Path("/out"))
        jobs.append(Job(number=number, request=request, needs=frozenset(needs)))
        if draw(st.booleans()):
            seconds[number] = draw(st.floats(0, 1000))
    return jobs, seconds


@given(batches(), st.integers(1, 7))
def test_shards__have_everything_once_and_take_equally_long(
    batch: tuple[list[Job], dict[int, float]], count: int
) -> None:
    jobs, seconds = batch

    parts = split(jobs, seconds, count)

    assert len(parts) == count
    assert sorted(job.number for part in parts for job in part) == [job.number for job in jobs]
    assert all({*job.needs} <= {other.number for other in part} for part in parts for job in part)
    ordered = sorted(seconds.values())
    middle = len(ordered) // 2
    median = (ordered[middle] + ordered[~middle]) / 2 if ordered else 1.0
    loads = [sum(seconds.get(job.number, median) for job in part) for part in parts]
    longest = max((sum(seconds.get(n, median) for n in chain) for chain in chains(jobs)), default=0)
    assert max(loads) - min(loads) <= longest * 1.000001
    if not seconds and not any(job.needs for job in jobs):
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    again = split(jobs[::-1], dict(sorted(seconds.items(), reverse=True)), count)
    assert (again, digest(again)) == (parts, digest(parts))


def chains(jobs: list[Job]) -> list[set[int]]:
    """Return the numbers of jobs that hang together."""
    found: list[set[int]] = []
    for job in jobs:
        own = {job.number, *job.needs}
        touched = [chain for chain in found if chain & own]
        found = [chain for chain in found if not chain & own]
        found.append(own.union(*touched))
    return found


def test_shards__of_machines_build_everything_once(yard: Yard) -> None:
    sources = [yard.sdist(name) for name in ("one", "two", "three", "four", "five")]
    sources += [yard.project("user", requires=["tool"]), yard.project("tool")]
    built, splits = list[str](), set[str]()
    for number in (1, 2, 3):
        remove_tree(str(yard.place / "cache"))  # each machine has its own
        code, out, err = yard.run(*sources, "-w", "--shard", f"{number}/3")
        assert code == 0, err
        built += [Path(line).name.split("-")[0] for line in out.splitlines()]
        found = re.match(rf"note: shard {number}/3: \d of 7 builds, 0 .*; split (\w+)\n", err)
        assert found, err
        splits.add(found[1])

    assert len(splits) == 1
    assert sorted(built) == ["five", "four", "one", "three", "tool", "two", "user"]


def test_shards__may_be_more_than_there_are_builds(yard: Yard) -> None:
    code, out, err = yard.run(yard.sdist("one"), "-w", "--shard", "99999999999/99999999999")

    assert (code, out) == (0, "")
    assert "shard 99999999999/99999999999: 0 of 1 builds" in err


def test_shards__know_how_long_builds_took(yard: Yard) -> None:
    slow, *quick = [yard.sdist(name) for name in ("slow", "quick1", "quick2", "quick3")]
    timings = Timings(JsonCache(Layout(root=yard.place / "cache").resolutions, "past"))
    for path, seconds in ((slow, 100.0), (quick[0], 1.0), (quick[1], 2.0)):
        job = Job(number=0, request=BuildRequest(source=path, output=yard.output))
        timings.store(job, BuildTiming(seconds=seconds, peak_bytes=0))

    # Of the last one nothing is known: it is taken for the median, so the first one is alone.
    outs = [yard.run(slow, *quick, "--shard", f"{number}/2")[1] for number in (2, 1)]

    assert [sorted(Path(line).name[:5] for line in out.split()) for out in outs] == [
        ["quick"] * 3,
        ["slow-"],
    ]
