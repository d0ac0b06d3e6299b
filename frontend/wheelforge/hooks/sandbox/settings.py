"""The sandbox that is asked for. Light to import: a server in one is started before all else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxSettings:
    """In which sandbox hooks run."""

    wanted: str = "none"
    """``auto``, ``strict``, ``tcp-off``, ``none``, or a command that hooks are run by."""
    required: str = "none"
    """The level below which nothing is built: ``none``, ``files``, ``tcp-off`` or ``strict``."""
    most_memory: int | None = None
    """Bytes of data of each process of a hook."""
    most_processes: int | None = None
    """Of the user altogether; nothing for root."""
    largest_file: int | None = None
    """Bytes of each file that a hook writes."""

    hidden: tuple[Path, ...] = field(default=(), compare=False)
    """Files that hooks in a sandbox cannot read, wherever they are."""

    @property
    def limits(self) -> dict[str, int]:
        """Those of the three that are set, as the system calls them."""
        found = {
            "RLIMIT_DATA": self.most_memory,
            "RLIMIT_NPROC": self.most_processes,
            "RLIMIT_FSIZE": self.largest_file,
        }
        return {name: most for name, most in found.items() if most is not None}
