"""Builders, collectors, a killer and a vandal on one cache: no build is the worse for it."""

import sys
from pathlib import Path

import pytest

from tests.races.goods import Goods
from tests.races.storm import CONTROLS, look_after, rage
from tests.support.processes import needs

pytestmark = needs(posix="fork")

ROUNDS = 15
"""A busy machine may need that many until something happens at all."""


@pytest.fixture
def goods(fast_path: Path) -> Goods:
    goods = Goods(fast_path / "goods", fast_path / "cache")
    goods.prepare()
    return goods


@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=pytest.mark.stress)])
def test_storm__no_build_fails_and_no_byte_is_wrong(goods: Goods, seconds: float) -> None:
    figures = rage(goods, seconds)

    sys.stdout.write(f"{figures}\n")
    assert goods.complaints() == []
    assert look_after(goods) == []
    assert figures["done"] > 0
    assert figures["kills"] > 0
    assert min(figures[what] for what in ("collected", "flipped", "removed", "healed")) > 0


@pytest.mark.parametrize("word", CONTROLS)
def test_storm__broken_rule_is_complained_of(goods: Goods, word: str) -> None:
    for _ in range(ROUNDS):
        rage(goods, 4, CONTROLS[word])
        if goods.complaints():
            break

    assert goods.complaints()
