"""How a batch is built, whatever is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wheelforge.resolve import Constraints

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.batch.shards import Shard


class Cluster(NamedTuple):
    """The workers that build a batch; without a scheduler they are started for it."""

    scheduler: str = ""
    """Its address: ``tls://HOST:PORT``, or ``tcp://`` on this machine."""
    shared: Path | None = None
    """A directory that all workers see, for files; in the cache unless given."""
    certificates: tuple[str, str, str] = ("", "", "")
    """The files of the authority, of the own certificate and of its key; else those of Dask."""


class BatchOptions(NamedTuple):
    """How a batch is built."""

    pythons: tuple[str | None, ...] = (None,)
    at_once: int = 0
    """How many builds; 0: as many as there are cores, or as a cluster has room for."""
    cores: int = 0
    """How many cores hooks share; 0: all."""
    keeps_going: bool = True
    """Whether a build that fails leaves the others alone."""
    resumes: bool = False
    """Whether what was delivered before, and is still there, is left as it is."""
    with_dependencies: bool = False
    """Whether requirements come with all that they require at run time."""
    no_binary: frozenset[str] = frozenset()
    """Of these, what is built although there is a wheel: normalised names, or ``:all:``."""
    only_binary: frozenset[str] = frozenset()
    """Of these, what is not built, though there is an sdist: normalised names, or ``:all:``."""
    constraints: Constraints = Constraints()
    """For what is built and its dependencies; not for what that is built with."""
    shard: Shard | None = None
    """The part of all builds that is built here."""
    require_hashes: bool = False
    """Whether each of the dependencies needs a stated hash."""
    cluster: Cluster | None = None
    """The executor that builds, if it is not this process."""
