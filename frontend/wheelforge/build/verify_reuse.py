"""Builds of what could be used again: whether a wheel of an earlier build is what one makes now.

A wheel that differs tells that its backend reads what is in no key, or that its builds are not
reproducible. What counts is what an installer would write: paths, bytes, and whether a file is
executable.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from wheelforge.models import Cause
from wheelforge_isolation import UNLIMITED, open_wheel_zip

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.build.result import ReusedWheel
    from wheelforge.models import Artifact

_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")


def is_chosen(rate: float) -> bool:
    """Return whether a wheel is built to be compared, by chance."""
    return random.random() < rate  # ruff: ignore[suspicious-non-cryptographic-random-usage]


def verify(kept: ReusedWheel, fresh: Artifact, path: Path) -> Cause:
    """Compare the wheel that was kept with the ``fresh`` one in ``path``; return what differs."""
    before = kept.artifacts[-1]
    names = tuple(compare_wheels(before.path, path))
    sentence = "built again to compare it with the wheel of an earlier build, which is the same"
    if names:
        sentence = f"{sentence.partition(',')[0]}: {len(names)} files differ"
    return Cause("verified", sentence, "", before.sha256, fresh.sha256, names)


def compare_wheels(before: Path, after: Path) -> list[str]:
    """Return the files that only one of two wheels has, or that are not the same in both."""
    old, new = map(_list_files, (before, after))
    names = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    # RECORD follows from all others.
    return [name for name in names if not _RECORD.fullmatch(name)] or names


def _list_files(path: Path) -> dict[str, tuple[bytes, bool]]:
    with open_wheel_zip(path, UNLIMITED) as archive:
        return {
            name: (archive.contents.digest(member), member.executable)
            for name, member in archive.files.items()
        }
