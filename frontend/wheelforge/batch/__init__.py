"""Many builds: what is built, in which order, how many at a time, and what is there already.

Each source is built with each Python; every such pair is a job, and becomes one outcome, whatever
becomes of the others. A job works in a place of its own. What it has made is written down before it
is delivered, so that a batch that was killed can be taken up again: what is in the output directory
and is what was written down need not be built.
"""

from __future__ import annotations

from wheelforge.batch.inputs import BuildInput, make_input, read_format_control, strip_requirement
from wheelforge.batch.options import BatchOptions
from wheelforge.batch.run import run_batch

__all__ = [
    "BatchOptions",
    "BuildInput",
    "make_input",
    "read_format_control",
    "run_batch",
    "strip_requirement",
]
