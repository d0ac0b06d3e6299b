"""Builds, one after another or many at once, with one Python and under one policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge._work import Work
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    from wheelforge._means import Means
    from wheelforge._models import BuildRequest, Outcome


class Forge(Value):
    """Builds whatever is asked for; any number of threads may ask at once.

    `open_forge` makes it. Builds of one directory take turns; others do not wait for each other.
    It changes nothing of the process it is in, and prints nothing.
    """

    means: Means

    def build(self, request: BuildRequest) -> Outcome:
        """Build what ``request`` asks for; each artifact is delivered whole, as soon as it is.

        Raises the leaf of `ForgeError` that says why something could not be built.
        """
        outcome = self.try_build(request)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def try_build(self, request: BuildRequest) -> Outcome:
        """Do the same, and return how it went even if it went wrong."""
        return Work(self.means, request, self.build).run()

    def cancel(self) -> None:
        """End every build as soon as possible; for any thread, does not wait.

        Hooks are ended with all that they have started, waiting for a turn ends, and no hook starts
        any more: this cannot be taken back. Builds end with an error whose exit code is 130.
        """
        self.means.pool.cancel()
