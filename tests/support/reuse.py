"""An sdist and all that its wheel depends on, each of which can be changed alone."""

# ruff: file-ignore[any-type]

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.support.builds import NEWEST, WILLING, Ground, ask, write_sdist
from tests.support.index import core_metadata
from wheelforge.build import targets, toolchain
from wheelforge.build.forge import open_forge
from wheelforge.models import Policy
from wheelforge.overrides.model import read_overrides
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from wheelforge.models import Outcome

OVERRIDE = '[[package]]\nname = "demo"\nreason = "a test"\n'


@dataclass
class World:
    """A machine as a build sees it, made of files that a test can change."""

    path: Path
    monkeypatch: pytest.MonkeyPatch
    variables: dict[str, str] = field(default_factory=dict[str, str])
    request: dict[str, Any] = field(default_factory=dict[str, Any])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    policy: dict[str, Any] = field(default_factory=dict[str, Any])
    code: dict[str, str] = field(default_factory=dict[str, str])
    more: dict[str, str] = field(default_factory=lambda: {"demo.txt": "one"})
    moment: int = NEWEST
    overrides: str = ""
    constraints: str = ""

    @classmethod
    def make(cls, path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
        world = cls(path, monkeypatch)
        world.write("bin/cc", "#!/bin/sh\n", mode=0o755)
        world.write("other/cc", "#!/bin/sh\n# behind\n", mode=0o755)
        world.write("bin/pg_config", "#!/bin/sh\n", mode=0o755)
        world.write("home/.pydistutils.cfg", "[build]\n")
        world.write("dpkg", _PACKAGE.format("1.0"))
        world.write("cpu", "model name : one\nflags : fpu\ncpu MHz : 1\n")
        world.write("system", 'PRETTY_NAME="One"\n')
        world.write("library/first", "")
        world.write("read", "one")
        world.write("bin/cxx-12", "#!/bin/sh\n", mode=0o755)
        world.write("extra.cfg", "")
        world.write("rustup/update-hashes/stable", "one")
        monkeypatch.setattr(toolchain, "_DPKG", path / "dpkg")
        monkeypatch.setattr(toolchain, "_CPU", path / "cpu")
        monkeypatch.setattr(toolchain, "_SYSTEM", path / "system")
        monkeypatch.setattr(toolchain, "_STAMPED", (str(path / "library"),))
        world.variables = {
            "PATH": f"{path / 'bin'}:{path / 'other'}:/usr/bin:/bin",
            "HOME": str(path / "home"),
            "LANG": "C.UTF-8",
            "CFLAGS": "-O2",
            "DEMO_ROOT": "/one",
            "TERM": "xterm",
            "CXX": "wrapper cxx-12",
            "DIST_EXTRA_CONFIG": str(path / "extra.cfg"),
            "RUSTUP_HOME": str(path / "rustup"),
        }
        world.ground.stock.add("willing", files={"willing.py": WILLING.encode()})
        world.add_wheel("helper", "1.0", "deeper")
        world.add_wheel("deeper", "1.0")
        world.code = {"get_requires_for_build_wheel": "answer = ['helper']"}
        return world

    @property
    def ground(self) -> Ground:
        return Ground(cache=self.path / "cache", links=self.path / "links")

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def add_wheel(self, name: str, version: str, *requires: str, content: bytes = b"") -> None:
        """Put a wheel into the directory that requirements come from."""
        metadata = core_metadata(name, version, *requires)
        files = {f"{name}.py": content, "INFO/METADATA": metadata}
        self.ground.stock.add(name, version, files)

    def build(self, output: str = "out") -> Outcome:
        """Build the sdist as the world is now."""
        overrides = None
        if self.overrides:
            overrides = read_overrides((), [self.write("overrides.toml", self.overrides)])
        constraints = (self.write("limits.txt", self.constraints),) if self.constraints else ()
        source = self.request.pop("source", None) or self.pack()
        facts = {
            "variables": dict(self.variables),
            "overrides": overrides,
            "constraints": constraints,
            "policy": Policy(**self.policy),
            **self.settings,
        }
        with open_forge(self.ground.settings(**facts)) as forge:
            return forge.build(ask(source, self.path / output, **self.request))

    def pack(self) -> Path:
        """Write the sdist, unless it is there: gzip notes the time of each writing."""
        facts = fingerprint([self.more, self.moment, self.code])
        path = self.path / facts / "demo-1.0.tar.gz"
        if not path.exists():
            write_sdist(path.parent, more=self.more, moment=self.moment, **self.code)
        return path

    def change_python(self, libc: str = "", release: str = "", **facts: Any) -> None:
        """Let the Python be another one than it is."""
        find = targets.find_python

        def find_other(*words: Any) -> Any:
            python = find(*words)
            tags = (f"py3-none-{libc}",) if libc else ()
            markers = {"platform_release": release} if release else {}
            return replace(
                python,
                tags=(*tags, *python.tags),
                markers={**python.markers, **markers},
                **facts,
            )

        self.monkeypatch.setattr(targets, "find_python", find_other)


_PACKAGE = "Package: libdemo-dev\nStatus: install ok installed\nVersion: {}\n\n"
