"""Errors of batches that a cluster builds."""

from __future__ import annotations

from typing import ClassVar

from wheelforge.errors.base import BuildError, Kind


class ClusterError(BuildError):
    """A cluster cannot be used, cannot be reached, or has lost something."""

    address: str
    label: str
    reason: str
    count: int

    kinds: ClassVar[dict[str, Kind]] = {
        "scheduler-refused": Kind(
            2,
            "address reason",
            "the scheduler `{address}` is not used: {reason}",
            "name it as `tls://HOST:PORT`, or tunnel it to this machine: `ssh -L 8786:HOST:8786`",
        ),
        "scheduler-unreachable": Kind(
            5, "address reason", "the scheduler `{address}` cannot be reached: {reason}"
        ),
        "scheduler-lost": Kind(
            5,
            "address",
            "the scheduler `{address}` was lost, and with it the builds that were at work",
            "the same command with `--resume` builds what is missing",
        ),
        "workers-absent": Kind(
            5,
            "address count reason",
            "the scheduler `{address}` has had no worker for this batch in {count} minutes{reason}",
            "`wheelforge worker --scheduler ADDRESS` starts one, see `wheelforge help cluster`",
        ),
        "worker-lost": Kind(
            5,
            "label count",
            "`{label}`: the workers that were to build it have ended, {count} one after another",
            "was there enough memory? Build it alone to see: without `--executor`",
        ),
    }
