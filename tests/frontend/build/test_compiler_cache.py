"""Compiler caches: the real ones, in front of the real compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import Ground, ask, write_project, write_sdist
from tests.support.forge import Place
from tests.support.service import until
from wheelforge.errors import UsageError
from wheelforge.models import Kind, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelforge.models import Outcome

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
_RUN = "import os, subprocess; subprocess.run({}, shell=True, check=True)"
_COMPILE = "cc -g -c part.c -o part.o"


def ask_sccache(word: str, variables: dict[str, str]) -> bool:
    """Return whether its server has answered; it is started for most questions."""
    program = shutil.which("sccache") or ""
    done = subprocess.run([program, word], env=variables, capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(params=["ccache", "sccache"])
def variables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the variables of a process that has one of them, with objects of its own."""
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    port = str(20_000 + os.getpid() % 10_000)  # below those that systems give to whoever asks
    own = {"CCACHE_DIR": str(tmp_path / "c"), "SCCACHE_DIR": str(tmp_path / "s")}
    found = {"PATH": os.environ["PATH"], "SCCACHE_SERVER_PORT": port, **own, "name": name}
    if name == "sccache":  # which takes seconds to start where much else is going on
        until(lambda: ask_sccache("--show-stats", found))
    yield found
    if name == "sccache":
        ask_sccache("--stop-server", found)


def build(ground: Ground, version: str, code: str, variables: dict[str, str]) -> Outcome:
    more = {"part.c": f"int part = {len(code)};\n"}
    source = write_sdist(ground.links.parent, version=version, more=more, build_wheel=code)
    policy = Policy(compiler_cache=variables["name"])
    with ground.forge(policy=policy, variables=variables) as forge:
        return forge.build(ask(source, ground.links.parent / "out"))


def counts(outcome: Outcome) -> tuple[int, int]:
    return outcome.compiler_hits, outcome.compiler_misses


@pytest.mark.parametrize(
    "command",
    [
        _COMPILE,
        _COMPILE.replace("cc ", "$CC ", 1),
        f"for cache in ccache sccache; do $cache --version; done; {_COMPILE}",
        f"ccache {_COMPILE}",
    ],
    ids=["by its name", "by a path in CC", "where a cache is looked for", "through another one"],
)
def test_compiler_cache__knows_the_files_of_another_version(
    tmp_path: Path, variables: dict[str, str], command: str
) -> None:
    ground, code = Ground.make(tmp_path), _RUN.format(repr(command))
    if "CC" in command:
        variables["CC"] = shutil.which("cc") or ""

    first = build(ground, "1.0", code, variables)
    second = build(ground, "1.1", code, variables)

    assert (counts(first), counts(second)) == ((0, 1), (1, 0))
    name = variables["name"]
    assert second.notes == (f"1 of 1 compilations were in the cache of {name}",)
    assert first.log is not None
    assert f"0 of 1 compilations were in the cache of {name}" in first.log.read_text()


def test_compiler_cache__counts_the_compilations_of_all_kinds(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    ground, code = Ground.make(tmp_path), _RUN.format(repr(_COMPILE))
    project = write_project(tmp_path / "demo", build_wheel=code, build_editable=code)
    (project / "part.c").write_text("int part;\n", encoding="utf-8")
    policy = Policy(compiler_cache=variables["name"])

    with ground.forge(policy=policy, variables=variables) as forge:
        outcome = forge.build(ask(project, tmp_path, kinds=(Kind.WHEEL, Kind.EDITABLE)))

    assert counts(outcome) == (1, 1)


def test_compiler_cache__that_does_not_count_is_used_all_the_same(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    name, programs = variables["name"], tmp_path / "programs"
    programs.mkdir()
    script = f'#!/bin/sh\n[ "$1" = --show-stats ] && exit 3\nexec {shutil.which(name)} "$@"\n'
    (programs / name).write_text(script, encoding="utf-8")
    (programs / name).chmod(0o700)
    variables["PATH"] = os.pathsep.join([str(programs), "/absent", variables["PATH"]])

    outcome = build(Ground.make(tmp_path), "1.0", _RUN.format(repr(_COMPILE)), variables)

    assert counts(outcome) == ((0, 1) if name == "ccache" else (0, 0))
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".whl"]


def test_compiler_cache__that_is_not_there_is_an_error_only_if_it_is_named(tmp_path: Path) -> None:
    ground = Ground.make(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    variables = {"PATH": str(programs)}

    for wanted in ("off", "auto"):
        assert counts(build(ground, "1.0", "", {**variables, "name": wanted})) == (0, 0)
    with pytest.raises(UsageError, match="there is no `ccache` on PATH"):
        build(ground, "1.0", "", {**variables, "name": "ccache"})


def test_command_line__runs_compilers_through_a_cache(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path, variables=variables)
    code, report = _RUN.format(repr(_COMPILE)), tmp_path / "report.json"
    sdists = [
        write_sdist(tmp_path, name=name, more={"part.c": "int part;\n"}, build_wheel=code)
        for name in ("one", "two")
    ]
    words: list[str | Path] = [*sdists, "-j1", "--compiler-cache", "auto", "--report", report]

    done = place.run(*ground.words(*words, "-o", tmp_path / "out"))

    assert done.code == 0, done.err
    assert "compilations: 1 of 2 from the compiler cache" in done.err
    builds = json.loads(report.read_text(encoding="utf-8"))["builds"]
    assert sorted(each["cache"]["compiler_hits"] for each in builds) == [0, 1]
