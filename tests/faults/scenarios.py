"""Commands that run while a process is killed, or one of its system calls fails."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.faults import installer
from tests.faults.ground import Ground
from tests.support.archives import (
    PROJECT,
    TAR_GZ,
    ZIP,
    ZipMember,
    file,
    folder,
    gz,
    raw_zip,
    symlink,
    tar,
    zipped,
)
from tests.support.stock import Stock
from tests.support.wheels import Draft

_BACKEND = '''\
"""Hands out what somebody has built before."""


def _hand_out(directory, ending):
    import os

    (name,) = [name for name in os.listdir("ready") if name.endswith(ending)]
    with open(f"ready/{name}", "rb") as ready, open(f"{directory}/{name}", "wb") as copy:
        copy.write(ready.read())
    return name


def build_wheel(directory, settings=None, metadata=None):
    return _hand_out(directory, ".whl")


def build_sdist(directory, settings=None):
    return _hand_out(directory, ".tar.gz")
'''
_SETTINGS = """\
[build-system]
requires = [{requires}]
build-backend = "backend"
backend-path = ["."]

[project]
name = "demo"
version = "1.0"
"""
_WHEEL, _SDIST = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"
_FILES = {
    "tool/__init__.py": b"",
    "tool/core.py": b"answer = 42\n",
    "DATA/scripts/tool": b"#!python\n",
}
_TOOL = {**_FILES, "INFO/entry_points.txt": b"[console_scripts]\ntool-run = tool.core:answer\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A command, and the state of the world in which it is given."""

    name: str
    words: str
    """Of the command line; places stand in braces."""
    prepare: Callable[[Ground], None]
    circumstances: tuple[str, ...] = ()
    """The options of strace for every run that is disturbed, beside the disturbance."""
    collection: str = "gc"
    """The collection after it. A build looks at the size of a cache only if that has grown."""
    has_cache: bool = True
    is_damaged: bool = False
    """Whether the cache is not sound before."""
    may_lose: bool = False
    """Whether something that was wrong in the cache may just as well be gone afterwards."""
    needs_once: bool = False
    """Whether it does not need again what it was done with: an unreadable part stays gone."""
    bad_news: int | None = None
    """The exit code that says what was found, and is no error."""
    may_refuse: str = ""
    """The error that the command may end with when it is given again after it was done."""

    def say(self, ground: Ground) -> list[str]:
        """Return the words of the command on that ground."""
        words = self.words.format(**ground.places).split()
        return [*words, "--cache-dir", ground.places["cache"]] if self.has_cache else words


def _write_archives(ground: Ground) -> None:
    members = (
        folder("p-1/src"),
        file("p-1/src/module.py", b"answer = 42\n"),
        file("p-1/src/deep/er/data.bin", bytes(range(256)) * 300),
        file("p-1/run.sh", b"#!/bin/sh\n", mode=b"0000755\0"),
        symlink("p-1/link.py", "src/module.py"),
        symlink("p-1/all", "src"),
        symlink("p-1/chain", "link.py"),
    )
    content = gz(tar(*PROJECT, *members))
    (ground.source / TAR_GZ).write_bytes(content)
    files = {
        "p-1/PKG-INFO": b"Metadata-Version: 2.2\nName: p\nVersion: 1\n",
        "p-1/pyproject.toml": b"",
        "p-1/src/module.py": b"answer = 42\n" * 100,
        "p-1/src/deep/er/data.bin": bytes(range(256)) * 300,
    }
    packed: list[ZipMember] = [zipped(name, data, deflated=True) for name, data in files.items()]
    (ground.source / ZIP).write_bytes(raw_zip(*packed))


def _write_large_archive(ground: Ground) -> None:
    members = [file(f"p-1/src/part{number}/file.py", b"z = 1\n") for number in range(30)]
    links = [symlink(f"p-1/link{number}", f"src/part{number}") for number in range(10)]
    (ground.source / TAR_GZ).write_bytes(gz(tar(*PROJECT, *members, *links)))


def _write_project(ground: Ground, *, requires: str = "") -> None:
    project = ground.source / "demo"
    ready = project / "ready"
    ready.mkdir(parents=True)
    settings = _SETTINGS.format(requires=requires)
    (project / "pyproject.toml").write_text(settings, encoding="utf-8")
    (project / "backend.py").write_text(_BACKEND, encoding="utf-8")
    wheel = Draft().pack()
    (ready / _WHEEL).write_bytes(wheel)
    sdist = gz(
        tar(
            file("demo-1.0/PKG-INFO", b"Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n"),
            file("demo-1.0/pyproject.toml", settings.encode()),
            file("demo-1.0/backend.py", _BACKEND.encode()),
            file(f"demo-1.0/ready/{_WHEEL}", wheel),
        )
    )
    (ready / _SDIST).write_bytes(sdist)
    (ground.source / _SDIST).write_bytes(sdist)


def _write_stock(ground: Ground) -> None:
    stock = Stock(path=ground.source / "stock")
    stock.add("tool", files=_TOOL, programs=frozenset({"DATA/scripts/tool"}))
    stock.add("other", "2.0", files={"other.py": b"value = 1\n", "tool/extra.py": b"more = 2\n"})


