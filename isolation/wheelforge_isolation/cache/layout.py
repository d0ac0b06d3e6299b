"""Where things live below one cache directory.

Every bucket's name carries the version of its format. A release that changes a format uses a new
name beside the old one, so releases share a cache without ever misreading each other.

What changes files is imported by who does: a backend's server waits for all that is imported here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_CACHEDIR_TAG = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# This directory holds what wheelforge can make again.
# See https://bford.info/cachedir/
"""

FOREIGN = "foreign-"
"""Begins the name of an entry that was not ours, and was set aside."""


class CacheBucket(NamedTuple):
    """Directories of one kind, each made visible by a record."""

    root: Path
    is_bound: bool = False
    """Whether what is in it works in no other place: a cache may be moved, or be seen at two."""

    def locate(self, key: str) -> str:
        """Return the key by which ``key`` is kept in this place."""
        if not self.is_bound:
            return key
        import hashlib

        place = os.fsencode(os.path.abspath(self.root))
        return hashlib.sha256(place + b"\n" + key.encode()).hexdigest()[: len(key)]

    def record(self, key: str) -> Path:
        """Return where the record of ``key`` is, if it is."""
        return self.root / "records" / key[:2] / f"{key}.json"

    def tree(self, name: str) -> Path:
        """Return where the directory ``name`` is, which begins with its key."""
        return self.root / "trees" / name[:2] / name

    def pin(self, name: str) -> str:
        """Return what a lease says of who uses the directory ``name``."""
        return f"{self.root.name}/{name}"

    def list_records(self) -> list[Path]:
        """Return all records."""
        return _list_sharded(self.root / "records", ".json")

    def list_trees(self) -> list[Path]:
        """Return all directories, visible or not."""
        return _list_sharded(self.root / "trees")


class Layout:
    """The places below the cache directory ``root``."""

    def __init__(self, root: Path, stage_root: Path | None = None) -> None:
        self.root = root
        self.stage_root = stage_root
        """The directory of stages that are not in the cache, but in memory or on a faster disk."""
        self.wheels = CacheBucket(root / "wheels-v2")
        """Unpacked wheels."""
        self.environments = CacheBucket(root / "environments-v2", is_bound=True)
        """Environments to build in; scripts and settings in them name the place they are in."""
        self.built = CacheBucket(root / "built-v2")
        """Which wheel came of which build: records without directories."""
        self.manifests = root / "manifests-v1"
        """The questions of backends, by all that is known of a build before it runs."""
        self.files = root / "files-v1"
        """Wheels and sdists as they were fetched or built: ``ab/<SHA-256>/<file name>``."""
        self.interpreters = root / "interpreters-v2"
        """Descriptions of the Pythons of this machine."""
        self.resolutions = root / "resolutions-v2"
        """Resolutions, and the answers of indexes that they follow from."""
        self.guesses = root / "guesses-v2"
        """Which server the last build of a source has used."""
        self.logs = root / "logs-v1"
        """The output of backends: of each stage, the last one."""
        self.drafts = root / "drafts-v1"
        """Small files on the way to their place; each name begins with its writer's lease."""
        self.quarantine = root / "quarantine-v1"
        """Records that were found wrong, each with the reason beside it."""
        self.leases = root / "leases"
        """The leases of living processes; understood by all releases, and so without a version."""
        self.locks = root / "locks"
        """Locks for work that one process does at a time; understood by all releases as well."""

    @property
    def stages(self) -> Path:
        """One directory for each build under way."""
        return (self.stage_root or self.root) / "stage-v1"

    @property
    def tag(self) -> Path:
        """The file by which backup programs, and we, know a cache."""
        return self.root / "CACHEDIR.TAG"

    def lock(self, name: str) -> Path:
        """Return the lock ``name``."""
        return self.locks / f"{name}.lock"

    def file_lock(self, sha256: str) -> Path:
        """Return the lock between a collector and who takes the file with that content into use."""
        return self.lock(f"files-{sha256[:2]}")

    def file(self, sha256: str, name: str) -> Path:
        """Return where the file with that content is, if it is."""
        if not name.isprintable() or {"/", "\\"} & {*name} or name in {"", ".", ".."}:
            raise ValueError(f"{name!r} is not the name of a file")
        return self.files / sha256[:2] / sha256 / name

    def pin_file(self, sha256: str) -> str:
        """Return what a lease says of who uses the file with that content."""
        return f"{self.files.name}/{sha256}"

    def list_files(self) -> list[Path]:
        """Return the directories of all files."""
        return _list_sharded(self.files)

    def prepare(self) -> None:
        """Create what all users of the cache rely on."""
        if os.path.exists(self.stages / ".git") and os.path.exists(self.tag):
            return
        from wheelforge_isolation.files import fs

        fs.ensure_private_directories(str(self.root))
        fs.ensure_private_directories(str(self.stages))
        fs.ensure_file(str(self.tag), _CACHEDIR_TAG)
        fs.ensure_file(str(self.root / ".gitignore"), b"*\n")
        # Backends walk up to the repository that a project is part of; a stage is part of none, and
        # git says just that. Of an empty file it would say that its format is invalid.
        fs.ensure_file(str(self.stages / ".git"), b"gitdir: none\n")


def list_directory(directory: Path) -> list[Path]:
    """Return what is in ``directory``, which need not be there."""
    from wheelforge_isolation.files import fs

    with fs.raising_file_errors("list", str(directory)):
        try:
            return [directory / name for name in sorted(os.listdir(directory))]
        except (FileNotFoundError, NotADirectoryError):
            return []


def _list_sharded(directory: Path, suffix: str = "") -> list[Path]:
    # A link in a place of ours may lead anywhere, and what is listed here may be removed.
    shards = (shard for shard in list_directory(directory) if not os.path.islink(shard))
    return [
        path for shard in shards for path in list_directory(shard) if path.name.endswith(suffix)
    ]


def default_layout() -> Layout:
    """Return the layout in the place that the platform gives to caches."""
    import platformdirs

    return Layout(root=Path(platformdirs.user_cache_dir("wheelforge", appauthor=False)))
