"""The table that a run writes: what was compared, what differs, and why."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.foreign.compare import Verdict
from tests.foreign.matrix import Scenario
from tests.foreign.results import Result

Results = Mapping[Scenario, Mapping[str, Result]]

_HEAD = """\
# Other people's projects, built here and by others

`python -m tests.foreign` has written this. Each scenario is a source, a kind of build and a Python;
"the same" means the same outcome, file names, members and contents as with each peer.
"""
_SHOWN = 5


def format_table(results: Results, verdict: Verdict, total: int) -> str:
    """Return the whole page; ``total`` is the number of all scenarios."""
    return "\n".join([
        _HEAD,
        f"Run: {len(results)} of {total} scenarios.\n",
        *_format_suites(results, verdict),
        "\n## Differences, and why\n",
        *_format_explained(verdict),
        *_format_problems(verdict),
        "\n## Sources\n",
        *_format_sources(results, verdict),
        "",
    ])


def _format_suites(results: Results, verdict: Verdict) -> Iterator[str]:
    differing = {_scenario_of(difference.where) for difference, _ in verdict.explained}
    unexplained = {_scenario_of(difference.where) for difference in verdict.unexplained}
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for scenario, by_program in results.items():
        row = counts.setdefault((scenario.suite, scenario.kind, scenario.python), Counter())
        row["scenarios"] += 1
        row["built"] += by_program["wheelforge"].outcome == "built"
        row["explained"] += scenario.id in differing - unexplained
        row["unexplained"] += scenario.id in unexplained
    yield "| suite | kind | Python | scenarios | built | the same | explained | unexplained |"
    yield "|---|---|---|---|---|---|---|---|"
    total = sum(counts.values(), Counter[str]())
    for (suite, kind, python), row in [*counts.items(), (("all", "", ""), total)]:
        same = row["scenarios"] - row["explained"] - row["unexplained"]
        numbers = [row["scenarios"], row["built"], same, row["explained"], row["unexplained"]]
        yield f"| {' | '.join([suite, kind, python, *map(str, numbers)])} |"


def _format_explained(verdict: Verdict) -> Iterator[str]:
    places: dict[str, dict[str, None]] = {}
    for difference, explanation in verdict.explained:
        places.setdefault(explanation.why, {})[difference.where] = None
    for why, found in sorted(places.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(f"`{where}`" for where in [*found][:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield f"- {why}\n  {shown}{more}"


def _format_problems(verdict: Verdict) -> Iterator[str]:
    if verdict.unexplained:
        yield "\n## Unexplained\n"
    for difference in verdict.unexplained:
        yield f"- `{difference.where}`: {difference.what}"
    if verdict.stale:
        yield "\n## Explanations of nothing\n"
    for entry in verdict.stale:
        yield f"- `{entry.where}`, `{entry.what}`: {entry.why}"


def _format_sources(results: Results, verdict: Verdict) -> Iterator[str]:
    """Yield a line for each source: its outcomes, with a mark where a peer differs."""
    differing = {
        _scenario_of(difference.where)
        for difference in [*(found for found, _ in verdict.explained), *verdict.unexplained]
    }
    lines: dict[str, list[str]] = {}
    for scenario, by_program in results.items():
        mark = " *" if scenario.id in differing else ""
        ours = by_program["wheelforge"]
        outcome = f"`{ours.error}`" if ours.error else ours.outcome
        key = f"{scenario.suite} | {scenario.name}"
        lines.setdefault(key, []).append(f"{scenario.kind} {scenario.python}: {outcome}{mark}")
    yield "A star marks what differs from a peer and is explained above.\n"
    yield "| suite | source | outcomes |\n|---|---|---|"
    for key, outcomes in lines.items():
        yield f"| {key} | {', '.join(outcomes)} |"


def _scenario_of(where: str) -> str:
    return where.rpartition("/")[0]


def list_problems(verdict: Verdict) -> list[str]:
    """Return what makes the command fail, a line each."""
    return [line for line in _format_problems(verdict) if line.startswith("- ")]
