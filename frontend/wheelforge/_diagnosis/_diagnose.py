"""From a failure to the error that explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.errors import BackendFailedError, Failure


def diagnose(failure: Failure) -> BackendFailedError:
    """Return the error that says why the hook has failed, as far as that can be seen."""
    # Most builds do not fail, and the rules take longer to load than all else here.
    from wheelforge._diagnosis._judgement import judge

    cause = judge(failure)
    return cause.kind(failure.shortened(), cause.finding, cause.remedy)
