"""The commands beside `build`, and what they share with it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.cli.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from wheelforge.build.forge import Components, Forge
    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.events import Reporter
    from wheelforge.models import BuildRequest, Outcome


def build_alone(
    options: CommandOptions,
    components: Components,
    reporter: Reporter,
    on_outcome: Callable[[Outcome], None],
) -> None:
    """Build the one thing that is named."""
    from wheelforge.build.forge import open_forge
    from wheelforge.cli.settings import make_requests, make_settings

    (request,) = make_requests(options)
    settings = replace(make_settings(options), python=(options.pythons or [None])[0])
    with open_forge(settings, reporter=reporter, components=components) as forge:
        try:
            outcome = forge.try_build(request)
        except KeyboardInterrupt:
            from wheelforge.errors import BuildCancelledError
            from wheelforge.models import Outcome

            error = BuildCancelledError(request.label)
            on_outcome(Outcome(request=request, error=error, id="1"))
            raise
        on_outcome(outcome)


def run_metadata(options: CommandOptions) -> int:
    """Print the core metadata as JSON: an object, or for several sources an array of those read."""
    console = open_console(options)
    reads = (partial(_read_metadata, *each) for each in pair(options, console))
    return show_metadata(options, console, reads)


def show_metadata(
    options: CommandOptions, console: Console, reads: Iterable[Callable[[], object]]
) -> int:
    """Print what is read, as one object or as an array of those that could be."""
    from wheelforge_isolation import ForgeError

    found, has_failed = list[object](), False
    is_one = max(len(options.sources or ()), len(options.pythons or ())) <= 1
    with console.watch():
        for read in reads:
            try:
                found.append(read())
            except ForgeError as error:
                if is_one:
                    raise
                has_failed = True
                console.show_error(error)
    text = json.dumps(found[0] if is_one else found, ensure_ascii=False, indent=2)
    console.print_data(f"{text}\n")
    return 1 if has_failed else 0


def _read_metadata(forge: Forge, request: BuildRequest) -> object:
    from wheelforge.build.results import read_metadata
    from wheelforge.models import Kind
    from wheelforge_isolation.formats.metadata import to_json

    if isinstance(request.source, Path) and request.source.suffix == ".whl":
        return to_json(read_metadata(request.source))
    return to_json(forge.build(replace(request, kinds=(Kind.METADATA,))).metadata)


def run_fetch(options: CommandOptions) -> None:
    """Put what is locked into the cache."""
    from wheelforge.build.forge import fetch_locked
    from wheelforge.cli.settings import make_places
    from wheelforge.lockfile import read_lock

    console = Console(options.verbosity)
    lock = read_lock(options.locked)
    count = fetch_locked(make_places(options), lock, reporter=console.on_event)
    what = "1 file is" if count == 1 else f"{count} files are"
    sys.stdout.write(f"{what} in the cache\n")


def run_unpack(options: CommandOptions) -> None:
    """Unpack an archive, and say where it is and what was odd about it."""
    from wheelforge_isolation import Links, unpack

    console = Console(options.verbosity)
    links = Links(options.links) if options.links else None
    unpacked = unpack(options.archive, options.destination, links=links)
    for note in unpacked.notes:
        if note.is_warning or options.verbosity > 0:
            console.say("warning" if note.is_warning else "note", str(note))
    sys.stdout.write(f"{unpacked.root}\n")


def pair(options: CommandOptions, console: Console) -> Iterator[tuple[Forge, BuildRequest]]:
    """Yield each source with a forge for each Python."""
    from wheelforge.build.forge import open_forge
    from wheelforge.cli.settings import make_requests, make_settings

    requests = list(make_requests(options))
    with open_cache_place(options):
        settings = make_settings(options)
        for python in options.pythons or [None]:
            with open_forge(replace(settings, python=python), reporter=console.on_event) as forge:
                for request in requests:
                    yield forge, request


def open_console(options: CommandOptions) -> Console:
    """Refuse what cannot be meant, and return what tells of all else."""
    from wheelforge.cli.settings import check_contradictions

    check_contradictions(options)
    console = Console(options.verbosity)
    console.observer = getattr(options, "observer", None)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if options.verbosity > 0 and is_root and getattr(options, "sandbox", "") == "none":
        console.say("note", "hooks run as root, and in no sandbox: they can change this machine")
    if getattr(options, "requirement", None) or options.build_constraint:
        from wheelforge.cli.requirement_files import read_option_files

        read_option_files(options, partial(console.say, "note"))
    for text in options.config_setting or ():
        if "=" not in text:
            advice = f"`-C {text}=` is what pip understands too"
            console.say("warning", f"`-C {text}` has no value: {advice}")
    for source in filter(_is_bare_name, options.sources or ()):
        console.say("note", f"there is no file or directory `{source}`: the index is asked for it")
    return console


def _is_bare_name(source: Path | str) -> bool:
    """Return whether a path may have been meant that does not exist."""
    return isinstance(source, str) and re.fullmatch(r"[\w.-]+", source) is not None


@contextlib.contextmanager
def open_cache_place(options: CommandOptions) -> Generator[None]:
    """Let the cache be a temporary one inside, if that is wished for."""
    with contextlib.ExitStack() as stack:
        if options.no_cache:
            from wheelforge_isolation import temporary_directory

            options.cache_dir = Path(stack.enter_context(temporary_directory()))
        yield
