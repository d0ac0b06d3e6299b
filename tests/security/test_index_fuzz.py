"""Damaged answers of an index cause no traceback, hang or flood, and no file out of place."""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.security.index_fuzz import MOST_MEMORY_BYTES, survive_all, survive_and_measure

SHORT, LONG, PIECE = 300, 50_000, 250


def test_damaged_answers__do_no_harm() -> None:
    assert survive_all(range(SHORT)) == {}


@pytest.mark.stress
def test_damaged_answers__do_no_harm_in_any_number() -> None:
    first = int(os.environ.get("WHEELFORGE_TEST_SEED", time.time_ns() % 2**32))
    pieces = [range(seed, seed + PIECE) for seed in range(first, first + LONG, PIECE)]
    context = multiprocessing.get_context("spawn")

    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        results = list(pool.map(survive_and_measure, pieces))

    problems = {seed: problem for found, _ in results for seed, problem in found.items()}
    assert problems == {}, f"repeat with WHEELFORGE_TEST_SEED={first}"
    assert max(memory for _, memory in results) < MOST_MEMORY_BYTES
