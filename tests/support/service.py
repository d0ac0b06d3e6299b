"""Servers of wheelforge that live in a process of their own, and their clients."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.forge import Done
from wheelforge.service.client import UnixConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from tests.support.builds import Ground

PLAIN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PIP_CONFIG_FILE": os.devnull, "NO_COLOR": "1"}
_MEASURED = {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_PROCESS")}
PLAIN_PROCESS = {**PLAIN, **_MEASURED}
"""With which processes of ours are started, so that their coverage is measured too."""
PATIENCE_SECONDS = 60.0
ONCE = (
    "import os, time, pathlib; p = pathlib.Path({mark!r}); first = not p.exists();"
    "p.write_text(str(os.getpid())) if first else None; time.sleep(60 if first else 0)"
)
"""A hook that waits for ever when it is run for the first time."""


def until(happens: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A server, and the ground it is on."""

    ground: Ground
    process: subprocess.Popen[str]
    socket: Path

    @property
    def address(self) -> str:
        return f"unix:{self.socket}"

    @property
    def home(self) -> Path:
        return self.ground.cache / "service-v1"

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a thin client."""
        return start_client(self.ground, *words, "--server", self.address, **options)

    def run(self, *words: str | Path, **options: Any) -> Done:
        """Let a thin client do what the words say."""
        return finish(self.start(*words, **options))

    def ask(
        self, method: str, target: str, document: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Return the status and the document of an answer of the API."""
        status, _, body = self.fetch(method, target, document, **headers)
        return status, json.loads(body)

    def fetch(
        self, method: str, target: str, document: object = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, the headers and the body of an answer."""
        connection = UnixConnection(self.socket)
        with contextlib.closing(connection):
            body = None if document is None else json.dumps(document)
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            content = {"Content-Type": "application/json"} if body else {}
            connection.request(method, target, body, {**content, **given})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def build(self, source: Path, **fields: Any) -> str:
        """Ask for a build, and return its number."""
        document = {"source": str(source), "variables": PLAIN, "detach": True, **fields}
        status, answer = self.ask("POST", "/api/v1/builds", document)
        assert status == 202, answer
        return str(answer["id"])

    def wait(self, number: str) -> Any:
        """Return a build once it is done."""
        _, _, body = self.fetch("GET", f"/api/v1/builds/{number}/events")
        return json.loads(body.splitlines()[-1])["build"]


def start_client(
    ground: Ground,
    *words: str | Path,
    variables: Mapping[str, str] | None = None,
    directory: Path | None = None,
    umask: int = -1,
) -> subprocess.Popen[str]:
    """Start a command in a process of its own, with few variables."""
    return subprocess.Popen(
        [sys.executable, "-m", "wheelforge", *ground.words(*words)],
        env={**PLAIN_PROCESS, **(variables or {})},
        cwd=directory or ground.links,
        umask=umask,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> Done:
    """Return how a command has ended."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Done(code=process.returncode, out=out, err=err)


@contextlib.contextmanager
def serving(
    ground: Ground, *words: str | Path, variables: Mapping[str, str] | None = None, umask: int = -1
) -> Generator[Service]:
    """Yield a server that listens; it is stopped in the end, or killed.

    Hooks are in no sandbox unless ``words`` say so: much that they do is seen by files elsewhere.
    """
    sandbox = () if "--sandbox" in words else ("--sandbox", "none")
    process = start_client(ground, "serve", *words, *sandbox, variables=variables, umask=umask)
    service = Service(ground=ground, process=process, socket=ground.cache / "service-v1" / "socket")
    assert process.stderr is not None
    with process:
        line = process.stderr.readline()
        while line.startswith("warning: "):
            line = process.stderr.readline()
        assert "listening" in line, line + process.stderr.read()
        try:
            yield service
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
            process.kill()
