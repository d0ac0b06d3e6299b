"""Shared set-up: the length of property runs, a plain environment, the real sdists and wheels."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import corpus
from tests.support.batches import Yard
from tests.support.builds import Ground
from tests.support.universe import Universe
from wheelforge_isolation import Layout, WheelKey, read_wheel_key

settings.register_profile("short", max_examples=100, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.register_profile("long", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile("short")

_MEMORY = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]


def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are cores: a third of the time goes into waiting for processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep groups together: pytest-xdist 3.8 names them where pytest 9.2 does not look any more."""
    for item in items:
        name: str | None = vars(item).get("_nodeid")
        if name is not None:
            item._id = type(item._id).parse(name)


@pytest.fixture(scope="session", autouse=True)  # ruff: ignore[pytest-fixture-autouse]
def plain_world() -> Iterator[None]:
    """Let nothing that a CI system says of itself change what is shown."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CI", "GITHUB_ACTIONS", "FORCE_COLOR", "NO_COLOR"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def real_sdists() -> Path:
    """Return the directory with the forty real sdists, all of them and unharmed."""
    problems = corpus.fetch_missing()
    if problems:
        pytest.skip(f"{len(problems)} of the real sdists cannot be fetched, as {problems[0]}")
    return corpus.DOWNLOADS


@pytest.fixture(scope="session")
def real_wheels() -> dict[str, WheelKey]:
    """Return the real wheels by name, all of them in the directory of downloads."""
    problems = corpus.fetch_missing(corpus.WHEELS)
    if problems:
        pytest.skip(f"{len(problems)} of the real wheels cannot be fetched, as {problems[0]}")
    keys = [read_wheel_key(listed.path) for listed in corpus.WHEELS]
    return {key.name: key for key in keys}


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Return a cache for builds, so that an environment is made once for all of them."""
    return Ground.make(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def own(tmp_path: Path, ground: Ground) -> Ground:
    """Return the same cache, with a directory of wheels that this test alone has."""
    return ground.apart(tmp_path / "own")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Return a place for many small projects, and an empty directory for what they need."""
    (tmp_path / "links").mkdir()
    return Yard(place=tmp_path)


@pytest.fixture
def universe(tmp_path: Path) -> Universe:
    """Return an index that has nothing yet."""
    return Universe(workshop=tmp_path)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return a cache that nobody has used yet."""
    return Layout(root=tmp_path / "cache")


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty directory, in memory where that is possible, for thousands of trees."""
    parent = _MEMORY if _MEMORY.is_dir() else tmp_path
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        yield Path(directory).resolve()
