"""Servers that build wheels on demand, in front of an index of the tests."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from tests.support.builds import Ground, write_sdist
from tests.support.index import JSON, File, Index, Manners, Other, Project, serve, sha256
from tests.support.service import Service, serving

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from email.message import Message
    from pathlib import Path

UPLOADED = "2020-01-01T00:00:00.000000Z"
_OWN = ("PIP_", "UV_", "WHEELFORGE_")
"""Variables by which installers would find other indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead(Ground):
    """A ground whose builds have an index as well."""

    url: str

    def words(self, *words: str | Path) -> list[str]:
        places = ["--cache-dir", self.cache, "--find-links", self.links, "--index-url", self.url]
        return list(map(str, [*words, *places]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare(Ground):
    """A ground whose words are no more than they are."""

    def words(self, *words: str | Path) -> list[str]:
        return list(map(str, words))


class Answer(NamedTuple):
    status: int
    reason: str
    headers: Message
    body: bytes

    @property
    def page(self) -> Any:
        return json.loads(self.body)

    def find(self, end: str) -> Any:
        """Return the only file whose name ends like that."""
        (found,) = [file for file in self.page["files"] if file["filename"].endswith(end)]
        return found


@dataclass(frozen=True, kw_only=True)
class OnDemand:
    """A server with an index, and the index that it asks."""

    upstream: Index
    service: Service

    @property
    def url(self) -> str:
        return str(json.loads((self.service.home / "server.json").read_bytes())["url"])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Return the answer; its page is JSON unless something else is asked for."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, headers={"Accept": JSON, **given})
            answer = connection.getresponse()
            body = answer.read()
        return Answer(answer.status, answer.reason, answer.headers, body)

    def show(self, project: str, **headers: str) -> Answer:
        """Return the page of a project."""
        return self.get(f"/this/simple/{project}/", **headers)

    def follow(self, project: str, url: str, **headers: str) -> Answer:
        """Return what is at a URL on the page of a project."""
        return self.get(urljoin(f"/this/simple/{project}/", url), **headers)

    def count_builds(self, name: str = "") -> int:
        """Return how many builds there have been, whatever came of them."""
        _, facts = self.service.ask("GET", "/api/v1/builds?limit=500")
        return len([build for build in facts["builds"] if name in build["label"]])


@contextlib.contextmanager
def on_demand(
    parent: Path, *projects: Project, words: tuple[str, ...] = (), manners: Manners | None = None
) -> Generator[OnDemand]:
    """Yield a server that lets everybody in, and knows one target, `this`."""
    with (
        serve(*projects, manners=manners or Manners(json=True)) as upstream,
        on_demand_of(parent, upstream, words=words) as found,
    ):
        yield found


@contextlib.contextmanager
def on_demand_of(
    parent: Path, upstream: Index, *, words: tuple[str, ...] = (), url: str = ""
) -> Generator[OnDemand]:
    """Yield such a server in front of an index that is there already."""
    ground = Ground.make(parent)
    ahead = Ahead(cache=ground.cache, links=ground.links, url=url or upstream.url)
    usual = ["--listen", "127.0.0.1:0", "--target", f"this={sys.executable}"]
    given = [] if "--closed" in words else ["--open-index"]
    more = [word for word in words if word != "--closed"]
    with serving(ahead, *usual, *given, *more) as service:
        yield OnDemand(upstream=upstream, service=service)


def sdist_of(directory: Path, name: str, version: str = "1.0", **code: Any) -> File:
    """Return an sdist that can be built, as an index lists it."""
    path = write_sdist(directory / f"{name}-{version}", name=name, version=version, **code)
    content = path.read_bytes()
    return File(name=path.name, content=content, uploaded=UPLOADED, size=len(content))


def facts_of(file: File, **more: Any) -> dict[str, Any]:
    """Return the entry of a file on a page of JSON."""
    return {
        "filename": file.name,
        "url": f"../../files/{file.name}",
        "hashes": {"sha256": sha256(file.content)},
        "size": len(file.content),
        "upload-time": file.uploaded or UPLOADED,
        **more,
    }


def spelled(project: Project, page: Mapping[str, Any]) -> Project:
    """Return a project whose page is just this document, however often it is asked for."""
    content = json.dumps({"name": project.name, **page}).encode()
    return Project(project.name, *project.files, faults=[Other(content=content, kind=JSON)] * 500)


def run_installer(*words: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Let an installer do something, with no settings but those in the words."""
    with start_installer(*words, directory=directory) as process:
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start_installer(*words: str | Path, directory: Path) -> subprocess.Popen[str]:
    """Start an installer, with no settings but those in the words."""
    variables = {name: text for name, text in os.environ.items() if not name.startswith(_OWN)}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
    variables |= {"UV_NO_CONFIG": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.Popen(
        [str(word) for word in words],
        env=variables,
        cwd=directory,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
