"""Helpers shared by the tests of the index room."""

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import tests.support.index
from tests.support.index import File, Manners, Pauses, Project, serve
from wheelforge.index import Candidate, Index, IndexSettings

TAGS = ("cp311-cp311-manylinux_2_17_x86_64", "cp311-abi3-linux_x86_64", "py3-none-any")


@contextlib.contextmanager
def open_index(
    *servers: tests.support.index.Index, sleep: Pauses | None = None, **more: object
) -> Generator[Index]:
    """Yield an index that asks ``servers``, and never really sleeps."""
    urls = tuple(server.url for server in servers)
    settings = replace(
        IndexSettings(index_urls=urls, timeout_seconds=5.0),
        **more,  # type: ignore[arg-type]  # a wrong field fails at once
    )
    with Index(settings, TAGS, sleep=sleep or Pauses()) as index:
        yield index


@contextlib.contextmanager
def asking(
    *projects: Project,
    manners: Manners | None = None,
    certificate: Path | None = None,
    **more: object,
) -> Generator[tuple[tests.support.index.Index, Index]]:
    """Serve some projects; yield the server, and an index that asks it."""
    with (
        serve(*projects, manners=manners or Manners(), certificate=certificate) as server,
        open_index(server, **more) as index,  # type: ignore[arg-type]  # the same words
    ):
        yield server, index


def find_files(*files: File, manners: Manners | None = None, **more: object) -> Sequence[Candidate]:
    """Return the usable ones of ``files`` of `demo`, as an index that serves them is read."""
    with asking(Project("demo", *files), manners=manners, **more) as (_, index):  # type: ignore[arg-type]  # the same words
        return index.find("demo").usable


@contextlib.contextmanager
def offering(
    one: File, *, manners: Manners | None = None, **more: object
) -> Generator[tuple[tests.support.index.Index, Index, Candidate]]:
    """Serve one file of `demo`; yield the server, an index that asks it, and the candidate."""
    with asking(Project("demo", one), manners=manners, **more) as (server, index):  # type: ignore[arg-type]  # the same words
        yield server, index, index.find("demo").usable[0]
