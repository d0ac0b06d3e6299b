"""The server of a source starts early, in the environment of its last build."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.builds import WHEEL_ONLY, Ground, ask, facts_of, write_project, write_sdist
from wheelforge.build.forge import Components
from wheelforge.build.prestart import Prestarter
from wheelforge.hooks.pool import RunnerPool
from wheelforge.models import Policy
from wheelforge_isolation import Layout
from wheelforge_isolation.cache.records import About
from wheelforge_isolation.cache.trees import TreeStore
from wheelforge_isolation.files.locks import Lease

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
def python(layout: Layout) -> str:
    lease = Lease(layout.leases)
    shelf = TreeStore(layout, layout.environments, lease, lambda _: None)
    environment = shelf.get_or_create("0" * 64, _link_python)
    lease.close()
    return str(environment.path / "bin" / "python")


def _link_python(tree: Path) -> About:
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to(sys.executable)
    return {}


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(b"one")
    return path


def remember(layout: Layout, source: Path | str, python: str) -> None:
    Prestarter(layout.root).store(source, python, "json", {"PATH": "/nowhere"})


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
        (server,) = pool._servers.values()
        early = server.pid
        policy = Policy(rebuild=frozenset([":all:"]))
        with ground.forge(components=Components(pool=pool), policy=policy) as forge:
            facts = facts_of(forge.build(request))

    assert pool.early == ["willing"]
    assert facts["imported"] == early


def test_prestart__nothing_is_started_where_the_wheel_is_expected(
    tmp_path: Path, ground: Ground
) -> None:
    sdist, settings = write_sdist(tmp_path), ground.settings()
    with ground.forge() as forge:
        forge.build(ask(sdist, tmp_path / "out"))
    prestarter = Prestarter(settings.cache_dir, settings.python)

    with Recording() as pool:
        for more in ({}, {"GITHUB_RUN_ID": "7", "COLUMNS": "40", "PYTHONPATH": "/"}):
            prestarter.start(sdist, {**settings.variables, **more}, pool, reuses=True)
        expected = [*pool.early]
        prestarter.start(sdist, {**settings.variables, "CFLAGS": "-O3"}, pool, reuses=True)

    assert (expected, pool.early) == ([], ["willing"])


def test_prestart__changed_source_or_one_without_a_path_starts_nothing(
    tmp_path: Path, layout: Layout, python: str, sdist: Path
) -> None:
    remember(layout, sdist, python)
    remember(layout, "demo==1.0", python)

    before = starts(layout, sdist)
    sdist.write_bytes(b"other")

    assert before == ["json"]
    assert starts(layout, sdist) == []
    assert starts(layout, "demo==1.0") == []
    assert starts(layout, tmp_path / "absent") == []


def test_prestart__project_is_known_by_its_pyproject_toml(
    tmp_path: Path, layout: Layout, python: str
) -> None:
    project = write_project(tmp_path / "project")
    remember(layout, project, python)
    (project / "module.py").write_text("x = 1\n", encoding="utf-8")

    before = starts(layout, project)
    os.utime(project / "pyproject.toml", (1, 1))

    assert before == ["json"]
    assert starts(layout, project) == []


def test_prestart__another_python_has_records_of_its_own(
    layout: Layout, python: str, sdist: Path
) -> None:
    Prestarter(layout.root, "3.12").store(sdist, python, "json", {})

    assert starts(layout, sdist) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"python": 1}', b"\xff"])
def test_prestart__damaged_record_starts_nothing(
    layout: Layout, python: str, sdist: Path, content: bytes
) -> None:
    remember(layout, sdist, python)
    (kept,) = layout.guesses.iterdir()
    kept.write_bytes(content)

    assert starts(layout, sdist) == []


def test_prestart__record_of_a_python_that_is_gone_starts_nothing(
    tmp_path: Path, layout: Layout, sdist: Path
) -> None:
    remember(layout, sdist, str(tmp_path / "gone"))

    assert starts(layout, sdist) == []


def test_prestart__unwritable_record_is_not_kept(layout: Layout, python: str, sdist: Path) -> None:
    layout.guesses.write_bytes(b"")
    remember(layout, sdist, python)

    assert starts(layout, sdist) == []
