"""Unpacking the forty real sdists: ours, the standard library's, and what inflating alone costs."""

from __future__ import annotations

import tarfile
import zlib
from typing import TYPE_CHECKING

from tests.benchmarks.pairing import Contender, measure, show
from tests.corpus import SDISTS, fetch_missing
from wheelforge_isolation import Links, unpack_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GZIP = 31


def run(rounds: int) -> None:
    """Compare, all our checks included."""
    fetch_missing()
    contenders = {
        "tarfile, filter='data'": over_all(extract_with_tarfile),
        "wheelforge, links kept": over_all(extract_keeping),
        "wheelforge, links copied": over_all(extract_copying),
        "zlib, inflate only": over_all(inflate_only),
    }
    show(f"unpack {len(SDISTS)} sdists", measure(contenders, rounds), next(iter(contenders)))


def over_all(extract: Callable[[Path, Path], object]) -> Contender:
    def extract_all(place: Path) -> None:
        for sdist in SDISTS:
            (place / sdist.file).mkdir()
            extract(sdist.path, place / sdist.file)

    return extract_all


def extract_with_tarfile(sdist: Path, place: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")


def extract_keeping(sdist: Path, place: Path) -> None:
    unpack_archive(sdist, place, links=Links.KEEP)


def extract_copying(sdist: Path, place: Path) -> None:
    unpack_archive(sdist, place, links=Links.COPY)


def inflate_only(sdist: Path, _: Path) -> None:
    zlib.decompress(sdist.read_bytes(), GZIP)
