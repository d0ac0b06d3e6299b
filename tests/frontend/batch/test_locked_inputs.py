"""Locks of projects as inputs: what uv has written, and what is wrong in a file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment

from tests.support.batches import Yard, without_summary
from tests.support.index import core_metadata
from tests.support.wheels import Draft
from wheelforge.batch.locked_inputs import LockedFile, LockedInput
from wheelforge.errors import UsageError

UV = Path(sys.executable).with_name("uv")
WORKSPACE = """\
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["one", "member[more]", "wheely", "far ; sys_platform == 'win32'"]
[dependency-groups]
dev = ["four"]
other = ["five"]
[tool.uv]
no-index = true
find-links = ["links"]
workspace = { members = ["member"] }
sources = { member = { workspace = true }, two = { path = "links/two-1.0.tar.gz" } }
"""
MEMBER = """\
[project]
name = "member"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["two"]
optional-dependencies = { more = ["three"], less = ["five"] }
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
LINUX = {**dict[str, Any](default_environment()), "python_full_version": "3.12.1"}
PYLOCK = """\
lock-version = "1.0"
created-by = "a test"
requires-python = ">=3.11"
"""
UV_LOCK = """\
version = 1
requires-python = ">=3.11"
[[package]]
name = "demo"
source = { virtual = "." }
"""
HASH = f"sha256:{'a' * 64}"


def read(path: Path, **markers: str) -> list[LockedInput]:
    return LockedFile(path).select({**LINUX, **markers})


def write(place: Path, name: str, text: str) -> Path:
    (place / name).write_text(text, encoding="utf-8")
    return place / name


@pytest.fixture
def workspace(yard: Yard) -> Path:
    """Return a workspace that uv has locked."""
    if not UV.exists():
        pytest.skip("needs uv")
    for name in ("one", "two", "three", "four", "five", "far"):
        yard.sdist(name)
    info = "wheely-1.0.dist-info"
    wheel = Draft(dist_info=info, files={f"{info}/METADATA": core_metadata("wheely", "1.0")})
    (yard.place / "links" / "wheely-1.0-py3-none-any.whl").write_bytes(wheel.pack())
    write(yard.place, "pyproject.toml", WORKSPACE)
    yard.project("member").rename(yard.place / "member")
    write(yard.place / "member", "pyproject.toml", MEMBER)
    write(yard.place / "member", "README", "")
    variables = {name: text for name, text in os.environ.items() if not name.startswith("UV_")}
    variables |= {"UV_CACHE_DIR": str(yard.place / "uv"), "UV_PYTHON": sys.executable}
    for words in (["lock"], ["export", "--frozen", "--format", "pylock.toml", "-o", "pylock.toml"]):
        command = [str(UV), *words, "-q", "--offline"]
        subprocess.run(command, cwd=yard.place, env=variables, check=True)
    return yard.place


@pytest.mark.parametrize(("system", "more"), [("linux", set[str]()), ("win32", {"far"})])
def test_locked_inputs__are_what_uv_would_install(
    workspace: Path, system: str, more: set[str]
) -> None:
    in_uv_lock, in_pylock = (
        {each.name.split()[0]: each for each in read(workspace / name, sys_platform=system)}
        for name in ("uv.lock", "pylock.toml")
    )

    assert in_uv_lock.keys() == {"one", "member", "two", "three", "four", "wheely"} | more
    assert {each.source for each in in_uv_lock.values()} == {
        *(workspace / "links" / f"{name}-1.0.tar.gz" for name in in_uv_lock if len(name) < 6),
        workspace / "member",
        None,
    }
    assert all(in_pylock[name].source == each.source for name, each in in_uv_lock.items())
    digest = hashlib.sha256((workspace / "links" / "one-1.0.tar.gz").read_bytes()).hexdigest()
    assert in_pylock["one"].hashes == (f"sha256:{digest}",)


def test_locked_inputs__are_built(yard: Yard, workspace: Path) -> None:
    code, _, err = yard.run("-r", "uv.lock", "-w")

    note = f"note: `{workspace / 'uv.lock'}` has nothing but wheels of `wheely 1.0`: these are left"
    assert (code, without_summary(err)) == (0, f"{note} out\n")
    assert yard.results() == {"one", "member", "two", "three", "four"}


def test_locked_inputs__refuse_an_sdist_with_another_hash(yard: Yard) -> None:
    path = yard.sdist("one")
    part = f"sdist = {{ path = 'links/{path.name}', hashes = {{ sha256 = '{'0' * 64}' }} }}"
    write(yard.place, "pylock.toml", f"{PYLOCK}[[packages]]\nname = 'one'\n{part}\n")

    code, _, err = yard.run("-r", "pylock.toml")

    assert (code, yard.results()) == (5, set())
    assert err.startswith("error[hash-refused]: `one-1.0.tar.gz` has the SHA-256 ")


def test_pylock__kinds_of_sources(tmp_path: Path) -> None:
    (tmp_path / "in" / "side").mkdir(parents=True)
    path = write(
        tmp_path,
        "pylock.dev.toml",
        f"""{PYLOCK}default-groups = ["dev"]
[[packages]]
name = "archived"
archive = {{ url = "https://host/archived-2.zip", hashes = {{ sha512 = "{"B" * 128}" }} }}
[[packages]]
name = "inside"
directory = {{ path = "in", subdirectory = "side" }}
[[packages]]
name = "grouped"
version = "1"
marker = "'dev' in dependency_groups and 'x' not in extras"
archive = {{ path = "grouped-1-py3-none-any.whl", hashes = {{ sha256 = "{"a" * 64}" }} }}
[[packages]]
name = "other"
marker = "'test' in dependency_groups"
directory = {{ path = "in" }}
""",
    )

    assert read(path) == [
        LockedInput("archived", "archived @ https://host/archived-2.zip", (f"sha512:{'b' * 128}",)),
        LockedInput("inside", tmp_path / "in" / "side"),
        LockedInput("grouped 1"),
    ]


