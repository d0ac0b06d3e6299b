"""Hostile hook results end in a result or in an error of ours, soon and within bounds."""

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.security.hook_results import survive_all

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fifos and SIGALRM")
SHORT, LONG, PIECE = 200, 20_000, 250
MEMORY = 512 << 20


def _survive(seeds: list[range]) -> tuple[dict[int, str], int]:
    """Try the cases in processes of their own, whose memory is counted apart."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        results = list(pool.map(survive_all, seeds))
    problems = {seed: problem for found, _ in results for seed, problem in found.items()}
    return problems, max(peak for _, peak in results)


def test_hook_result__that_is_hostile_does_no_harm() -> None:
    problems, peak = _survive([range(SHORT)])

    assert problems == {}
    assert peak < MEMORY


@pytest.mark.stress
def test_hook_result__can_be_made_in_no_way_that_does_harm() -> None:
    first = int(os.environ.get("WHEELFORGE_TEST_SEED", time.time_ns() % 2**32))

    problems, peak = _survive([
        range(seed, seed + PIECE) for seed in range(first, first + LONG, PIECE)
    ])

    assert problems == {}, f"repeat with WHEELFORGE_TEST_SEED={first}"
    assert peak < MEMORY
