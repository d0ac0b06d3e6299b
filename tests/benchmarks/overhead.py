"""Overhead over the backend: the whole warm program, and the bare hooks in a ready environment.

The bare hooks are a fresh process each, run by pyproject-hooks, on sources that are unpacked and in
an environment that has its bytecode. Nothing that keeps to PEP 517 can do with less.
"""

import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pyproject_hooks import BuildBackendHookCaller

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.one_build import fill_caches
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import OFFLINE, Bench, building, run_child
from tests.support.corpus import Sdist

BASE = "bare hooks"
_LEGACY = ("setuptools>=40.8.0",), "setuptools.build_meta:__legacy__"


def run(bench: Bench) -> Result:
    """Compare whole programs with what they cannot avoid."""
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        sdists = bench.sdists(with_compiled=False)
        rows = [_measure(bench, sdist, online) for sdist in sdists]
    return Result(name="overhead", title="whole program over bare hooks", rows=rows)


def _measure(bench: Bench, sdist: Sdist, online: Mapping[str, str]) -> Row:
    fill_caches(bench, sdist, online)
    variables = {**online, **OFFLINE}
    contenders = {
        "wheelforge": building(bench.build_with_ours(sdist.path), variables),
        "uv build": building(bench.build_with_uv(sdist.path), variables),
        BASE: _bare(bench, sdist, online),
    }
    samples = measure(contenders, bench.rounds, bench.place)
    return Row(title=sdist.file, samples=samples, base=BASE)


def _bare(bench: Bench, sdist: Sdist, online: Mapping[str, str]) -> Contender:
    ready = bench.place / "ready" / sdist.file
    ready.mkdir(parents=True)
    requires, backend = _read_backend(sdist)
    python = _make_ready(bench, ready, requires, online)

    def unpack(place: Path) -> None:
        with tarfile.open(sdist.path) as archive:
            archive.extractall(place / "src", filter="data")

    def ask(place: Path) -> None:
        (source,) = (place / "src").iterdir()
        runner = partial(_run_hook, {**online, "PATH": f"{python.parent}:{online['PATH']}"})
        hooks = BuildBackendHookCaller(str(source), backend, None, runner, str(python))
        hooks.get_requires_for_build_wheel()
        hooks.build_wheel(str(place))

    return Contender(ask, prepare=unpack)


def _run_hook(
    variables: Mapping[str, str],
    cmd: Sequence[str],
    cwd: str | None = None,
    extra_environ: Mapping[str, str] | None = None,
) -> None:
    subprocess.run(
        cmd, cwd=cwd, env={**variables, **(extra_environ or {})}, capture_output=True, check=True
    )


def _read_backend(sdist: Sdist) -> tuple[tuple[str, ...], str]:
    import tomllib

    name = f"{sdist.file.removesuffix('.tar.gz')}/pyproject.toml"
    with tarfile.open(sdist.path) as archive:
        found = archive.extractfile(name) if name in archive.getnames() else None
        system = tomllib.loads(found.read().decode())["build-system"] if found else None
    return (tuple(system["requires"]), system["build-backend"]) if system else _LEGACY


def _make_ready(
    bench: Bench, place: Path, requirements: Sequence[str], online: Mapping[str, str]
) -> Path:
    """Make an environment as pip would, bytecode and all; return its Python."""
    python = place / "environment" / "bin" / "python"
    make = (bench.tools.python_of_peers, "-m", "venv", "--without-pip", str(python.parents[1]))
    run_child(make, online, place)
    pip = (bench.tools.python_of_peers, "-m", "pip", "--python", str(python))
    run_child((*pip, "install", *requirements), online, place)
    return python
