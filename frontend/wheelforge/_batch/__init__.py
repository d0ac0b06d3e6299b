"""Many builds: what is built, in which order, how many at a time, and what is there already.

Each source is built with each Python; every such pair is a job, and becomes one outcome, whatever
becomes of the others. A job works in a place of its own. What it has made is written down before it
is delivered, so that a batch that was killed can be taken up again: what is in the output directory
and is what was written down need not be built.
"""

from __future__ import annotations

from wheelforge._batch._batch import BatchTerms, run_batch
from wheelforge._batch._wishes import Wish, make_wish, parse_names, read_requirements

__all__ = [
    "BatchTerms",
    "Wish",
    "make_wish",
    "parse_names",
    "read_requirements",
    "run_batch",
]
