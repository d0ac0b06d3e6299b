"""The table of a run: how far each wheel was the same the second time, by backend, and why not."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

VERDICTS = ("identical", "equivalent", "same content", "different")
FAILED = "not built"
UNREPEATED = "not built twice"
_HEAD = """\
# Real sdists, built twice

`python -m tests.repeat` has written this: each sdist is built with `--repeat`, so the second time
in other circumstances, and the two wheels are compared. Causes are in `causes.toml`.
"""
_VERDICT = re.compile(rf"`[^`]+`: the second time it is (?:({'|'.join(VERDICTS)})|not made)")
_AGAIN = "the second time it cannot be built: "
_SAME = re.compile(r"the second time has the same (.+) on this machine")


class Result(NamedTuple):
    """An sdist that was built twice, or could not be."""

    file: str
    backend: str
    verdict: str
    same: str
    """The circumstances that could not be other ones."""
    details: Sequence[str]
    """The first differences, or why there is no second wheel."""


def read_report(file: str, report: Mapping[str, Any]) -> Result:
    """Return what a report tells of its one build."""
    (build,) = report["builds"]
    backend = str(build.get("backend") or "").partition(":")[0]
    error = build.get("error")
    if error:
        return Result(file, backend, FAILED, "", [f"`{error['code']}`"])
    notes = list(map(str, build["notes"]))
    same = next((found[1] for note in notes if (found := _SAME.fullmatch(note))), "")
    again = [note for note in notes if note.startswith(_AGAIN)]
    if again:
        return Result(file, backend, UNREPEATED, same, again)
    place, verdict = next(
        (place, found[1]) for place, note in enumerate(notes) if (found := _VERDICT.fullmatch(note))
    )
    # Where RECORD differs, another file does.
    more = notes[place + 1 :]
    details = [note for note in more if note.startswith("`") and ".dist-info/RECORD`" not in note]
    return Result(file, backend, verdict or UNREPEATED, same, details)


def read_causes() -> dict[str, str]:
    """Return why some wheels were not identical, by their sdists."""
    path = Path(__file__).with_name("causes.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def format_table(results: Sequence[Result], causes: Mapping[str, str] | None = None) -> str:
    """Return the whole page."""
    causes = read_causes() if causes is None else causes
    return "\n".join([
        _HEAD,
        *_format_backends(results),
        "",
        *_format_others(results, causes),
        "",
    ])


def _format_backends(results: Sequence[Result]) -> Iterator[str]:
    built = [each for each in results if each.verdict != FAILED]
    counts: dict[str, Counter[str]] = {}
    for result in built:
        counts.setdefault(result.backend.partition(".")[0], Counter())[result.verdict] += 1
    columns = [*VERDICTS, *([UNREPEATED] if any(c[UNREPEATED] for c in counts.values()) else [])]
    yield f"{len(built)} of {len(results)} sdists could be built.\n"
    yield f"| backend | wheels | {' | '.join(columns)} |"
    yield f"|---|---|{'---|' * len(columns)}"
    rows = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    for name, row in [*rows, ("all", sum(counts.values(), Counter[str]()))]:
        numbers = [str(row[verdict]) for verdict in columns]
        yield f"| {name or 'none'} | {row.total()} | {' | '.join(numbers)} |"
    same = {each.same for each in built} - {""}
    if same:
        yield f"\nThe same both times: {', '.join(sorted(same))}."


def _format_others(results: Sequence[Result], causes: Mapping[str, str]) -> Iterator[str]:
    yield "| sdist | verdict | why |\n|---|---|---|"
    for result in sorted(results, key=lambda each: (_rank(each), each.file.lower())):
        if result.verdict != VERDICTS[0]:
            told = result.details[0] if result.details else "modes, times or order of members"
            why = causes.get(result.file) or told
            why = " ".join(why.split()).replace("|", "/")
            yield f"| {result.file} | {result.verdict} | {why} |"


def _rank(result: Result) -> int:
    order = [*reversed(VERDICTS), UNREPEATED, FAILED]
    return order.index(result.verdict)
