"""Pins become keys, files, and finally an environment that runs."""

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.index import Project, sdist, serve, wheel
from tests.support.stock import Reporter, this_python
from tests.support.universe import Universe, ask, content_of, sha256_of
from wheelforge.index import Candidate, Index, IndexSettings
from wheelforge.resolve import FetchPlan, Resolution, ResolutionCache, prepare_wheels, resolve
from wheelforge_isolation import Layout, open_cache


def deliver(
    universe: Universe, resolution: Resolution, *, chain: tuple[str, ...] = ()
) -> FetchPlan:
    workspace = universe.workshop / "work" / "space"
    return prepare_wheels(resolution, universe, universe.build, workspace=workspace, chain=chain)


def test_fetch_plan__a_known_hash_makes_a_key_and_the_file_is_fetched_when_it_is_wanted(
    universe: Universe, tmp_path: Path
) -> None:
    file_name = universe.add("a-b", "1.0")

    plan = deliver(universe, universe.resolve("a.b"))

    (key,) = plan.keys
    assert (key.name, key.version, key.file_name) == ("a-b", "1.0", file_name)
    assert key.sha256 == sha256_of(file_name)
    assert universe.fetched == []
    plan.fetch(key, str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == content_of(file_name)


def test_fetch_plan__an_unstated_hash_is_learned_once(universe: Universe, tmp_path: Path) -> None:
    file_name = universe.add("a", "1.0", hashes={"md5": "1" * 32})

    plan = deliver(universe, universe.resolve("a"))
    again = deliver(universe, plan.resolution)

    assert universe.fetched == [file_name]
    assert plan.resolution.pins[0].sha256 == sha256_of(file_name)
    assert plan.keys == again.keys
    plan.fetch(plan.keys[0], str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == content_of(file_name)
    assert universe.fetched == [file_name]


def test_fetch_plan__a_stated_hash_is_compared_where_the_index_states_another_kind(
    universe: Universe,
) -> None:
    file_name = universe.add("a", "1.0")
    right = f"sha512:{hashlib.sha512(content_of(file_name)).hexdigest()}"

    plan = deliver(universe, universe.resolve("a", hashes={"a": (right,)}))

    assert universe.fetched == [file_name]
    assert plan.resolution.pins[0].accepted == (f"sha256:{sha256_of(file_name)}",)
    assert deliver(universe, plan.resolution).keys == plan.keys
    assert universe.fetched == [file_name]


@pytest.mark.parametrize("hashes", [{}, {"md5": "1" * 32}])
def test_fetch_plan__a_file_without_any_stated_hash_is_refused(
    universe: Universe, hashes: dict[str, str]
) -> None:
    file_name = universe.add("a", "1.0", hashes=hashes)
    wrong = ("sha256:" + 64 * "0", "sha384:" + 96 * "0")
    resolution = universe.resolve("a", hashes={"a": wrong})

    with raises("hash-refused") as caught:
        deliver(universe, resolution)

    assert str(caught.value) == (
        f"`{file_name}` has the SHA-256 {sha256_of(file_name)}, and stated is {', '.join(wrong)}"
    )


def test_fetch_plan__of_an_sdist_the_wheel_that_is_built_of_it_is_delivered(
    universe: Universe, tmp_path: Path
) -> None:
    universe.add("a", "1.0", is_sdist=True)
    resolution = universe.resolve("a", build=True)

    plan = deliver(universe, resolution)

    (key,) = plan.keys
    assert key.file_name == "a-1.0-py3-none-any.whl"
    assert key.sha256 == sha256_of(key.file_name)
    assert plan.resolution == resolution
    plan.fetch(key, str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == content_of(key.file_name)


def test_fetch_plan__a_remembered_sdist_in_a_ring_is_noticed_as_well(universe: Universe) -> None:
    universe.add("a", "1.0", is_sdist=True)
    resolution = universe.resolve("a", build=True)

    with raises("build-cycle"):
        deliver(universe, resolution, chain=("a", "b"))


def test_fetch_plan__an_sdist_without_a_builder_is_an_error(
    universe: Universe, tmp_path: Path
) -> None:
    universe.add("a", "1.0", is_sdist=True)
    resolution = universe.resolve("a", build=True)

    with raises("needs-build"):
        prepare_wheels(resolution, universe, None, workspace=tmp_path)


def test_fetch_plan__from_a_server_to_an_environment_that_runs(tmp_path: Path) -> None:
    """The whole way: an index, a resolution, a memory, the stores, a Python."""
    unhashed = replace(wheel("plugin", "2.0", "setuptools>=60"), hashes={})
    source = sdist("legacy", "1.0")
    projects = (
        Project("setuptools", wheel("setuptools", "80.1"), wheel("setuptools", "59.8")),
        Project("plugin", unhashed, wheel("plugin", "3.0", "setuptools>=90")),
        Project("legacy", source),
    )
    python = this_python(tmp_path / "pythons")
    built = wheel("legacy", "1.0", "plugin; extra == 'more'", more="Provides-Extra: more")
    answers = ResolutionCache(directory=tmp_path / "answers")

    def build(candidate: Candidate) -> Path:
        index.fetch(candidate, str(tmp_path / candidate.file_name))
        assert (tmp_path / candidate.file_name).read_bytes() == source.content
        (tmp_path / built.name).write_bytes(built.content)
        return tmp_path / built.name

    with serve(*projects) as server:
        settings = IndexSettings(index_urls=(server.url,), timeout_seconds=5.0)
        request = ask("legacy[more]")._replace(python=python, index_identity=settings.identity)
        with Index(settings, python.tags) as index:
            resolution = answers.get_or_resolve(request, lambda asked: resolve(asked, index, build))
            plan = prepare_wheels(resolution, index, build, workspace=tmp_path / "work")
            answers.store(request, plan.resolution)
            with open_cache(Layout(root=tmp_path / "cache"), Reporter()) as cache:
                environment = cache.environments.get_or_create(python, plan.keys, plan.fetch)
                code = (
                    "import demo, importlib.metadata as m; "
                    "print(*sorted(f'{d.name} {d.version}' for d in m.distributions()))"
                )
                command = [environment.python_executable, "-c", code]
                output = subprocess.check_output(command, text=True)

    assert output.splitlines()[-1] == "legacy 1.0 plugin 2.0 setuptools 80.1"
    assert all(pin.sha256 for pin in plan.resolution.pins)
    assert answers.load(request) == plan.resolution
