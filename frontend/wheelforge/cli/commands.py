"""What each command does with its words."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.cli.console import Console
from wheelforge.cli.reports import check_reports, open_reports
from wheelforge.errors import OptionInvalidError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Iterator, Sequence

    from wheelforge.build.forge import Forge
    from wheelforge.events import BuildEvent, Reporter
    from wheelforge.lockfile import Recorder
    from wheelforge.models import BuildRequest, Outcome

    Build = Callable[[argparse.Namespace, Reporter, Callable[[Outcome], None]], None]

_SOME_FAILED = 1


def run_build(options: argparse.Namespace) -> int:
    """Build, say where each result is, and return the exit code."""
    if options.metadata:
        check_reports(options)
        if options.kinds:
            raise OptionInvalidError("--metadata", "it says to build something, too")
        run_metadata(options)
        return 0
    console = _open_console(options)
    reporters: list[Reporter] = [console.hear]
    outcomes: list[Outcome] = []

    def report(event: BuildEvent) -> None:
        for reporter in reporters:
            reporter(event)

    def hear(outcome: Outcome) -> None:
        outcomes.append(outcome)
        reports.add(outcome)
        console.show_outcome(outcome)

    with open_reports(options) as reports, _open_cache_place(options), console.watch():
        reporters.append(reports.hear)
        build = _build_alone if _is_alone(options) else _import_batches()
        build(options, report, hear)
    return _conclude(outcomes, console)


def _is_alone(options: argparse.Namespace) -> bool:
    """Return whether there is one build and nothing else: it need not wait for what many need."""
    is_one = len(options.sources) <= 1 and len(options.pythons or ()) <= 1
    is_plain = not (options.requirement or options.with_deps or options.no_binary)
    return is_one and is_plain and not options.resume


def _import_batches() -> Build:
    from wheelforge.cli.batch import build_many

    return build_many


def _build_alone(
    options: argparse.Namespace, report: Reporter, hear: Callable[[Outcome], None]
) -> None:
    from wheelforge.build.prestart import make_prestarter
    from wheelforge.cli.settings import make_requests, make_settings
    from wheelforge.hooks import RunnerPool

    (request,) = make_requests(options)
    settings = replace(make_settings(options), python=(options.pythons or [None])[0])
    with RunnerPool() as pool:
        if settings.isolated:
            make_prestarter(settings).start(request.source, settings.variables, pool)
        # Only now, as it takes a while in which the backend is imported on another core.
        from wheelforge.build.open import Components, open_forge

        with open_forge(settings, reporter=report, components=Components(pool=pool)) as forge:
            hear(forge.try_build(request))


def _conclude(outcomes: Sequence[Outcome], console: Console) -> int:
    """Say which builds have failed, and return the exit code."""
    failed = [(outcome, outcome.error) for outcome in outcomes if outcome.error is not None]
    if not failed or len(outcomes) == 1:
        return failed[0][1].exit_code if failed else 0
    lines = [f"{len(failed)} of {len(outcomes)} builds failed:"]
    for outcome, error in failed:
        lines.append(f"  {outcome.request.label}, Python {outcome.python}: {error.code}")
    console.say("error", "\n".join(lines), is_needed=True)
    return _SOME_FAILED


def run_metadata(options: argparse.Namespace) -> None:
    """Print the core metadata of each source as JSON."""
    from wheelforge_isolation.formats.metadata import to_json

    console = _open_console(options)
    with console.watch():
        for forge, request in _pair(options, console):
            metadata = to_json(_obtain_metadata(forge, request))
            console.print_data(f"{json.dumps(metadata, ensure_ascii=False, indent=2)}\n")


def _obtain_metadata(forge: Forge, request: BuildRequest) -> bytes:
    from wheelforge.build.results import read_metadata
    from wheelforge.models import Kind

    if isinstance(request.source, Path) and request.source.suffix == ".whl":
        return read_metadata(request.source)
    return forge.build(replace(request, kinds=(Kind.METADATA,))).metadata


def run_lock(options: argparse.Namespace) -> None:
    """Write down what builds need, and build nothing but what is needed for that."""
    from wheelforge.lockfile import Recorder, write_lock

    recorder, console = Recorder(), _open_console(options)
    with console.watch():
        for forge, request in _pair(options, console, recorder):
            forge.build(replace(request, stops_early=True))
    write_lock(recorder.lock(), options.output)
    sys.stdout.write(f"{options.output}\n")


def run_fetch(options: argparse.Namespace) -> None:
    """Put what is locked into the cache."""
    from wheelforge.build.open import fetch_locked
    from wheelforge.cli.settings import make_places
    from wheelforge.lockfile import read_lock

    console = Console(options.verbosity)
    lock = read_lock(options.locked)
    count = fetch_locked(make_places(options), lock, reporter=console.hear)
    sys.stdout.write(f"{count} files are in the cache\n")


def run_unpack(options: argparse.Namespace) -> None:
    """Unpack an archive, and say where it is and what was odd about it."""
    from wheelforge_isolation import Links, unpack

    console = Console(options.verbosity)
    links = Links(options.links) if options.links else None
    unpacked = unpack(options.archive, options.destination, links=links)
    for note in unpacked.notes:
        if note.is_warning or options.verbosity > 0:
            console.say("warning" if note.is_warning else "note", str(note))
    sys.stdout.write(f"{unpacked.root}\n")


def _pair(
    options: argparse.Namespace, console: Console, recorder: Recorder | None = None
) -> Iterator[tuple[Forge, BuildRequest]]:
    """Yield each source with a forge for each Python."""
    from wheelforge.build.open import open_forge
    from wheelforge.cli.settings import make_requests, make_settings

    requests = list(make_requests(options))
    with _open_cache_place(options):
        settings = replace(make_settings(options), recorder=recorder)
        for python in options.pythons or [None]:
            with open_forge(replace(settings, python=python), reporter=console.hear) as forge:
                for request in requests:
                    yield forge, request


def _open_console(options: argparse.Namespace) -> Console:
    """Refuse what cannot be meant, and return what tells of all else."""
    from wheelforge.cli.settings import list_bare_settings, refuse_contradictions

    refuse_contradictions(options)
    console = Console(options.verbosity)
    for key in list_bare_settings(options):
        console.say("warning", f"`-C {key}` has no value: `-C {key}=` is what pip understands too")
    return console


@contextlib.contextmanager
def _open_cache_place(options: argparse.Namespace) -> Generator[None]:
    """Let the cache be a temporary one inside, if that is wished for."""
    with contextlib.ExitStack() as stack:
        if options.no_cache:
            from wheelforge_isolation import temporary_directory

            options.cache_dir = Path(stack.enter_context(temporary_directory()))
        yield
