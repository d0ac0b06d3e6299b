"""After a loss of power nothing wrong is given out, and what was delivered is there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filesystems.powercut import CARELESS, DISKS, Session, host, summary

pytestmark = pytest.mark.filesystems


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with host(tmp_path_factory.mktemp("host")) as place:
        yield place


@pytest.mark.long
@pytest.mark.parametrize("cuts", [1, pytest.param(100, marks=pytest.mark.stress)])
@pytest.mark.parametrize("kind", DISKS)
def test_power_cut__leaves_nothing_wrong_and_all_that_was_delivered(
    place: Path, kind: str, cuts: int
) -> None:
    found = Session(kind, place).cut(cuts)

    sys.stdout.write(f"{kind}: {summary(found)}\n")
    assert found.wrong == []
    assert found.missing == []
    assert found.happened["cuts"] == cuts
    assert found.happened["deliveries"] > 0


@pytest.mark.long
def test_power_cut__unseen_restart_gives_out_wrong_bytes(place: Path) -> None:
    assert Session("ext4 in any order", place).cut(3, is_same_boot=True).wrong


@pytest.mark.parametrize(
    "kind", ["ext4", *(pytest.param(kind, marks=pytest.mark.stress) for kind in ("xfs", "btrfs"))]
)
def test_power_cut__unflushed_delivery_is_lost(place: Path, kind: str) -> None:
    assert Session(kind, place).cut(1, CARELESS).missing
