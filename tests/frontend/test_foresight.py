"""What a source was built in the last time is where its server starts the next time."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builds import WHEEL_ONLY, Ground, ask, facts_of, write_project, write_sdist
from wheelforge.build.open import Components
from wheelforge.build.prestart import Prestart, Prestarter, make_prestarter
from wheelforge.hooks import RunnerPool
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


def starts(prestarter: Prestarter, source: Path | str) -> list[str]:
    with Recording() as pool:
        prestarter.start(source, {"PATH": "/usr/bin:/bin"}, pool)
        return pool.early


def test_the_server_of_the_last_build_is_started_and_used(tmp_path: Path, ground: Ground) -> None:
    sdist = write_sdist(tmp_path)
    request = ask(sdist, tmp_path / "out", kinds=WHEEL_ONLY)
    with ground.forge() as forge:
        forge.build(request)
    settings = ground.settings()
    with Recording() as pool:
        make_prestarter(settings).start(sdist, settings.variables, pool)
        (place,) = pool._places.values()
        early = place.server.pid
        with ground.forge(components=Components(pool=pool)) as forge:
            facts = facts_of(forge.build(request))

    assert pool.early == ["willing"]
    assert facts["imported"] == early


def test_a_source_that_has_changed_or_is_none_starts_nothing(
    tmp_path: Path, layout: Layout, guess: Prestart
) -> None:
    prestarter = Prestarter(layout=layout)
    source = tmp_path / "demo-1.0.tar.gz"
    source.write_bytes(b"one")
    prestarter.remember(source, guess)
    prestarter.remember("demo==1.0", guess)

    before = starts(prestarter, source)
    source.write_bytes(b"other")

    assert before == ["json"]
    assert starts(prestarter, source) == []
    assert starts(prestarter, "demo==1.0") == []
    assert starts(prestarter, tmp_path / "absent") == []


def test_a_project_is_known_by_what_it_says_of_its_build(
    tmp_path: Path, layout: Layout, guess: Prestart
) -> None:
    prestarter = Prestarter(layout=layout)
    project = write_project(tmp_path / "project")
    prestarter.remember(project, guess)
    (project / "module.py").write_text("x = 1\n", encoding="utf-8")

    before = starts(prestarter, project)
    os.utime(project / "pyproject.toml", (1, 1))

    assert before == ["json"]
    assert starts(prestarter, project) == []


def test_another_python_has_guesses_of_its_own(
    tmp_path: Path, layout: Layout, guess: Prestart
) -> None:
    source = tmp_path / "demo-1.0.tar.gz"
    source.write_bytes(b"one")
    Prestarter(layout=layout, python="3.12").remember(source, guess)

    assert starts(Prestarter(layout=layout), source) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"python": 1}', b"\xff"])
def test_a_guess_that_is_damaged_is_none(
    tmp_path: Path, layout: Layout, guess: Prestart, content: bytes
) -> None:
    prestarter = Prestarter(layout=layout)
    source = tmp_path / "demo-1.0.tar.gz"
    source.write_bytes(b"one")
    prestarter.remember(source, guess)
    (kept,) = layout.guesses.iterdir()
    kept.write_bytes(content)

    assert starts(prestarter, source) == []


def test_a_guess_that_leads_nowhere_is_none(tmp_path: Path, layout: Layout) -> None:
    prestarter = Prestarter(layout=layout)
    source = tmp_path / "demo-1.0.tar.gz"
    source.write_bytes(b"one")
    prestarter.remember(
        source, Prestart(python=str(tmp_path / "gone"), backend="json", additions={})
    )

    assert starts(prestarter, source) == []


def test_who_may_not_write_builds_all_the_same(
    tmp_path: Path, layout: Layout, guess: Prestart
) -> None:
    source = tmp_path / "demo-1.0.tar.gz"
    source.write_bytes(b"one")
    layout.guesses.write_bytes(b"")
    prestarter = Prestarter(layout=layout)

    prestarter.remember(source, guess)

    assert starts(prestarter, source) == []
