"""Metadata of an sdist may hold anything, and does no harm."""

from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.arena import Arena
from tests.property.formats import Entry, Kind, pack_tar
from tests.property.strategies import TOP
from wheelforge_isolation import Links

Line: TypeAlias = tuple[str, list[tuple[str, int]]]
"""A field, and the runs of its value: short to show, however long it is."""

KEYS = ["Metadata-Version", "Name", "Version", "License-File", " ", "X", ""]
RUNS = [
    "p", "1", "9", "2.4", "1.", ".", "-", "-1", " ", "\t", "\r", "\0", "\u0663", "!", "../", "\n",
]  # fmt: skip
LINES = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.lists(st.tuples(st.sampled_from(RUNS), st.sampled_from([1, 1, 5_000, 100_000]))),
    ),
    max_size=4,
)


@pytest.fixture
def arena(fast_path: Path) -> Arena:
    return Arena(root=fast_path)


def test_metadata__no_metadata_makes_an_sdist_slow_or_harmful(arena: Arena) -> None:
    @given(LINES)
    def check(lines: list[Line]) -> None:
        files = {"PKG-INFO": "".join(map(_write, lines)).encode(), "setup.py": b""}
        members = [
            Entry(kind=Kind.FILE, name=f"{TOP}/{name}", content=content)
            for name, content in files.items()
        ]

        outcome = arena.unpack(f"{TOP}.tar.gz", pack_tar(members), Links.KEEP)

        assert outcome.is_outside_unchanged
        assert bool(outcome.tree) == (outcome.error is None)

    check()


def _write(line: Line) -> str:
    key, runs = line
    return f"{key}: {''.join(text * count for text, count in runs)}\n"
