"""Where things live below one cache directory.

Every bucket's name carries the version of its format. A release that changes a format uses a new
name beside the old one, so releases share a cache without ever misreading each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wheelforge_isolation import _fs

_CACHEDIR_TAG = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# This directory holds what wheelforge can make again.
# See https://bford.info/cachedir/
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The places below the cache directory ``root``."""

    root: Path

    @property
    def stages(self) -> Path:
        """One directory for each build under way."""
        return self.root / "stage-v1"

    def prepare(self) -> None:
        """Create what all users of the cache rely on."""
        if (self.stages / ".git").exists():
            return
        _fs.ensure_directory(str(self.root), mode=_fs.PRIVATE_MODE)
        _fs.ensure_directory(str(self.stages))
        _fs.ensure_file(str(self.root / "CACHEDIR.TAG"), _CACHEDIR_TAG)
        _fs.ensure_file(str(self.root / ".gitignore"), b"*\n")
        # Backends walk up to the repository that a project is part of; a stage is part of none.
        _fs.ensure_file(str(self.stages / ".git"), b"")


def default_layout() -> Layout:
    """Return the layout in the place that the platform gives to caches."""
    import platformdirs

    return Layout(root=Path(platformdirs.user_cache_dir("wheelforge", appauthor=False)))
