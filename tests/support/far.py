"""A server on loopback, and clients that have nothing but a URL and a token."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.builds import Ground
from tests.support.service import PLAIN_PROCESS, Service, finish, serving
from wheelforge.service.access import read_tokens

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.forge import Done


@dataclass(frozen=True)
class Far:
    """A server on loopback, and a client that has nothing but a URL and a token."""

    service: Service
    url: str
    token: Path
    places: tuple[str, ...]
    """The options by which the server finds what builds require."""

    def start(
        self, *words: str | Path, token: Path | None = None, **more: str
    ) -> subprocess.Popen[str]:
        """Start a client with a cache of its own, in which nothing can be built."""
        command = [sys.executable, "-m", "wheelforge", *words, "--server", self.url]
        variables = {
            "WHEELFORGE_SERVER_TOKEN_FILE": str(token or self.token),
            "WHEELFORGE_CACHE_DIR": str(self.token.parent / "own-cache"),
        }
        return self._start([*command, "--server-required"], {**variables, **more})

    def run(self, *words: str | Path, **options: Any) -> Done:
        """Have the server do what the words say."""
        return finish(self.start(*words, **options))

    def near(self, *words: str | Path) -> Done:
        """Do the same in one process, on the ground of the server."""
        cache = ("--cache-dir", self.service.ground.cache)
        command = [sys.executable, "-m", "wheelforge", *words, *cache, *self.places]
        return finish(self._start(command, {}))

    def _start(self, command: list[str | Path], variables: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            list(map(str, command)),
            env={**PLAIN_PROCESS, **variables},
            cwd=self.token.parent,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


class BareGround(Ground):
    """A cache whose wheels are found by other options."""

    def words(self, *words: str | Path) -> list[str]:
        return list(map(str, [*words, "--cache-dir", self.cache]))


@contextlib.contextmanager
def serving_far(
    ground: Ground, place: Path, *words: str | Path, places: tuple[str, ...] = ()
) -> Generator[Far]:
    """Yield a server on loopback, and its tokens in files below ``place``, one for each role."""
    places = places or ("--no-index", "--find-links", str(ground.links))
    bare = BareGround(cache=ground.cache, links=ground.links)
    with serving(bare, *places, "--listen", "127.0.0.1:0", *words) as service:
        url = json.loads((service.home / "server.json").read_bytes())["url"]
        for token, role in read_tokens(service.home / "tokens").items():
            path = place / f"{role}-token"
            path.write_text(f"{role} {token}\n", encoding="ascii")
            path.chmod(0o600)
        yield Far(service, url, place / "build-token", places)


def plain(text: str) -> str:
    """Return a text without what differs from run to run."""
    return re.sub(r"\d+\.\d+ s|/\S*/|-[0-9a-f]{12}-", "", text)
