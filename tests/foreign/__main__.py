"""``python -m tests.foreign``: other people's test projects and sdists, by us, ``build`` and uv.

What was built is kept below ``.foreign`` and not built again while program and source are the same,
so a run that was ended goes on where it was. ``table.md`` is written when all was run; the exit
code is 1 if a difference is not explained, or an explanation explains nothing.
"""

import argparse
import hashlib
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

from tests.benchmarks.peers import Tools
from tests.foreign.callers import list_callers
from tests.foreign.compare import Difference, find_differences, judge, read_explanations
from tests.foreign.environments import Environments
from tests.foreign.matrix import HOME, PYTHONS, Scenario, fetch_sources, list_scenarios
from tests.foreign.programs import OURS, Programs
from tests.foreign.results import Result, load_result
from tests.foreign.table import format_table, list_problems

TABLE = Path(__file__).with_name("table.md")


def main(words: Sequence[str] | None = None) -> int:
    """Run what was selected, judge it, and write the table if that was everything."""
    options = _parse(words)
    fetch_sources()
    matrix = [*list_callers(), *list_scenarios()]
    everything = [*list_callers(), *list_scenarios(options.python)] if options.python else matrix
    selected = [scenario for scenario in everything if _is_selected(scenario, options)]
    programs = Programs(environments=Environments(tools=Tools()))
    if options.stored:
        found = {scenario: _load_newest(programs, scenario) for scenario in selected}
        results = {scenario: loaded for scenario, loaded in found.items() if loaded}
        selected = list(results)
    else:
        with ThreadPoolExecutor(options.jobs) as pool:
            ran = list(pool.map(lambda scenario: _run(programs, scenario), selected))
        results = dict(zip(selected, ran, strict=True))
    verdict = judge(
        [found for scenario in selected for found in _compare(scenario, results[scenario])],
        read_explanations(),
        ran=_pair(programs, selected),
        matrix=_pair(programs, matrix),
    )
    table = options.output or (TABLE if selected == matrix else None)
    if table is not None:
        table.write_text(format_table(results, verdict, len(matrix)), encoding="utf-8")
    problems = list_problems(verdict)
    differing = len({found.where for found, _ in verdict.explained})
    sys.stdout.write("".join(f"{line}\n" for line in problems))
    sys.stdout.write(f"{len(selected)} scenarios, {differing} explained, {len(problems)} not\n")
    return 1 if problems else 0


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.foreign", description="Build other people's projects, and compare."
    )
    add = parser.add_argument
    add("--suite", action="append", help="only this suite (repeatable)")
    add("--only", action="append", metavar="PATTERN", help="only such scenarios (repeatable)")
    add("--python", action="append", choices=PYTHONS, help="with this Python (repeatable)")
    add("--jobs", type=int, default=2, help="scenarios at a time (2)")
    add("--stored", action="store_true", help="build nothing: judge what was built before")
    add("--output", type=Path, metavar="FILE", help="write the table there, whatever was run")
    return parser.parse_args(words)


def _is_selected(scenario: Scenario, options: argparse.Namespace) -> bool:
    return (not options.suite or scenario.suite in options.suite) and (
        not options.only or any(fnmatchcase(scenario.id, only) for only in options.only)
    )


def _pair(programs: Programs, scenarios: Sequence[Scenario]) -> set[str]:
    return {
        f"{scenario.id}/{peer}"
        for scenario in scenarios
        for peer in programs.list_peers(scenario.kind)
    }


def _run(programs: Programs, scenario: Scenario) -> dict[str, Result]:
    """Return the results of all programs, at the same path one after the other."""
    place = HOME / "work" / hashlib.sha256(scenario.id.encode()).hexdigest()[:8]
    place.mkdir(parents=True, exist_ok=True)
    results: dict[str, Result] = {}
    for program in (OURS, *programs.list_peers(scenario.kind)):
        identity = f"{programs.identify(program, scenario.kind)} {scenario.source}"
        key = hashlib.sha256(identity.encode()).hexdigest()[:16]
        stored = HOME / "results" / scenario.id / f"{program}-{key}.json"
        result = load_result(stored)
        if result is None:
            result = programs.run(program, scenario, place)
            result.store(stored)
            sys.stderr.write(f"{scenario.id} {program}: {result.outcome} {result.seconds} s\n")
        results[program] = result
    shutil.rmtree(place, ignore_errors=True)  # ruff: ignore[banned-api]
    return results


def _load_newest(programs: Programs, scenario: Scenario) -> dict[str, Result]:
    """Return the last results of all programs, whatever their sources were; none if one lacks."""
    results: dict[str, Result] = {}
    for program in (OURS, *programs.list_peers(scenario.kind)):
        stored = (HOME / "results" / scenario.id).glob(f"{program}-*.json")
        newest = max(stored, key=lambda path: path.stat().st_mtime, default=None)
        result = load_result(newest) if newest else None
        if result is None:
            return {}
        results[program] = result
    return results


def _compare(scenario: Scenario, results: dict[str, Result]) -> list[Difference]:
    return [
        found
        for peer, theirs in results.items()
        if peer != OURS
        for found in find_differences(f"{scenario.id}/{peer}", results[OURS], theirs)
    ]


if __name__ == "__main__":
    sys.exit(main())
