"""How a backend's hook is run: in a process of its own, quiet, and in a world that is composed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRunner:
    """Runs hooks as pyproject-hooks wants it, with what is left of these variables."""

    variables: Mapping[str, str]

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook; a failure carries what it printed."""
        from subprocess import DEVNULL, PIPE, STDOUT, run

        from wheelforge._runners import compose_environment

        # A prompt that nobody sees would wait for ever: there is nothing to read.
        run(
            cmd,
            cwd=cwd,
            env=compose_environment(self.variables, extra_environ),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            check=True,
        )
