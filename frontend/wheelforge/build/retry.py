"""Which failures another attempt may cure: one that does not fork, or one as of another time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.errors import BackendFailedError

if TYPE_CHECKING:
    from wheelforge.errors import BuildError

_SENT_SIGNALS = frozenset({-1, -2, -9, -15})
"""The status of a hook that somebody else has ended, or the machine for want of memory."""
_OF_THE_MACHINE = {
    "build-disk-full",
    "build-out-of-memory",
    "header-missing",
    "library-missing",
    "tool-missing",
}
_OF_THEIR_TIME = {
    "backend-unavailable",
    "hook-missing",
    "requirements-conflict",
    "result-invalid",  # newer backends find other versions than older ones did
}
"""Codes of errors that the requirements of another time may cure."""


class NothingNew(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """An attempt would be made with just what has failed before."""


def may_come_of_forking(error: BuildError) -> bool:
    """Return whether a hook that was forked might have gone well in a process of its own."""
    if isinstance(error, BackendFailedError):
        is_ours = error.code not in _OF_THE_MACHINE | {"python-two"}
        return is_ours and error.failure.status not in _SENT_SIGNALS
    return error.code in {"hook-answer-invalid", "hook-unsupported", "result-invalid"}


def is_of_its_time(error: BuildError) -> bool:
    """Return whether requirements of another time may be a cure."""
    if isinstance(error, BackendFailedError):
        return error.code not in _OF_THE_MACHINE | {"build-access", "build-network"}
    return error.code in _OF_THEIR_TIME
