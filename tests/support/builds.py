"""Whole builds: projects whose backend does what they say, and forges that share one cache."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from gzip import GzipFile
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.source import ROOT
from tests.support.stock import Stock
from wheelforge.build.forge import Components, Forge, open_forge
from wheelforge.events import BuildEvent, Reporter, ignore
from wheelforge.models import BuildRequest, Kind, Outcome, Policy, Reuse
from wheelforge.settings import Settings

WILLING = (ROOT / "fixtures" / "backends" / "willing" / "willing.py").read_text(encoding="utf-8")
NEWEST = 1_600_000_000
"""The time of the newest file of every sdist that is written here."""
_MOMENTS = count(NEWEST)
WHEEL_ONLY = (Kind.WHEEL,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A cache, and a directory with wheels, the only ones there are."""

    cache: Path
    links: Path

    @classmethod
    def make(cls, parent: Path) -> Ground:
        return cls(cache=parent / "cache", links=parent).apart(parent / "links")

    def apart(self, links: Path) -> Ground:
        """Return the same cache with other wheels."""
        ground = Ground(cache=self.cache, links=links)
        ground.stock.add("willing", files={"willing.py": WILLING.encode()})
        return ground

    @property
    def stock(self) -> Stock:
        return Stock(path=self.links)

    @property
    def stages(self) -> list[str]:
        """Return what is left of stages."""
        names = sorted(path.name for path in (self.cache / "stage-v1").iterdir())
        return [name for name in names if name != ".git"]

    def settings(self, **facts: Any) -> Settings:
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        usual: dict[str, Any] = {
            "variables": variables,
            "cache_dir": self.cache,
            "find_links": (str(self.links),),
            "no_index": True,
        }
        return Settings(**(usual | facts))

    @contextlib.contextmanager
    def forge(
        self, reporter: Reporter = ignore, components: Components | None = None, **facts: Any
    ) -> Generator[Forge]:
        """Yield a forge with those settings."""
        with open_forge(self.settings(**facts), reporter=reporter, components=components) as forge:
            yield forge

    def build(self, source: Path | str, output: Path, **facts: Any) -> Outcome:
        """Build a wheel, unless something else is said, with a forge of its own."""
        with self.forge(policy=Policy(reuse=Reuse.OFF)) as forge:
            return forge.build(ask(source, output, **facts))

    def words(self, *words: str | Path) -> list[str]:
        """Return a command line for the same cache and wheels."""
        places = ["--cache-dir", self.cache, "--find-links", self.links, "--no-index"]
        return list(map(str, [*words, *places]))


def ask(source: Path | str, output: Path, **facts: Any) -> BuildRequest:
    """Ask for a wheel, unless something else is said."""
    usual: dict[str, Any] = {"source": source, "output": output, "kinds": WHEEL_ONLY}
    return BuildRequest(**(usual | facts))


def write_project(
    path: Path,
    *,
    name: str = "demo",
    version: str = "1.0",
    own: bool = False,
    requires: tuple[str, ...] = (),
    **code: str,
) -> Path:
    """Write a project with code for its hooks; its backend is a requirement, or its ``own``."""
    path.mkdir(parents=True, exist_ok=True)
    needed = requires if own else (*requires, "willing")
    lines = [
        "[build-system]",
        f"requires = {json.dumps(needed)}",
        'build-backend = "willing"',
        'backend-path = ["."]' if own else "",
        f'[project]\nname = "{name}"\nversion = "{version}"',
        "[tool.willing]",
        *(f"{hook} = {json.dumps(text)}" for hook, text in code.items()),
    ]
    (path / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    if own:
        (path / "willing.py").write_text(WILLING, encoding="utf-8")
    return path


def write_sdist(
    directory: Path,
    *,
    name: str = "demo",
    version: str = "1.0",
    moment: int = NEWEST,
    more: dict[str, str] | None = None,
    **facts: Any,
) -> Path:
    """Write the sdist of such a project, and more files into it; no other one has its hash."""
    tree = write_project(directory / "trees" / name, name=name, version=version, **facts)
    for file, text in (more or {}).items():
        path = tree / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
    (tree / "PKG-INFO").write_text(metadata, encoding="utf-8")
    sdist = directory / f"{name}-{version}.tar.gz"
    # Two that are written within a second would be the same file, whose wheel is not built again.
    packed = GzipFile(sdist, "wb", mtime=next(_MOMENTS))
    with packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(each for each in tree.rglob("*") if each.is_file()):
            info = tarfile.TarInfo(f"{name}-{version}/{path.relative_to(tree).as_posix()}")
            content = path.read_bytes()
            info.size, info.mtime = len(content), moment
            archive.addfile(info, io.BytesIO(content))
    return sdist


def facts_of(outcome: Outcome) -> Any:
    """Return what the backend saw when it built the last artifact."""
    with zipfile.ZipFile(outcome.artifacts[-1].path) as archive:
        return json.loads(archive.read("willing_facts.json"))


def names_in(directory: Path) -> list[str]:
    """Return what is in a directory, if there is one."""
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


class Hearer:
    """Collects events."""

    def __init__(self) -> None:
        self.events: list[BuildEvent] = []

    def __call__(self, event: BuildEvent, /) -> None:
        self.events.append(event)

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if event.kind == "note"]
