"""What a source was built in the last time is where its server starts the next time."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builds import WHEEL_ONLY, Ground, ask, facts_of, write_project, write_sdist
from wheelforge.build.forge import Components
from wheelforge.build.prestart import Prestart, Prestarter
from wheelforge.hooks.pool import RunnerPool
from wheelforge_isolation import Layout
from wheelforge_isolation.cache.trees import TreeStore
from wheelforge_isolation.files.locks import Lease

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge_isolation.cache.records import About

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")


class Recording(RunnerPool):
    """Notes what is to be started before it is wanted, and starts it."""

    def __init__(self) -> None:
        super().__init__()
        self.early: list[str] = []

    def start(self, **facts: object) -> None:
        self.early.append(str(facts["backend"]))
        super().start(**facts)  # type: ignore[arg-type]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(root=tmp_path / "cache")
    layout.root.mkdir(mode=0o700)
    return layout


@pytest.fixture
def guess(layout: Layout) -> Prestart:
    lease = Lease(layout.leases)
    shelf = TreeStore(layout, layout.environments, lease, lambda _: None)
    environment = shelf.obtain("0" * 64, _link_python)
    lease.close()
    python = str(environment.path / "bin" / "python")
    return Prestart(python=python, backend="json", additions={"PATH": "/nowhere"})


def _link_python(tree: Path) -> About:
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to(sys.executable)
    return {}


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(b"one")
    return path


def starts(layout: Layout, source: Path | str) -> list[str]:
    with Recording() as pool:
        Prestarter(layout.root).start(source, {"PATH": "/usr/bin:/bin"}, pool)
        return pool.early


def test_prestart__server_of_the_last_build_is_started_and_used(
    tmp_path: Path, ground: Ground
) -> None:
    sdist = write_sdist(tmp_path)
    request = ask(sdist, tmp_path / "out", kinds=WHEEL_ONLY)
    with ground.forge() as forge:
        forge.build(request)
    settings = ground.settings()
    with Recording() as pool:
        Prestarter(settings.cache_dir, settings.python).start(sdist, settings.variables, pool)
        (place,) = pool._places.values()
        early = place.server.pid
        with ground.forge(components=Components(pool=pool)) as forge:
            facts = facts_of(forge.build(request))

    assert pool.early == ["willing"]
    assert facts["imported"] == early


def test_prestart__changed_source_or_one_without_a_path_starts_nothing(
    tmp_path: Path, layout: Layout, guess: Prestart, sdist: Path
) -> None:
    Prestarter(layout.root).remember(sdist, guess)
    Prestarter(layout.root).remember("demo==1.0", guess)

    before = starts(layout, sdist)
    sdist.write_bytes(b"other")

    assert before == ["json"]
    assert starts(layout, sdist) == []
    assert starts(layout, "demo==1.0") == []
    assert starts(layout, tmp_path / "absent") == []


def test_prestart__project_is_known_by_its_pyproject_toml(
    tmp_path: Path, layout: Layout, guess: Prestart
) -> None:
    project = write_project(tmp_path / "project")
    Prestarter(layout.root).remember(project, guess)
    (project / "module.py").write_text("x = 1\n", encoding="utf-8")

    before = starts(layout, project)
    os.utime(project / "pyproject.toml", (1, 1))

    assert before == ["json"]
    assert starts(layout, project) == []


def test_prestart__another_python_has_records_of_its_own(
    layout: Layout, guess: Prestart, sdist: Path
) -> None:
    Prestarter(layout.root, python="3.12").remember(sdist, guess)

    assert starts(layout, sdist) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"python": 1}', b"\xff"])
def test_prestart__damaged_record_starts_nothing(
    layout: Layout, guess: Prestart, sdist: Path, content: bytes
) -> None:
    Prestarter(layout.root).remember(sdist, guess)
    (kept,) = layout.guesses.iterdir()
    kept.write_bytes(content)

    assert starts(layout, sdist) == []


def test_prestart__record_of_a_python_that_is_gone_starts_nothing(
    tmp_path: Path, layout: Layout, sdist: Path
) -> None:
    gone = Prestart(python=str(tmp_path / "gone"), backend="json", additions={})
    Prestarter(layout.root).remember(sdist, gone)

    assert starts(layout, sdist) == []


def test_prestart__unwritable_record_is_not_kept(
    layout: Layout, guess: Prestart, sdist: Path
) -> None:
    layout.guesses.write_bytes(b"")
    Prestarter(layout.root).remember(sdist, guess)

    assert starts(layout, sdist) == []