def test_uv_lock__forks_and_scripts(tmp_path: Path) -> None:
    packages = "".join(
        f"""[[package]]
name = "forked"
version = "{version}"
source = {{ registry = "https://index/simple" }}
resolution-markers = ["python_full_version {marker} '3.12'"]
sdist = {{ url = "https://host/forked-{version}.tar.gz", hash = "{HASH}" }}
"""
        for version, marker in (("1", "<"), ("2", ">="))
    )
    requirements = "requirements = [{ name = 'forked', specifier = '>=1' }]"
    path = write(tmp_path, "uv.lock", f"version = 1\n[manifest]\n{requirements}\n{packages}")

    assert [each.name for each in read(path)] == ["forked 2"]
    assert [each.name for each in read(path, python_full_version="3.11.9")] == ["forked 1"]


PACKAGE = "[[packages]]\nname = 'a'\n"
COMMIT = f"commit-id = '{40 * '0'}'\n"
INSIDE = f"subdirectory = 'b'\nhashes.sha256 = '{64 * '0'}'\n"
WHEEL = (
    f"wheels = [{{ url = 'https://host/a-1-py3-none-any.whl', hashes.sha256 = '{64 * '0'}' }}]\n"
)
SDIST = "sdist = { url = 'https://host/a-1.tar.gz' }"
NEEDS = "dependencies = [{{ name = 'a'{} }}]\n[[package]]\nname = 'a'\n"
NO_HASH = "no SHA-256, SHA-384 or SHA-512 is stated of `a`"


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("pylock.toml", "lock-version = ", 0, "it is not TOML: "),
        ("pylock.toml", "lock-version = '1.0'\n", 0, "Missing required value"),
        ("pylock.toml", f"{PYLOCK}[[packages]]\nname = 'A'\n", 5, "`packages[0].name`: "),
        (
            "pylock.toml",
            f"{PYLOCK.replace('3.11', '3.13')}packages = []",
            3,
            "it is for Python >=3.13, and this is ",
        ),
        (
            "uv.lock",
            UV_LOCK.replace("3.11", "3.13"),
            2,
            "it is for Python >=3.13, and ",
        ),
        (
            "pylock.toml",
            f"{PYLOCK}{PACKAGE}[packages.vcs]\ntype = 'hg'\nurl = 'https://host/a'\n{COMMIT}",
            6,
            "`a` is in a repository of `hg`; only git is fetched",
        ),
        (
            "pylock.toml",
            f"{PYLOCK}{PACKAGE}[packages.archive]\nurl = 'https://host/a.zip'\n{INSIDE}",
            6,
            "`a` is a part of an archive, which is not built",
        ),
        ("pylock.toml", f"{PYLOCK}{PACKAGE}[packages.directory]\npath = 'x'\n", 6, "no directory"),
        ("pylock.toml", f"{PYLOCK}{2 * f'{PACKAGE}{WHEEL}'}", 0, "Multiple packages with the name"),
        (
            "pylock.toml",
            f"environments = ['python_version < \"3\"']\n{PYLOCK}packages = []",
            0,
            "environment",
        ),
        ("uv.lock", "version = 2\n", 1, "it is of version 2, and uv's version 1 is understood"),
        ("uv.lock", "[a]\n", 0, "it states no version"),
        ("uv.lock", "version = 1\npackage = 3", 2, "`package` is no list of tables with names"),
        ("uv.lock", f"{UV_LOCK}dependencies = ['x']\n", 6, "`dependencies` is no list of tables"),
        ("uv.lock", UV_LOCK + NEEDS.format(", version = '2'"), 6, "`a` is not in the lock"),
        ("uv.lock", UV_LOCK + NEEDS.format(", marker = 'x'"), 6, "Expected a "),
        ("uv.lock", UV_LOCK + NEEDS.format(""), 7, "`a` has no source that is understood: ``"),
        (
            "uv.lock",
            f"{UV_LOCK}{NEEDS.format('')}source = {{ url = 'https://host/a.zip' }}\n",
            7,
            NO_HASH,
        ),
        ("uv.lock", f"{UV_LOCK}{NEEDS.format('')}source.registry = 'x'\n{SDIST}", 10, NO_HASH),
        ("uv.lock", f"{UV_LOCK}{NEEDS.format('')}source.editable = 'x'\n", 7, "no directory `"),
        ("uv.lock", f"{UV_LOCK}{NEEDS.format('')}source.path = 'x.zip'\n", 7, "there is no file `"),
        (
            "uv.lock",
            f"{UV_LOCK}{NEEDS.format('')}source.path = 'file:///x%00.zip'\n",
            7,
            "there is no file `",
        ),
    ],
)
def test_wrong_file__is_told_with_the_place(
    tmp_path: Path, name: str, text: str, line: int, reason: str
) -> None:
    path = write(tmp_path, name, text)

    with pytest.raises(UsageError) as caught:
        read(path)

    assert (caught.value.code, caught.value.line) == ("requirement-file-invalid", line)
    assert reason in caught.value.reason
