"""Unpacking the forty real sdists: ours, the standard library's, tar's, and inflating alone."""

import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.pairing import Contender, fast_disk, measure
from tests.benchmarks.world import Bench, SkipError
from tests.support.corpus import SDISTS, Sdist, fetch_missing
from wheelforge_isolation import Links, unpack_archive

Extract = Callable[[Path, Path], object]

GZIP = 31
BASE = "tarfile, filter='data'"


def run(bench: Bench) -> Result:
    """Compare, all our checks included."""
    sdists = SDISTS[:1] if bench.is_quick else SDISTS
    problems = fetch_missing(sdists)
    if problems:
        raise SkipError(problems[0])
    extracts: dict[str, Extract] = {
        BASE: extract_with_tarfile,
        "wheelforge, links kept": extract_keeping,
        "wheelforge, links copied": extract_copying,
        "zlib, inflate only": inflate_only,
    }
    tar = shutil.which("tar")
    if tar is not None:
        extracts["tar xzf"] = partial(extract_with_tar, tar)
    contenders = {name: over_all(sdists, extract) for name, extract in extracts.items()}
    samples = measure(contenders, bench.rounds, fast_disk())
    row = Row(title=f"unpack {len(sdists)} sdists", samples=samples, base=BASE)
    notes = ["in this process and in memory; tar is a process for each sdist"]
    return Result(name="unpacking", title="unpacking real sdists", rows=[row], notes=notes)


def over_all(sdists: Sequence[Sdist], extract: Extract) -> Contender:
    def extract_all(place: Path) -> None:
        for sdist in sdists:
            (place / sdist.file).mkdir()
            extract(sdist.path, place / sdist.file)

    return Contender(extract_all, is_here=True)


def extract_with_tarfile(sdist: Path, place: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")


def extract_with_tar(tar: str, sdist: Path, place: Path) -> None:
    subprocess.run([tar, "xzf", str(sdist), "-C", str(place)], check=True)


def extract_keeping(sdist: Path, place: Path) -> None:
    unpack_archive(sdist, place, links=Links.KEEP)


def extract_copying(sdist: Path, place: Path) -> None:
    unpack_archive(sdist, place, links=Links.COPY)


def inflate_only(sdist: Path, _: Path) -> None:
    zlib.decompress(sdist.read_bytes(), GZIP)
