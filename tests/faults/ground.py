"""Where a scenario takes place: its cache and the other directories it may write to."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.trees import read_tree
from wheelforge_isolation import Layout, list_entries
from wheelforge_isolation.files.fs import remove_tree

_ROOTS = ("cache", "output", "destination", "temporary")
_NONCE = re.compile(r"\.[0-9a-f]{8}(?=/|$)")
_KEYED = re.compile(r"(cache/(?:built-v\d/records/|manifests-v\d/[a-z]+-)).*")
"""The names of things that are known by a key: the salt of a new cache is in it."""
_SHARED = re.compile(r"cache/built-v\d/records/[0-9a-f]{2}")
"""A directory for all keys that begin alike: now and then two of a scenario do."""
_ASIDE = "cache/quarantine-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A directory with all that a scenario has to do with."""

    root: Path

    @property
    def places(self) -> dict[str, str]:
        """Return the directories that a command line may name."""
        return {name: str(self.root / name) for name in (*_ROOTS, "source")}

    @property
    def roots(self) -> tuple[str, ...]:
        """Return the directories below which something may change."""
        return tuple(str(self.root / name) for name in _ROOTS)

    @property
    def cache(self) -> Layout:
        return Layout(root=self.root / "cache")

    @property
    def source(self) -> Path:
        return self.root / "source"

    def prepare(self) -> None:
        (self.root / "source").mkdir(parents=True)
        (self.root / "temporary").mkdir()

    def save(self) -> None:
        """Keep all as it is now."""
        _copy(self.root, self._saved)

    def restore(self) -> None:
        """Make all as it was when it was saved."""
        for root in self.roots:
            remove_tree(root)
            kept = self._saved / Path(root).name
            if kept.exists():
                _copy(kept, Path(root))

    @property
    def _saved(self) -> Path:
        return self.root.with_name(f"{self.root.name}.saved")

    def list_names(self) -> list[str]:
        """Return the name of everything that may have changed, but for what was set aside."""
        names: list[str] = []
        for root in self.roots:
            for directory, directories, files in os.walk(root):
                below = os.path.relpath(directory, self.root)
                names += (f"{below}/{name}" for name in (*directories, *files))
        kept = (name for name in names if not (name.startswith(_ASIDE) or _SHARED.fullmatch(name)))
        return sorted(_KEYED.sub(r"\1#", _NONCE.sub(".#", name)) for name in kept)

    def read_deliveries(self) -> dict[str, object]:
        """Return what is delivered and unpacked."""
        return {
            f"{name}/{path}": node
            for name in ("output", "destination")
            if (self.root / name).exists()
            for path, node in read_tree(self.root / name).items()
        }

    def read_results(self) -> dict[str, object]:
        """Return what a user asked for: delivered files, unpacked trees, what the cache has."""
        results = self.read_deliveries()
        for entry in list_entries(self.cache):
            # An environment has copies where there can be no links, a record has times.
            size = 0 if entry.kind in {"environment", "built"} else entry.size_bytes
            results[f"{entry.kind} {entry.name} {entry.version} {entry.file}"] = size
        return results


def _copy(source: Path, destination: Path) -> None:
    """Copy a directory with all times, and with files of several names as such."""
    first: dict[tuple[int, int], str] = {}

    def copy(path: str, copied: str) -> None:
        found = os.lstat(path)
        known = first.setdefault((found.st_dev, found.st_ino), copied)
        if known == copied:
            shutil.copy2(path, copied, follow_symlinks=False)
        else:
            os.link(known, copied, follow_symlinks=False)

    shutil.copytree(source, destination, symlinks=True, copy_function=copy)
