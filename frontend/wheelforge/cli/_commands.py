"""What each command does with its words."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.cli._cache import show_event
from wheelforge.cli._words import find_layout
from wheelforge_isolation import Links, find_interpreter, open_cache, open_stage, stage_name, unpack

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterable

    from wheelforge._index import Index
    from wheelforge._provision import Provisioner
    from wheelforge_isolation import Interpreter, Note


def run_build(options: argparse.Namespace) -> None:
    """Build, and say where each result is."""
    from wheelforge._build import Forge
    from wheelforge._hooks import HookRunner
    from wheelforge._models import BuildRequest

    source: Path = options.source
    parent = source if source.is_dir() else source.parent
    request = BuildRequest(
        source=source,
        output=options.outdir or parent / "dist",
        kinds=tuple(options.kinds or ()),
        links=_links(options),
    )
    runner = HookRunner(variables=os.environ)
    with warnings.catch_warnings(), _open_provisioner(options) as provisioner:
        if not options.verbose:
            warnings.simplefilter("ignore")  # pyproject-hooks repeats those of the backend here
        for artifact in Forge(provisioner=provisioner, runner=runner).build(request):
            sys.stdout.write(f"{artifact.path}\n")


@contextlib.contextmanager
def _open_provisioner(options: argparse.Namespace) -> Generator[Provisioner]:
    """Yield what makes environments as the words say."""
    from wheelforge._provision import Provisioner
    from wheelforge._resolve import Memory, read_constraints

    with contextlib.ExitStack() as stack:
        layout, limit = find_layout(options), options.cache_max_size
        cache = stack.enter_context(open_cache(layout, show_event, max_bytes=limit))
        search = os.get_exec_path()
        python = find_interpreter(
            options.python, search=list(map(Path, search)), memory=layout.interpreters
        )
        name = stage_name("requirements", str(options.source))
        stage = stack.enter_context(open_stage(layout.stages, name))
        yield Provisioner(
            cache=cache,
            python=python,
            index=stack.enter_context(_open_index(options, python)),
            memory=Memory(directory=layout.resolutions),
            workspace=stage.path / "fetched",
            search_path=os.pathsep.join(search),
            constraints=read_constraints(options.build_constraint or ()),
            require_hashes=options.require_hashes,
            exclude_newer=options.exclude_newer,
            offline=options.offline,
            refresh=options.refresh,
        )


def _open_index(options: argparse.Namespace, python: Interpreter) -> Index:
    from wheelforge._index import Index, IndexOptions, find_index_settings, list_config_files

    said = IndexOptions(
        index_url=options.index_url,
        extra_index_urls=tuple(options.extra_index_url or ()),
        find_links=tuple(options.find_links or ()),
        no_index=options.no_index,
        exclude_newer=options.exclude_newer,
    )
    files = list_config_files(os.environ, sys.platform, sys.prefix)
    settings = find_index_settings(os.environ, said, files)
    return Index(settings, python.tags, python.version)


def run_unpack(options: argparse.Namespace) -> None:
    """Unpack an archive, and say where it is and what was odd about it."""
    unpacked = unpack(options.archive, options.destination, links=_links(options))
    _show_notes(unpacked.notes, verbose=options.verbose)
    sys.stdout.write(f"{unpacked.root}\n")


def _links(options: argparse.Namespace) -> Links | None:
    return Links(options.links) if options.links else None


def _show_notes(notes: Iterable[Note], *, verbose: bool) -> None:
    for note in notes:
        if note.is_warning or verbose:
            sys.stderr.write(f"{'warning' if note.is_warning else 'note'}: {note}\n")
