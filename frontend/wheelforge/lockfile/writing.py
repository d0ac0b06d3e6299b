"""From a lock to its file: a PEP 751 document, with a dependency group for each source.

A group holds one file of a name for each environment that markers can tell apart. Where an answer
contradicts what its source has already, as for two builds of one Python that only tags tell apart,
it gets a group of its own.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import tomli_w
from packaging.markers import Marker
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageSdist,
    PackageWheel,
    Pylock,
    is_valid_pylock_path,
)
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelforge.errors import LockError
from wheelforge.lockfile.model import FORMAT, SUBDIRECTORY, is_direct, is_standard, refer
from wheelforge_isolation import replace_file
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from wheelforge.lockfile.model import Lock, LockedAnswer, LockedSource, Source
    from wheelforge.resolve import Pin


def check_name(path: Path) -> None:
    """Refuse a name that the standard does not let a lock have."""
    if not is_valid_pylock_path(path):
        reason = "a lock has to be called `pylock.toml` or `pylock.NAME.toml`"
        raise LockError("lock-invalid", str(path), "", reason)


def write(lock: Lock, path: Path) -> None:
    """Put ``lock`` into the file ``path``."""
    check_name(path)
    document = _make_document(lock, path.parent)
    replace_file(str(path), tomli_w.dumps(document.to_dict()).encode())


def _make_document(lock: Lock, directory: Path) -> Pylock:
    groups = _Groups(lock)
    environments = groups.environments
    described = [_describe(each, groups, directory) for each in lock.sources]
    own = {"format": FORMAT, "sources": described}
    return Pylock(
        lock_version=Version("1.0"),
        environments=[Marker(text) for text in sorted(set[str]().union(*environments.values()))],
        dependency_groups=sorted(environments),
        created_by="wheelforge",
        packages=[_make_package(pin, groups, directory) for pin in lock.files()],
        tool={"wheelforge": own},
    )


def _describe(locked: LockedSource, groups: _Groups, directory: Path) -> Mapping[str, Any]:
    sha256, commit = locked.source.sha256, locked.source.commit
    archive = locked.archive
    return {
        "name": locked.source.label,
        **({"sha256": sha256} if sha256 else {}),
        **({"commit": commit} if commit else {}),
        **(
            {"archive": _describe_archive(archive, locked.source.label, directory)}
            if archive
            else {}
        ),
        "python": locked.python._asdict(),
        **({"overrides": list(locked.overrides)} if locked.overrides else {}),
        "answers": [
            {
                "group": groups.names[locked, answer],
                "requirements": list(answer.requirements),
                "files": [refer(pin) for pin in answer.pins],
            }
            for answer in locked.answers
        ],
    }


def _describe_archive(pin: Pin, user: str, directory: Path) -> Mapping[str, str]:
    index = {} if is_direct(pin) else {"index": pin.origin}
    return {"name": pin.file_name, **_locate(pin, user, directory), **index}


def _locate(pin: Pin, user: str, directory: Path) -> dict[str, str]:
    """Return where a file is, as seen from ``directory`` if it is on this machine."""
    local = local_path(pin.url)
    if local is None:
        return {"url": pin.url.partition("#")[0]}
    try:
        # The lock and the files may be moved together.
        return {"path": Path(os.path.relpath(local, directory)).as_posix()}
    except ValueError as error:  # another drive
        reason = f"there is no way to it from `{directory}`"
        raise LockError("lock-impossible", pin.file_name, user, reason) from error


def _make_package(pin: Pin, groups: _Groups, directory: Path) -> Package:
    fragment = pin.url.partition("#")[2]
    place: dict[str, Any] = _locate(pin, groups.find_user(pin), directory)
    hashes = {"sha256": pin.sha256}
    file: dict[str, Any]
    if is_direct(pin) or not is_standard(pin):
        subdirectory = fragment.removeprefix(SUBDIRECTORY) or None
        file = {"archive": PackageArchive(**place, hashes=hashes, subdirectory=subdirectory)}
    elif pin.is_wheel:
        file = {"wheels": [PackageWheel(name=pin.file_name, **place, hashes=hashes)]}
    else:
        file = {"sdist": PackageSdist(name=pin.file_name, **place, hashes=hashes)}
    return Package(
        name=cast("NormalizedName", pin.name),
        version=Version(pin.version),
        marker=Marker(groups.find_marker(pin)),
        index=None if is_direct(pin) else pin.origin or None,
        **file,
    )


class _Groups:
    """The dependency groups of one lock."""

    def __init__(self, lock: Lock) -> None:
        self.names: dict[tuple[LockedSource, LockedAnswer], str] = {}
        """The group that has all of an answer."""
        self.environments: dict[str, set[str]] = defaultdict(set)
        """The markers of the Pythons that each group is for."""
        self._owners: dict[str, Source] = {}
        self._members: dict[str, dict[tuple[str, str], Pin]] = defaultdict(dict)
        self._uses: dict[Pin, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for locked in lock.sources:
            # The one that asks for most is the whole environment, and comes first.
            for answer in sorted(locked.answers, key=lambda one: -len(one.requirements)):
                self._add(locked, answer)

    def find_user(self, pin: Pin) -> str:
        """Return the first source that needs a file."""
        return self._owners[min(self._uses[pin])].label

    def find_marker(self, pin: Pin) -> str:
        """Return where a file is needed."""
        parts: list[str] = []
        for name, environments in sorted(self._uses[pin].items()):
            group = f"'{name}' in dependency_groups"
            if environments != self.environments[name]:
                alternatives = " or ".join(f"({each})" for each in sorted(environments))
                group = f"({group} and ({alternatives}))"
            parts.append(group)
        return " or ".join(parts)

    def _add(self, locked: LockedSource, answer: LockedAnswer) -> None:
        python = locked.python
        environment = (
            f"implementation_name == '{python.implementation}' "
            f"and python_version == '{python.version}' "
            f"and sys_platform == '{python.platform}' "
            f"and platform_machine == '{python.machine}'"
        )
        fresh = {(environment, pin.name): pin for pin in answer.pins}
        name = self._find_group(locked.source, fresh)
        self.names[locked, answer] = name
        self._members[name].update(fresh)
        self.environments[name].add(environment)
        for pin in answer.pins:
            self._uses[pin][name].add(environment)

    def _find_group(self, source: Source, fresh: Mapping[tuple[str, str], Pin]) -> str:
        """Return a group of ``source`` that ``fresh`` fits, told apart from those of others."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", source.label).strip("._-")
        stem = canonicalize_name(plain or "source")
        number = 0
        while True:
            number += 1
            name = f"{stem}-{number}" if number > 1 else stem
            if self._owners.setdefault(name, source) != source:
                continue
            members = self._members[name]
            if all(members.get(key, pin) == pin for key, pin in fresh.items()):
                return name
