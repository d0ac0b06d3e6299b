"""Machines that share a cache: each with a cache of its own, all with the same wheels."""

# ruff: file-ignore[any-type]

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.support.builds import Ground, ask, write_sdist
from wheelforge.models import Policy
from wheelforge.provenance.envelope import Signer, make_key, read_signer, write_public_key
from wheelforge.settings import RemoteSettings

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome


@dataclass
class Team:
    """The key of a team, its remote caches, and a number of machines."""

    path: Path
    urls: tuple[str, ...]
    signer: Signer
    public: Path
    notes: list[str] = field(default_factory=list[str])
    """Those of the last build that are about no build."""

    @classmethod
    def make(cls, path: Path, *urls: str) -> Team:
        signer, public = write_key(path, "team")
        return cls(path, urls, signer, public)

    @property
    def sdist(self) -> Path:
        path = self.path / "demo-1.0.tar.gz"
        return path if path.exists() else write_sdist(self.path)

    def ground(self, machine: str) -> Ground:
        ground = Ground.make(self.path / "first")
        return replace(ground, cache=self.path / machine / "cache")

    def build(self, machine: str, **facts: Any) -> Outcome:
        """Build the sdist on a machine: it reads, and writes if it is the ``first`` one."""
        remote: dict[str, Any] = {
            "urls": self.urls,
            "signer": self.signer if machine.startswith("first") else None,
            "trusted": (self.public,),
            "least_sandbox": "none",
            "timeout_seconds": 2.0,
        }
        remote |= facts.pop("remote", {})
        self.notes = []

        def report(event: BuildEvent) -> None:
            if event.kind == "note" and not event.build:
                self.notes.append(event.text)

        settings = {"remote": RemoteSettings(**remote), "policy": Policy(), **facts}
        with self.ground(machine).forge(reporter=report, **settings) as forge:
            return forge.build(ask(self.sdist, self.path / machine / "out"))


def write_key(path: Path, name: str) -> tuple[Signer, Path]:
    """Write a new key, and return its signer and the file with the public one."""
    secret, key = make_key()
    private, public = path / f"{name}.pem", path / f"{name}.pub"
    private.write_bytes(secret)
    public.write_bytes(write_public_key(key))
    return read_signer(private), public
