"""A cache with six wheels in it."""

from pathlib import Path

import pytest

from tests.support.caches import COUNT, fill_cache, write_wheels
from wheelforge_isolation import Layout


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    return write_wheels(tmp_path / "wheels", COUNT)


@pytest.fixture
def filled(layout: Layout, wheels: list[Path]) -> Layout:
    """A cache with wheels that were used one, two, three days ago and so on."""
    fill_cache(layout, wheels)
    return layout
