"""From requirements to pins, and from pins to what environments are made of.

Importing this package, recalling an answer and handing over what it names load no resolver, no
index and no parser of versions; only looking for an answer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.resolve.constraints import (
    Constraints,
    parse_constraints,
    read_constraints,
    read_constraints_file,
)
from wheelforge.resolve.cutoff import parse_cutoff
from wheelforge.resolve.fetch_plan import Delivery, candidate_of, check_hashes, hand_over
from wheelforge.resolve.resolution_cache import MAX_AGE_SECONDS, Memory
from wheelforge.resolve.types import Pin, Question, Resolution

if TYPE_CHECKING:
    from wheelforge.resolve.supply import Builder, IndexLike

__all__ = [
    "MAX_AGE_SECONDS",
    "Constraints",
    "Delivery",
    "Memory",
    "Pin",
    "Question",
    "Resolution",
    "candidate_of",
    "check_hashes",
    "hand_over",
    "parse_constraints",
    "parse_cutoff",
    "read_constraints",
    "read_constraints_file",
    "resolve",
]


def resolve(question: Question, index: IndexLike, builder: Builder | None = None) -> Resolution:
    """Return which files satisfy what is asked for; ``builder`` makes wheels of sdists."""
    from wheelforge.resolve.search import search

    return search(question, index, builder)
