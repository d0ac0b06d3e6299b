"""What each command does with its words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wheelforge._models import BuildRequest
from wheelforge_isolation import Layout, Links, default_layout, unpack

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

    from wheelforge_isolation import Note


def run_build(options: argparse.Namespace) -> None:
    """Build, and say where each result is."""
    from wheelforge._build import build

    source: Path = options.source
    parent = source if source.is_dir() else source.parent
    request = BuildRequest(
        source=source,
        output=options.outdir or parent / "dist",
        layout=Layout(root=options.cache_dir) if options.cache_dir else default_layout(),
        kinds=tuple(options.kinds or ()),
        links=_links(options),
    )
    for artifact in build(request):
        sys.stdout.write(f"{artifact.path}\n")


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
