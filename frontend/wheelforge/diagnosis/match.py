"""From what is left of a failure to its cause."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from wheelforge.diagnosis.rules import RULES, UNKNOWN, Cause
from wheelforge.errors import plain_text

if TYPE_CHECKING:
    from wheelforge.errors import Failure

_KILLED = -9
_CRASHES = {0xC0000005: "an access violation", 0xC00000FD: "a stack overflow"}
"""How Windows ends what has crashed."""


def judge(failure: Failure) -> Cause:
    """Return why the hook has failed, as far as that can be seen."""
    return _judge_status(failure.status) or _judge_text(plain_text(failure.output))


def _judge_status(status: int) -> Cause | None:
    """Return what it means that the process has not ended by itself, if it has not."""
    if status == _KILLED:
        return Cause("build-out-of-memory", "SIGKILL")
    if status < 0:
        return Cause("build-crashed", _name_signal(-status))
    how = _CRASHES.get(status)
    return Cause("build-crashed", how) if how else None


def _name_signal(number: int) -> str:
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _judge_text(text: str) -> Cause:
    """Return the cause in the last line that has one; of several there the first rule's."""
    found = [((-1, 0), UNKNOWN)]
    for rank, (pattern, conclude) in enumerate(RULES):
        for match in reversed(list(pattern.finditer(text))):
            cause = conclude(match)
            if cause is not None:
                line = text.rfind("\n", 0, match.start()) + 1
                found.append(((line, -rank), cause))
                break
    return max(found, key=itemgetter(0))[1]
