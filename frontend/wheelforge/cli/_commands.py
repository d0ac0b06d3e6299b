"""What each command does with its words."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.cli._console import Console
from wheelforge_isolation import Links, temporary_directory, unpack

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator

    from wheelforge._build import Forge
    from wheelforge._lockfile import Recorder
    from wheelforge._models import BuildRequest


def run_build(options: argparse.Namespace) -> None:
    """Build, and say where each result is."""
    if options.metadata:
        run_metadata(options)
        return
    for forge, request in _pair(options):
        for artifact in forge.build(request).artifacts:
            sys.stdout.write(f"{artifact.path}\n")


def run_metadata(options: argparse.Namespace) -> None:
    """Print the core metadata of each source as JSON."""
    from wheelforge._results import describe_metadata

    for forge, request in _pair(options):
        metadata = describe_metadata(_obtain_metadata(forge, request))
        sys.stdout.write(f"{json.dumps(metadata, ensure_ascii=False, indent=2)}\n")


def _obtain_metadata(forge: Forge, request: BuildRequest) -> bytes:
    from wheelforge._models import Kind
    from wheelforge._results import read_metadata

    if isinstance(request.source, Path) and request.source.suffix == ".whl":
        return read_metadata(request.source)
    return forge.build(replace(request, kinds=(Kind.METADATA,))).metadata


def run_lock(options: argparse.Namespace) -> None:
    """Write down what builds need, and build nothing but what is needed for that."""
    from wheelforge._lockfile import Recorder, write_lock

    recorder = Recorder()
    for forge, request in _pair(options, recorder=recorder):
        forge.build(replace(request, stops_early=True))
    write_lock(recorder.lock(), options.output)
    sys.stdout.write(f"{options.output}\n")


def run_fetch(options: argparse.Namespace) -> None:
    """Put what is locked into the cache."""
    from wheelforge._lockfile import read_lock
    from wheelforge._workshop import fetch_locked
    from wheelforge.cli._settings import make_settings

    console = Console(options.verbosity)
    lock = read_lock(options.locked)
    count = fetch_locked(make_settings(options), lock, reporter=console.hear)
    sys.stdout.write(f"{count} files are in the cache\n")


def run_unpack(options: argparse.Namespace) -> None:
    """Unpack an archive, and say where it is and what was odd about it."""
    console = Console(options.verbosity)
    links = Links(options.links) if options.links else None
    unpacked = unpack(options.archive, options.destination, links=links)
    for note in unpacked.notes:
        if note.is_warning or options.verbosity > 0:
            console.say("warning" if note.is_warning else "note", str(note))
    sys.stdout.write(f"{unpacked.root}\n")


def _pair(
    options: argparse.Namespace, recorder: Recorder | None = None
) -> Iterator[tuple[Forge, BuildRequest]]:
    """Yield each source with a forge for each Python."""
    from wheelforge._workshop import open_forge
    from wheelforge.cli._settings import make_requests, make_settings

    console = Console(options.verbosity)
    requests = list(make_requests(options))
    with _open_cache_place(options):
        settings = replace(make_settings(options), recorder=recorder)
        for python in options.pythons or [None]:
            with open_forge(replace(settings, python=python), reporter=console.hear) as forge:
                for request in requests:
                    yield forge, request


@contextlib.contextmanager
def _open_cache_place(options: argparse.Namespace) -> Generator[None]:
    """Let the cache be a temporary one inside, if that is wished for."""
    with contextlib.ExitStack() as stack:
        if options.no_cache:
            options.cache_dir = Path(stack.enter_context(temporary_directory()))
        yield
