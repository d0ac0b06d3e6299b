"""Damaged copies of real sdists: whatever is wrong with a file, nothing bad comes of it."""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.property.mutations import survive_all

pytestmark = pytest.mark.usefixtures("real_sdists")
SHORT, LONG, PIECE = 800, 50_000, 250


def test_damaged_sdist__does_no_harm(fast_path: Path) -> None:
    assert survive_all(range(SHORT), fast_path) == {}


@pytest.mark.stress
def test_damaged_sdist__no_sdist_can_be_damaged_so_that_it_does_harm(fast_path: Path) -> None:
    first = int(os.environ.get("WHEELFORGE_TEST_SEED", time.time_ns() % 2**32))
    pieces = [range(seed, seed + PIECE) for seed in range(first, first + LONG, PIECE)]
    context = multiprocessing.get_context("spawn")

    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        results = list(pool.map(partial(survive_all, parent=fast_path), pieces))

    problems = {seed: problem for result in results for seed, problem in result.items()}
    assert problems == {}, f"repeat with WHEELFORGE_TEST_SEED={first}"
