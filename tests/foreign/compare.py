"""Differences between our result and a peer's, and the file that explains them.

A difference that nothing in ``explained.toml`` explains fails the command, and so does an
explanation of nothing, where all that it is about was run.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.foreign.results import Result

EXPLAINED = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same: ``where`` is a scenario and a peer."""

    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Two patterns that tell which differences are meant, and the reason for them."""

    where: str
    what: str
    why: str

    def covers(self, difference: Difference) -> bool:
        return fnmatchcase(difference.where, self.where) and fnmatchcase(difference.what, self.what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All differences with their explanations, and the explanations of nothing."""

    explained: Sequence[tuple[Difference, Explanation]]
    unexplained: Sequence[Difference]
    stale: Sequence[Explanation]


def read_explanations(path: Path = EXPLAINED) -> list[Explanation]:
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get("explained", [])
    return [Explanation(**entry) for entry in listed]


def find_differences(where: str, ours: Result, theirs: Result) -> list[Difference]:
    """Compare outcomes, then file names, then members and their contents."""
    return [Difference(where=where, what=what) for what in _compare(ours, theirs)]


def _compare(ours: Result, theirs: Result) -> Iterator[str]:
    if ours.outcome != theirs.outcome:
        error = f" ({ours.error})" if ours.error else ""
        yield f"outcome: {ours.outcome}{error}, not {theirs.outcome}"
        return
    if _without_place(ours.exception) not in _without_place(theirs.said):
        yield f"reason: {ours.exception}"
    yield from _compare_names("file", ours.files, theirs.files)
    for name in sorted(ours.files.keys() & theirs.files.keys()):
        mine, other = ours.files[name], theirs.files[name]
        yield from _compare_names("member", mine, other)
        for member in sorted(mine.keys() & other.keys()):
            if mine[member] != other[member]:
                yield f"content: {member}"


def _without_place(text: str) -> str:
    """Leave out where the environment is: each frontend has it elsewhere."""
    return re.sub(r"'/[^' ]*/bin/(python[\d.]*)'", r"'\1'", text)


def _compare_names(word: str, ours: Collection[str], theirs: Collection[str]) -> Iterator[str]:
    for name in sorted(set(ours) - set(theirs)):
        yield f"{word}: only ours has {name}"
    for name in sorted(set(theirs) - set(ours)):
        yield f"{word}: only theirs has {name}"


def judge(
    differences: Sequence[Difference],
    explanations: Sequence[Explanation],
    *,
    ran: Collection[str],
    matrix: Collection[str],
) -> Verdict:
    """Match differences with explanations; ``ran`` and ``matrix`` hold scenarios with peers."""
    explained: list[tuple[Difference, Explanation]] = []
    unexplained: list[Difference] = []
    for difference in differences:
        covering = [entry for entry in explanations if entry.covers(difference)]
        if covering:
            explained.append((difference, covering[0]))
        else:
            unexplained.append(difference)
    used = [entry for entry in explanations if any(map(entry.covers, differences))]
    stale = [
        entry
        for entry in explanations
        if entry not in used
        and all(where in ran for where in matrix if fnmatchcase(where, entry.where))
    ]
    return Verdict(explained=explained, unexplained=unexplained, stale=stale)
