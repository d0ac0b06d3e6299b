"""Which failures another attempt may cure: one that does not fork, or one as of another time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.sources import Dating, find_dating
from wheelforge.errors import BackendFailedError

if TYPE_CHECKING:
    from datetime import datetime

    from wheelforge.build.context import BuildContext
    from wheelforge.build.result import BuildResult
    from wheelforge.build.sources import FetchedSource
    from wheelforge.errors import BuildError
    from wheelforge.models import BuildRequest

_GRACE = timedelta(days=1)
"""A backend may have been released on the same day, for this very sdist."""
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


class Fallback(NamedTuple):
    """A build as of ``cutoff``, because what there is today has ``failed``."""

    failed: BuildResult
    cutoff: datetime

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes about the wheel, for the time when it is used again."""
        day = self.cutoff.date()
        return (f"built with what there was on {day}, as with what is newer it fails",)


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


def find_publication(
    context: BuildContext, request: BuildRequest, fetched: FetchedSource, newest: int | None
) -> tuple[datetime | None, str]:
    """Return a day after the sdist was published, and in words what there was then.

    Without a day the words say why there is none.
    """
    dating: Dating | None
    if fetched.uploaded is not None:
        dating = Dating(moment=fetched.uploaded, origin="the index")
    else:
        index = context.targets.find(request.python).index
        dating = find_dating(fetched.path, fetched.sha256, newest, index)
    if dating is None:
        return None, "nothing tells when it was published"
    cutoff = dating.moment + _GRACE
    return cutoff, f"what there was on {cutoff:%Y-%m-%d}, as {dating.origin} says"