def _write_large_stock(ground: Ground) -> None:
    """Leave wheels with many files, some of which are in two of them."""
    stock = Stock(path=ground.source / "stock")
    for name in ("first", "second", "third"):
        own = {f"{name}/part{number}/module.py": b"x = %d\n" % number for number in range(12)}
        stock.add(name, files={**own, "shared/__init__.py": b"", f"shared/{name}.py": b"y = 1\n"})


def _write_source_stock(ground: Ground) -> None:
    """Leave a project that requires what there is only as an sdist."""
    _write_project(ground, requires='"tool"')
    stock = Stock(path=ground.source / "tools")
    stock.add("tool", files=_TOOL, programs=frozenset({"DATA/scripts/tool"}))
    (wheel,) = stock.path.iterdir()
    settings = _SETTINGS.format(requires="").replace("demo", "tool")
    metadata = b"Metadata-Version: 2.2\nName: tool\nVersion: 1.0\n"
    sdist = gz(
        tar(
            file("tool-1.0/PKG-INFO", metadata),
            file("tool-1.0/pyproject.toml", settings.encode()),
            file("tool-1.0/backend.py", _BACKEND.encode()),
            file(f"tool-1.0/ready/{wheel.name}", wheel.read_bytes()),
        )
    )
    (ground.source / "stock").mkdir()
    (ground.source / "stock" / "tool-1.0.tar.gz").write_bytes(sdist)


def _write_required_project(ground: Ground) -> None:
    _write_stock(ground)
    _write_project(ground, requires='"tool"')


def _warm(*words: str) -> Callable[[Ground], None]:
    """Return a preparation: the project, and a cache in which such a build was done before."""

    def prepare(ground: Ground) -> None:
        _write_required_project(ground)
        _run(ground, *_BUILD.format(**ground.places).split(), *words)
        shutil.rmtree(ground.root / "output")  # ruff: ignore[banned-api]

    return prepare


def _keep_built(words: str = "") -> Callable[[Ground], None]:
    """Return a preparation: the project, and a cache that has the wheel of such a build."""

    def prepare(ground: Ground) -> None:
        _warm()(ground)
        _run(ground, *(words or _FROM_SDIST).format(**ground.places).split())
        shutil.rmtree(ground.root / "output")  # ruff: ignore[banned-api]

    return prepare


def _renew_tool(ground: Ground) -> None:
    """Leave a cache that has the wheel, and a newer release of what it was built with."""
    _keep_built(_ABI)(ground)
    Stock(path=ground.source / "stock").add("tool", "2.0", _TOOL)


def _damage_built(ground: Ground) -> None:
    """Leave a cache in which the wheel was damaged."""
    _keep_built()(ground)
    (kept,) = ground.cache.files.rglob(_WHEEL)
    kept.write_bytes(kept.read_bytes()[:-7])


def _run(ground: Ground, *words: str) -> None:
    from wheelforge.cli import main

    assert main([*words, "--cache-dir", ground.places["cache"]]) == 0, words


def _fill(ground: Ground) -> None:
    _write_stock(ground)
    assert installer.main([ground.places["source"] + "/stock", ground.places["cache"]]) == 0


def _keep_wheels(ground: Ground) -> None:
    """Leave a cache that has the wheels, and no environment."""
    _fill(ground)
    for name in ("records", "trees"):
        shutil.rmtree(ground.cache.environments.root / name)  # ruff: ignore[banned-api]


def _litter(ground: Ground) -> None:
    """Leave what processes leave that died at their worst."""
    _fill(ground)
    cache = ground.cache
    tree = cache.wheels.tree("f" * 32 + ".00000000")
    for directory in (cache.drafts, tree / "half", cache.stages / "dead-1/src", cache.quarantine):
        directory.mkdir(parents=True, exist_ok=True)
    for path in (
        cache.drafts / "1-00.11",
        tree / "half/file",
        cache.stages / "dead-1/.lock",
        cache.stages / "dead-1/src/file",
        cache.leases / "1-00.lock",
        cache.leases / "1-00.pins",
        cache.lock("dead"),
        cache.quarantine / "bad.1.json",
        cache.quarantine / "bad.1.why",
    ):
        path.write_bytes(b"litter\n")
        os.utime(path, (1_600_000_000, 1_600_000_000))


def _litter_much(ground: Ground) -> None:
    """Leave a cache with many files in it, and what the dead left."""
    _litter(ground)
    shutil.rmtree(ground.source / "stock")  # ruff: ignore[banned-api]
    _write_large_stock(ground)
    assert installer.main([ground.places["source"] + "/stock", ground.places["cache"]]) == 0


def _damage(ground: Ground) -> None:
    """Leave a cache in which something of every kind is wrong."""
    _fill(ground)
    cache = ground.cache
    first, second = sorted(cache.wheels.list_records())
    second.write_bytes(second.read_bytes()[:-7])
    for module in cache.environments.root.rglob("other.py"):
        module.unlink()
    (file_directory, *_) = cache.list_files()
    (kept,) = file_directory.iterdir()
    kept.write_bytes(b"damaged")
    tree = next(path for path in cache.wheels.list_trees() if path.name.startswith(first.stem))
    (victim, *_) = sorted(tree.rglob("*.py"))
    victim.write_bytes(b"changed")


