"""Why a hook has failed: read from the end of what it printed, and from how it ended.

The last line that tells of an error decides. Of a project that tries things out, most of what goes
wrong on the way means nothing; so an error of a known form that explains nothing (a type error, a
line that does not compile) outweighs what came before it. Only English is read.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING

from wheelforge.errors import Failure, plain_text

if TYPE_CHECKING:
    from wheelforge.diagnosis.rules import Cause
    from wheelforge.errors import BackendFailedError

__all__ = ["Failure", "diagnose", "find_missing_module"]

_NO_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
_KILLED = -9
_CRASHES = {0xC0000005: "an access violation", 0xC00000FD: "a stack overflow"}
"""How Windows ends what has crashed."""


def diagnose(failure: Failure) -> BackendFailedError:
    """Return the error that says why the hook has failed, as far as that can be seen."""
    # Most builds do not fail, and the rules take longer to load than all else here.
    from wheelforge.errors import BackendFailedError

    cause = _judge_status(failure.status) or _judge_text(plain_text(failure.output))
    return BackendFailedError(cause.code, failure.shortened(), cause.finding, cause.remedy)


def find_missing_module(traceback: str) -> tuple[str, str]:
    """Return the module that an import has not found, and the distribution that has it.

    Each is empty if it is not known.
    """
    from wheelforge.diagnosis.known_packages import find_distribution

    missing = _NO_MODULE.findall(traceback)
    module = missing[-1] if missing else ""
    return module, find_distribution(module)


def _judge_status(status: int) -> Cause | None:
    """Return what it means that the process has not ended by itself, if it has not."""
    from signal import Signals

    from wheelforge.diagnosis.rules import Cause

    if status == _KILLED:
        return Cause("build-out-of-memory", "SIGKILL")
    how = _CRASHES.get(status, "")
    if status < 0:
        try:
            how = Signals(-status).name
        except ValueError:
            how = f"signal {-status}"
    return Cause("build-crashed", how) if how else None


def _judge_text(text: str) -> Cause:
    """Return the cause in the last line that has one; of several there the first rule's."""
    from wheelforge.diagnosis.rules import RULES, UNKNOWN, conclude

    found = [((-1, 0), UNKNOWN)]
    for rank, (pattern, rule) in enumerate(RULES):
        for match in reversed(list(pattern.finditer(text))):
            cause = conclude(rule, match)
            if cause is not None:
                line = text.rfind("\n", 0, match.start()) + 1
                found.append(((line, -rank), cause))
                break
    return max(found, key=itemgetter(0))[1]
