"""``wheelforge --plan``: what would be built, in which order and with what."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.batch.plan import plan_batch
from wheelforge.cli.batch import read_batch
from wheelforge.cli.commands import open_cache_place, open_console
from wheelforge.errors import UsageError
from wheelforge_isolation.formats.text import escape_line
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wheelforge.batch.plan import BatchPlan, PlannedJob
    from wheelforge.build.environments import PlannedFile
    from wheelforge.build.plan import BuildPlan
    from wheelforge.cli.command_options import CommandOptions

UNKNOWN = (
    "further build requirements, which `get_requires_for_build_*` names",
    "the file names of results, and the version where the backend finds it",
    "whether a build fails, and is repeated with what there was when the sdist was published",
)
"""Facts that no plan has: only hooks tell them."""
_ORIGINS = {
    "cache": "from the cache",
    "disk": "from this machine",
    "download": "to be downloaded",
    "build": "to be built first",
}


def run(options: CommandOptions) -> int:
    """Print the plan, and return the exit code of a run as far as its failures are known."""
    if not options.plan:
        raise UsageError("option-invalid", "--json", "it is for `--plan` only")
    console = open_console(options)
    with open_cache_place(options), console.watch():
        plan = plan_batch(*read_batch(options), console.on_event)
    if options.json:
        console.print_data(f"{json.dumps(_describe(plan), indent=2, ensure_ascii=False)}\n")
    else:
        console.print_data("".join(f"{line}\n" for line in _format(plan)))
    plans = [*(each.plan for each in plan.builds), *plan.failed]
    for each in plans:
        if each.error is not None:
            console.show_error(each.error)
    codes = [each.error.exit_code for each in plans if each.error]
    return min(codes, default=0) if len(plans) == 1 else min(len(codes), 1)


# As data


def _describe(plan: BatchPlan) -> dict[str, Any]:
    return {
        "at_once": plan.at_once,
        "builds": [_describe_job(each) for each in plan.builds],
        "collected": list(map(_describe_file, plan.collected)),
        "sets": [_describe_build(each) for each in plan.failed],
        "unknown": UNKNOWN,
    }


def _describe_job(each: PlannedJob) -> dict[str, Any]:
    return {
        "id": each.job.id,
        "needs": _list_needs(each),
        "seconds": each.seconds,
        "is_kept": each.is_kept,
        "is_reused": each.plan.is_reused,
        **_describe_build(each.plan),
    }


def _list_needs(each: PlannedJob) -> list[str]:
    return [str(number + 1) for number in sorted(each.job.needs)]


def _describe_build(plan: BuildPlan) -> dict[str, Any]:
    environment, error = plan.environment, plan.error
    return {
        "source": redact(str(plan.request.source)),
        "sha256": plan.sha256,
        "python": plan.python,
        "kinds": [kind.value for kind in plan.kinds],
        "output": str(plan.request.output),
        "name": plan.name,
        "version": plan.version,
        "backend": plan.backend,
        "requires": plan.requires,
        "environment": environment
        and {
            "in_cache": environment.is_here,
            "files": list(map(_describe_file, environment.files)),
        },
        "notes": plan.notes,
        "unknown": plan.unknown,
        "error": error and {"code": error.code, "summary": str(error), "hint": error.hint},
    }


def _describe_file(file: PlannedFile) -> dict[str, str]:
    return {
        "name": file.name,
        "version": file.version,
        "file": file.file_name,
        "from": file.origin,
    }


# For people


def _format(plan: BatchPlan) -> Iterator[str]:
    for each in plan.builds:
        yield from _format_job(each)
    for failed in plan.failed:
        yield f"the set of {redact(str(failed.request.source))} is not known"
        yield from _list_problems(failed)
    if plan.collected:
        yield "without a build"
        yield from _format_files(plan.collected)
    real = [each for each in plan.builds if not (each.is_kept or each.plan.is_reused)]
    kept = sum(each.is_kept for each in plan.builds)
    reused = len(plan.builds) - len(real) - kept
    said = [f"{_count(len(real), 'build')}, {plan.at_once} at a time"]
    said += [f"{kept} kept as delivered before"] if kept else []
    said += [f"{_count(reused, 'wheel')} of earlier builds"] if reused else []
    environments = (each.plan.environment for each in real)
    files = {file for found in environments if found and not found.is_here for file in found.files}
    downloads = [file for file in {*files, *plan.collected} if file.origin == "download"]
    said += [f"{_count(len(downloads), 'wheel')} to be downloaded"]
    yield "; ".join(said)
    yield "only hooks can tell:"
    yield from (f"  {text}" for text in UNKNOWN)


def _format_job(each: PlannedJob) -> Iterator[str]:
    plan = each.plan
    release = f"{plan.name} {plan.version}".strip()
    is_told = release.replace(" ", "==") != plan.request.label
    shown = f"{plan.request.label} ({release})" if release and is_told else plan.request.label
    yield escape_line(f"{each.job.id}. {shown} with Python {plan.python}")
    if each.is_kept or each.plan.is_reused:
        yield f"   {'delivered before: kept' if each.is_kept else 'its wheel is in the cache'}"
        yield from _list_notes(plan)
        return
    if each.job.needs:
        yield f"   after {', '.join(_list_needs(each))}, with the wheels of these"
    if plan.kinds:
        kinds = ", ".join(kind.value for kind in plan.kinds)
        yield escape_line(f"   {kinds} -> {_shorten(plan.request.output)}")
    if plan.backend:
        yield escape_line(f"   {plan.backend} requires {', '.join(plan.requires) or 'nothing'}")
    if plan.environment is not None:
        where = "from the cache" if plan.environment.is_here else "to be made"
        yield f"   environment: {where}"
        yield from _format_files(plan.environment.files)
    yield from _list_problems(plan)
    if each.seconds is not None:
        yield f"   took {each.seconds:.1f} s the last time"


def _list_notes(plan: BuildPlan) -> Iterator[str]:
    return (escape_line(f"   note: {note}") for note in plan.notes)


def _list_problems(plan: BuildPlan) -> Iterator[str]:
    yield from _list_notes(plan)
    if plan.unknown:
        yield escape_line(f"   environment: {plan.unknown}")
    if plan.error:
        yield f"   fails: {plan.error.code}"


def _format_files(files: Sequence[PlannedFile]) -> Iterable[str]:
    width = max((len(f"{file.name} {file.version}") for file in files), default=0)
    for file in files:
        release = f"{file.name} {file.version}"
        yield escape_line(f"     {release:{width}}  {_ORIGINS[file.origin]}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _shorten(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
