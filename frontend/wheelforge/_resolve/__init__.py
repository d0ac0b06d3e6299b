"""From requirements to pins, and from pins to what environments are made of.

Importing this package, recalling an answer and handing over what it names load no resolver, no
index and no parser of versions; only looking for an answer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge._resolve._constraints import (
    Constraints,
    parse_constraints,
    read_constraints,
    read_constraints_file,
)
from wheelforge._resolve._cutoff import parse_cutoff
from wheelforge._resolve._delivery import Delivery, candidate_of, check_hashes, hand_over
from wheelforge._resolve._memory import MAX_AGE_SECONDS, Memory
from wheelforge._resolve._question import Pin, Question, Resolution

if TYPE_CHECKING:
    from wheelforge._resolve._supply import Builder, IndexLike

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
    from wheelforge._resolve._search import search

    return search(question, index, builder)