_BUILD = "build {source}/demo -o {output} --no-index --find-links {source}/stock"
_FROM_SDIST = _BUILD.replace("source}/demo", f"source}}/{_SDIST}")
_INSTALL = "install {source}/stock {cache}"
_UNPACK = f"unpack {{source}}/{TAR_GZ} {{destination}}"

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="unpack, links kept",
            words=f"{_UNPACK} --links keep",
            prepare=_write_archives,
            has_cache=False,
            may_refuse="destination-not-empty",
        ),
        Scenario(
            name="unpack, links copied",
            words=f"{_UNPACK}/new/place --links copy",
            prepare=_write_archives,
            has_cache=False,
            may_refuse="destination-not-empty",
        ),
        Scenario(
            name="unpack a zip",
            words=f"unpack {{source}}/{ZIP} {{destination}} --links keep",
            prepare=_write_archives,
            has_cache=False,
            may_refuse="destination-not-empty",
        ),
        Scenario(
            name="unpack much",
            words=f"{_UNPACK} --links copy",
            prepare=_write_large_archive,
            has_cache=False,
            may_refuse="destination-not-empty",
        ),
        Scenario(name="install much", words=_INSTALL, prepare=_write_large_stock),
        Scenario(name="install, nothing there", words=_INSTALL, prepare=_write_stock),
        Scenario(
            name="install, no hard links",
            words=_INSTALL,
            prepare=_keep_wheels,
            circumstances=("link:error=EPERM",),
        ),
        Scenario(name="install, wheels there", words=_INSTALL, prepare=_keep_wheels),
        Scenario(name="install, all damaged", words=_INSTALL, prepare=_damage, is_damaged=True),
        Scenario(name="cache gc of litter", words="cache gc", prepare=_litter),
        Scenario(name="cache gc of all", words="cache gc --max-size 0", prepare=_litter),
        Scenario(name="cache gc by age", words="cache gc --max-age 0s", prepare=_litter_much),
        Scenario(name="cache clear", words="cache clear", prepare=_litter),
        Scenario(
            name="cache verify",
            words="cache verify --repair",
            prepare=_damage,
            bad_news=1,
            is_damaged=True,
            may_lose=True,
        ),
        Scenario(
            name="build a wheel, nothing there",
            words=f"{_BUILD} -w",
            prepare=_write_required_project,
        ),
        Scenario(name="build both, nothing there", words=_BUILD, prepare=_write_required_project),
        Scenario(name="build what is required", words=f"{_BUILD} -w", prepare=_write_source_stock),
        Scenario(
            name="build and collect",
            words=f"{_BUILD} -w --cache-max-size 1",
            collection="gc --max-size 1",
            prepare=_write_required_project,
        ),
        Scenario(name="build a wheel", words=f"{_BUILD} -w", prepare=_warm("-w")),
        Scenario(name="build an sdist", words=f"{_BUILD} -s", prepare=_warm("-s")),
        Scenario(name="build both", words=_BUILD, prepare=_warm()),
        Scenario(name="build from an sdist", words=_FROM_SDIST, prepare=_warm()),
    )
}

_ABI = f"{_FROM_SDIST} --reuse-policy abi"
_DIRECTORY = f"{_BUILD} --reuse"
REUSE_SCENARIOS = {
    scenario.name: replace(scenario, needs_once=True)
    for scenario in (
        Scenario(name="keep a wheel", words=_FROM_SDIST, prepare=_warm()),
        Scenario(name="keep a wheel anew", words=f"{_FROM_SDIST} --rebuild", prepare=_keep_built()),
        Scenario(
            name="keep a wheel and collect",
            words=f"{_FROM_SDIST} --rebuild --cache-max-size 1",
            collection="gc --max-size 1",
            prepare=_keep_built(),
        ),
        Scenario(name="keep a directory's", words=_DIRECTORY, prepare=_warm()),
        Scenario(name="use a wheel", words=_FROM_SDIST, prepare=_keep_built()),
        Scenario(name="use a directory's", words=_DIRECTORY, prepare=_keep_built(_DIRECTORY)),
        Scenario(name="use a wheel by the ABI", words=_ABI, prepare=_renew_tool),
        Scenario(
            name="use a damaged wheel",
            words=_FROM_SDIST,
            prepare=_damage_built,
            is_damaged=True,
        ),
        Scenario(
            name="compare a wheel",
            words=f"{_FROM_SDIST} --verify-reuse 100%",
            prepare=_keep_built(),
        ),
        Scenario(
            name="compare a directory's",
            words=f"{_DIRECTORY} --verify-reuse 100%",
            prepare=_keep_built(_DIRECTORY),
        ),
        Scenario(
            name="collect built wheels",
            words="cache gc --max-size 0",
            prepare=_keep_built(_DIRECTORY),
        ),
    )
}
"""Commands that keep, use, compare and collect wheels of earlier builds."""
