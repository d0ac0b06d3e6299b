"""The end of a batch in a few lines: counts, causes of failures, places, and how to go on."""

from __future__ import annotations

import contextlib
import html
import re
from collections import Counter
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.cli.argument_types import describe_size
from wheelforge_isolation.formats.text import escape_line, shorten_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wheelforge.cli.console import Console
    from wheelforge.models import Outcome

_WORDS = {
    "built": "built",
    "reused": "reused",
    "resumed": "kept",
    "fetched": "fetched",
    "failed": "failed",
    "cancelled": "cancelled",
    "not-started": "not started",
}
_SOME_FAILED = 1
_LONGEST_CAUSE = 160
_MOST_ROWS = 50
"""GitHub takes a megabyte, and nobody reads it."""
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


class Batch(NamedTuple):
    """A batch that is over."""

    outcomes: Sequence[Outcome]
    seconds: float
    jobs: int = 1
    """0: as many as a cluster takes."""
    reports: tuple[Path, ...] = ()
    is_interrupted: bool = False

    @property
    def failed(self) -> list[Outcome]:
        """The builds that did not go well of themselves."""
        return [outcome for outcome in self.outcomes if outcome.verdict == "failed"]


def conclude(batch: Batch, console: Console) -> int:
    """Sum up a batch, say which builds have failed and why, and return the exit code."""
    outcomes, failed = batch.outcomes, batch.failed
    if len(outcomes) == 1:
        return outcomes[0].error.exit_code if outcomes[0].error else 0
    if failed:
        heading = f"{len(failed)} of {len(outcomes)} builds failed:"
        console.say("error", "\n".join([heading, *_list_failures(failed)]), is_needed=True)
    if outcomes:
        first, *rest = _list_facts(batch)
        kind = "note" if batch.is_interrupted else "done"
        console.say(kind, "\n".join([first, *(f"  {line}" for line in rest)]))
    return _SOME_FAILED if any(outcome.error for outcome in outcomes) else 0


def _list_failures(failed: Sequence[Outcome]) -> list[str]:
    """Return a line for each failure: source, code, and cause."""
    names = _name(failed)
    codes = [outcome.error.code if outcome.error else "" for outcome in failed]
    widths = max(map(len, names)), max(map(len, codes))
    rows = zip(names, codes, map(_find_cause, failed), strict=True)
    lines = (f"  {name:{widths[0]}}  {code:{widths[1]}}  {why}" for name, code, why in rows)
    return [line.rstrip() for line in lines]


def _name(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the names of builds, with their Pythons if there are several."""
    has_pythons = len({outcome.python for outcome in outcomes}) > 1
    return [
        escape_line(outcome.request.label) + f", Python {outcome.python}" * has_pythons
        for outcome in outcomes
    ]


def _find_cause(outcome: Outcome) -> str:
    text = escape_line(outcome.summarize(outcome.error)) if outcome.error else ""
    if len(text) <= _LONGEST_CAUSE:
        return text
    start = text[: _LONGEST_CAUSE - 3]
    # Part of a path or a URL would lead elsewhere.
    return f"{start.rpartition(' ')[0] or start} ..."


def _list_facts(batch: Batch) -> list[str]:
    wholes = [(each.whole.seconds, each) for each in batch.outcomes if each.whole is not None]
    work = sum(seconds for seconds, _ in wholes)
    jobs = f"{batch.jobs} jobs" if batch.jobs > 1 else "1 job" if batch.jobs else "a cluster"
    lines = [f"{_count(batch)} in {batch.seconds:.1f} s ({work:.1f} s of work, {jobs})"]
    if len(wholes) > 1:
        seconds, slowest = max(wholes, key=itemgetter(0))
        lines.append(f"slowest: {escape_line(slowest.request.label)} {seconds:.1f} s")
    found = sum(outcome.environments_found for outcome in batch.outcomes)
    made = sum(outcome.environments_made for outcome in batch.outcomes)
    if found + made:
        lines.append(f"environments: {found} from the cache, {made} made")
    hits = sum(outcome.compiler_hits for outcome in batch.outcomes)
    compiled = hits + sum(outcome.compiler_misses for outcome in batch.outcomes)
    if compiled:
        lines.append(f"compilations: {hits} of {compiled} from the compiler cache")
    return [*lines, *_list_places(batch)]


def _count(batch: Batch) -> str:
    counts = Counter[str](outcome.verdict for outcome in batch.outcomes)
    return ", ".join(f"{counts[key]} {word}" for key, word in _WORDS.items() if counts[key])


def _list_places(batch: Batch) -> Iterable[str]:
    """Yield where results and reports are, and how to go on."""
    files = {each.path: each.size_bytes for one in batch.outcomes for each in one.artifacts}
    places = {path.parent for path in files}
    if len(places) == 1:
        count = f"{len(files)} files" if len(files) > 1 else "1 file"
        size = describe_size(sum(files.values()))
        yield f"results in `{shorten_path(places.pop())}` ({count}, {size})"
    if batch.reports:
        yield f"reports: {', '.join(f'`{shorten_path(path)}`' for path in batch.reports)}"
    # Directories are always built.
    can_resume = any(outcome.artifacts and outcome.sha256 for outcome in batch.outcomes)
    if can_resume and any(outcome.error for outcome in batch.outcomes):
        yield "again: the same command with `--resume` keeps what is built"


def list_differences(comparison: Mapping[str, Sequence[Mapping[str, object]]]) -> list[str]:
    """Return the differences from an earlier report as lines, the first of which is a heading."""
    from wheelforge.report import HEADINGS

    lines = ["compared with the earlier report:"]
    for name, heading in HEADINGS.items():
        for build in comparison[name]:
            detail = escape_line(str(build["detail"]))
            label = escape_line(f"{build['label']}, Python {build['python']}")
            lines.append(f"  {heading}: {label}{detail and f': {detail}'}")
    return lines if len(lines) > 1 else ["no difference from the earlier report"]


def write_markdown(batch: Batch, variables: Mapping[str, str]) -> None:
    """Append the summary to the page that GitHub shows of a job, if this is one."""
    place = variables.get("GITHUB_STEP_SUMMARY")
    if not place or not batch.outcomes:
        return
    lines = [
        f"### wheelforge: {_count(batch)}",
        "",
        *(_escape(line) for line in _list_facts(batch)),
    ]
    if batch.failed:
        lines += ["", "| source | Python | error | cause |", "|---|---|---|---|"]
    for outcome in batch.failed[:_MOST_ROWS]:
        code = outcome.error.code if outcome.error else ""
        cells = (outcome.request.label, outcome.python, code, _find_cause(outcome))
        lines.append(f"| {' | '.join(_escape(cell[:_LONGEST_CAUSE]) for cell in cells)} |")
    rest = len(batch.failed) - _MOST_ROWS
    lines += [f"\nand {rest} more"] if rest > 0 else []
    # A build does not fail because nobody can read of it there.
    with contextlib.suppress(OSError), Path(place).open("ab") as file:
        file.write(("\n".join(lines) + "\n\n").encode(errors="replace"))


def _escape(text: str) -> str:
    """Return ``text`` without anything that means something in Markdown or HTML."""
    return _MARKS.sub(r"\\\1", html.escape(escape_line(text), quote=False))
