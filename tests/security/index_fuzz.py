"""Ask an index whose answers are damaged for a name, its metadata and its files.

python -m tests.security.index_fuzz FIRST [COUNT]
"""

import contextlib
import random
import re
import socketserver
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.property.arena import TooSlowError, time_limit
from tests.security.hostile_answers import METADATA, PAGE, PART, PROJECT, WHEEL, make_answers
from tests.support.processes import measure_peak
from tests.support.universe import PYTHON
from wheelforge.index import Index, IndexSettings
from wheelforge.resolve import ResolutionRequest, prepare_wheels, resolve
from wheelforge_isolation import remove_tree
from wheelforge_isolation.errors import ForgeError

MOST_MEMORY_BYTES = 512 << 20
T = TypeVar("T")

_LONGEST_TEXT = 20_000
_RETRIES = 1
_REQUEST = re.compile(rb"GET (?:http://[^/]*)?(/\S*) HTTP")


class _Server(socketserver.ThreadingTCPServer):
    """Answers each request with what its case has for it, and hangs up."""

    daemon_threads = True
    request_queue_size = 128
    answers: dict[str, bytes]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"

    def find(self, head: bytes) -> bytes:
        """Return the answer to a request; it came as to a proxy, so whatever its host."""
        match = _REQUEST.match(head)
        path = match[1].decode("latin-1") if match else ""
        if not path:
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        if path.startswith(f"/simple/{PROJECT}"):
            return self.answers[PAGE]
        if path.startswith("/simple/"):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        if path.endswith(".metadata"):
            return self.answers[METADATA]
        return self.answers[PART if b"\nRange: " in head else WHEEL]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        head = b""
        for line in self.rfile:
            head += line
            if not line.strip():
                break
        self.wfile.write(self.server.find(head))


@contextlib.contextmanager
def _serving() -> Generator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def survive_all(seeds: Iterable[int]) -> dict[int, str]:
    """Return the problems of those cases that had one."""
    with tempfile.TemporaryDirectory() as place, _serving() as server:
        found = {seed: _survive(seed, server, Path(place)) for seed in seeds}
    return {seed: problem for seed, problem in found.items() if problem}


def survive_and_measure(seeds: range) -> tuple[dict[int, str], int]:
    """Return the problems of cases, and the most memory that this process has had so far."""
    return survive_all(seeds), measure_peak()


def _survive(seed: int, server: _Server, place: Path) -> str:
    """Ask for everything that the answers of case ``seed`` name; return what was wrong, if any."""
    chance = random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
    server.answers = make_answers(chance, server.origin)
    inside = place / "inside"
    inside.mkdir()
    problem = ""
    try:
        with time_limit():
            _ask_everything(server.origin, inside, problems := list[str]())
        problem = "\n".join(problems)
    except (Exception, TooSlowError):  # ruff: ignore[blind-except]
        problem = traceback.format_exc()
    strays = [str(path) for path in place.iterdir() if path != inside]
    outside = [*strays, *_clear(inside)]
    return f"{problem}\nthere is {outside}" if outside else problem


def _ask_everything(origin: str, inside: Path, problems: list[str]) -> None:
    settings = IndexSettings(
        index_urls=(f"{origin}/simple/",), proxy=origin, retries=_RETRIES, timeout_seconds=5.0
    )
    with Index(settings, PYTHON.tags, sleep=lambda _: None) as index:
        for candidate in _try(problems, lambda: index.find(PROJECT).usable[:3]) or ():
            _try(problems, partial(index.read_metadata, candidate))
            _try(problems, partial(index.fetch, candidate, str(inside / "file")))
        request = ResolutionRequest(
            requirements=(PROJECT,), python=PYTHON, index_identity=settings.identity
        )
        resolution = _try(problems, lambda: resolve(request, index))
        if resolution is not None:
            workspace = inside / "workspace"
            _try(problems, lambda: prepare_wheels(resolution, index, None, workspace=workspace))
        problems += [f"odd note: {note!r}" for note in index.notes if len(note) > _LONGEST_TEXT]


def _try(problems: list[str], ask: Callable[[], T]) -> T | None:
    """Return an answer; None if it is refused, in words that are fit for an error."""
    try:
        return ask()
    except ForgeError as error:
        text = f"{error} {error.hint}"
        if len(text) > _LONGEST_TEXT:
            problems.append(f"the message has {len(text):,} characters: {text[:200]!r}")
        return None


def _clear(inside: Path) -> list[str]:
    """Remove the directory; return its paths that are neither files nor where files belong."""
    expected = {inside / "file", inside / "workspace"}
    odd = [
        str(path)
        for path in inside.rglob("*")
        if path.suffix == ".part" or (path not in expected and path.parent != inside / "workspace")
    ]
    remove_tree(str(inside))
    return odd


def main(first: str, count: str = "1") -> None:
    """Try cases one after another; say what is wrong about them, and how much memory they took."""
    start = int(first)
    problems, memory = survive_and_measure(range(start, start + int(count)))
    for seed, problem in problems.items():
        sys.stdout.write(f"case {seed}: {problem}\n")
    sys.stdout.write(f"{len(problems)} problems, {memory >> 20} MiB\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
