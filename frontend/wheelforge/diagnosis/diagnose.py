"""From a failure to the error that explains it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.errors import BackendFailedError, Failure


_NO_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)


def diagnose(failure: Failure) -> BackendFailedError:
    """Return the error that says why the hook has failed, as far as that can be seen."""
    # Most builds do not fail, and the rules take longer to load than all else here.
    from wheelforge.diagnosis.match import judge
    from wheelforge.errors import BackendFailedError

    cause = judge(failure)
    return BackendFailedError(cause.code, failure.shortened(), cause.finding, cause.remedy)


def find_missing_module(traceback: str) -> tuple[str, str]:
    """Return the module that an import has not found, and the distribution that has it.

    Each is empty if it is not known.
    """
    from wheelforge.diagnosis.known_packages import find_distribution

    missing = _NO_MODULE.findall(traceback)
    module = missing[-1] if missing else ""
    return module, find_distribution(module)
