"""How a backend's hook is run: in a process of its own, quiet, and in a world that is composed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STEERING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "PYTHONPLATLIBDIR")
_STEERING_PREFIXES = ("PIP_", "VIRTUAL_ENV", "__PYVENV", "CONDA_PREFIX")
"""What is about another environment than the one that was made for the hook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRunner:
    """Runs hooks as pyproject-hooks wants it, with these variables and no others."""

    variables: Mapping[str, str]

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook; a failure carries what it printed."""
        from subprocess import DEVNULL, PIPE, STDOUT, run

        # A prompt that nobody sees would wait for ever: there is nothing to read.
        run(
            cmd,
            cwd=cwd,
            env={**compose(self.variables), **(extra_environ or {})},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            check=True,
        )


def compose(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a hook may see, less those that steer Python elsewhere."""
    return {
        name: value
        for name, value in variables.items()
        if name not in _STEERING and not name.startswith(_STEERING_PREFIXES)
    }
