"""Real sdists and wheels: listed with their hashes, fetched by name, kept out of the repository."""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from packaging.utils import parse_sdist_filename, parse_wheel_filename

FIXTURES = Path(__file__).parents[2] / "fixtures"
DOWNLOADS = FIXTURES / "downloads"
_INDEX = "https://pypi.org/simple/"
_JSON = "application/vnd.pypi.simple.v1+json"
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of a list."""

    file: str
    sha256: str
    bytes: int

    @property
    def path(self) -> Path:
        return DOWNLOADS / self.file

    def is_here(self) -> bool:
        """Return whether the very file that is meant has been fetched."""
        return self.path.is_file() and hash_of(self.path.read_bytes()) == self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdist(Listed):
    """One of the forty sdists."""

    wheel: str | None
    """The name of its wheel on CPython 3.11 and Linux; nothing where it cannot be built."""


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class UnavailableError(Exception):
    """The index does not have a file, or has another one under its name."""


def _read_list(name: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return listed


SDISTS = [Sdist(**facts) for facts in _read_list("sdists.json")]
WHEELS = [Listed(**facts) for facts in _read_list("wheels.json")]
"""Two build backends, and all that they require on Python 3.11 or newer."""
BACKENDS = [Listed(**facts) for facts in _read_list("matrix.json")]
"""More backends, in versions for Python 3.9 too, with all that they require beyond `WHEELS`."""

SCHEMAS = [Listed(**facts) for facts in _read_list("schemas.json")]
"""Wheels with the published schemas of CycloneDX, in-toto and SLSA, and what reads the latter."""
ATTESTED = [Listed(**facts) for facts in _read_list("attested.json")]
"""An sdist that has, for its own tests, files of PyPI and the provenance objects of these."""
OVERRIDDEN = [Listed(**facts) for facts in _read_list("overrides/sdists.json")]
"""Twelve old sdists that are built only with the overrides beside that list."""


def fetch_missing(wanted: Sequence[Listed] = SDISTS) -> list[str]:
    """Fetch whatever is not here, several at once; return what went wrong."""
    missing = [listed for listed in wanted if not listed.is_here()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [problem for problem in pool.map(_try_fetch, missing) if problem]


def _try_fetch(listed: Listed) -> str:
    # Any failure of an index, a proxy or a connection means the same here.
    try:
        _fetch(listed)
    except Exception as error:  # ruff: ignore[blind-except]
        return f"{listed.file}: {type(error).__name__}: {error}"
    return ""


def _fetch(listed: Listed) -> None:
    page = json.loads(
        _get(f"{_INDEX}{parse_name(listed.file)}/", "application/vnd.pypi.simple.v1+json")
    )
    urls = [file["url"] for file in page["files"] if file["filename"] == listed.file]
    if not urls:
        raise UnavailableError("the index does not list it")
    content = _get(urls[0], "*/*")
    if hash_of(content) != listed.sha256:
        raise UnavailableError("its hash is another one")
    _write(listed.path, content)


def _get(url: str, kind: str) -> bytes:
    # Both URLs are of an index with https.
    request = Request(url, headers={"Accept": kind})  # ruff: ignore[suspicious-url-open-usage]
    with urlopen(request, timeout=60) as answer:  # ruff: ignore[suspicious-url-open-usage]
        content: bytes = answer.read()
    return content


def parse_name(file: str) -> str:
    """Return the name of the project that a file belongs to."""
    is_wheel = file.endswith(".whl")
    return parse_wheel_filename(file)[0] if is_wheel else parse_sdist_filename(file)[0]


def _write(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` in one step: other test runs may look at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    sys.exit("\n".join(fetch_missing([*SDISTS, *WHEELS])) or None)
