"""From requirements to pins, and from pins to the wheels that environments are made of.

Importing this package, loading an answer and preparing its wheels load no resolver, no index and
no parser of versions; only a new resolution does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.resolve.constraints import (
    Constraints,
    merge_constraints,
    parse_cutoff,
    read_constraints,
)
from wheelforge.resolve.fetch_plan import FetchPlan, candidate_of, check_hashes, prepare_wheels
from wheelforge.resolve.resolution_cache import ResolutionCache
from wheelforge.resolve.types import Pin, Resolution, ResolutionRequest

if TYPE_CHECKING:
    from wheelforge.index import Index
    from wheelforge.resolve.types import Builder

__all__ = [
    "Constraints",
    "FetchPlan",
    "Pin",
    "Resolution",
    "ResolutionCache",
    "ResolutionRequest",
    "candidate_of",
    "check_hashes",
    "merge_constraints",
    "parse_cutoff",
    "prepare_wheels",
    "read_constraints",
    "resolve",
]


def resolve(request: ResolutionRequest, index: Index, builder: Builder | None = None) -> Resolution:
    """Return the files that satisfy a request; ``builder`` makes wheels of sdists."""
    from wheelforge.resolve import search

    return search.resolve(request, index, builder)
