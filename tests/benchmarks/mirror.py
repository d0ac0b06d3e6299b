"""An index on loopback with real wheels: the same network for everybody.

It speaks JSON, has metadata files and answers ranges, as PyPI does. The wheels are fetched once.
"""

import contextlib
import json
import zipfile
from collections import defaultdict
from collections.abc import Generator
from email import message_from_bytes
from typing import Any

from tests.benchmarks.world import SkipError
from tests.support.corpus import FIXTURES, Listed, fetch_missing, parse_name
from tests.support.index import File, Manners, Project, serve

_LIST: list[dict[str, Any]] = json.loads((FIXTURES / "index.json").read_text(encoding="utf-8"))
SERVED = [Listed(**facts) for facts in _LIST]
"""All that the forty sdists and the questions of the benches ask for."""


@contextlib.contextmanager
def serve_wheels() -> Generator[str]:
    """Yield the URL of the index."""
    problems = fetch_missing(SERVED)
    if problems:
        raise SkipError(problems[0])
    files = defaultdict[str, list[File]](list)
    for listed in SERVED:
        files[parse_name(listed.file)].append(_describe(listed))
    projects = [Project(name, *found) for name, found in files.items()]
    with serve(*projects, manners=Manners(json=True)) as index:
        yield index.url


def _describe(listed: Listed) -> File:
    # Some wheels bring the metadata of what they have swallowed, deeper down.
    name, version, *_ = listed.file.split("-")
    with zipfile.ZipFile(listed.path) as wheel:
        metadata = wheel.read(f"{name}-{version}.dist-info/METADATA")
    return File(
        name=listed.file,
        content=listed.path.read_bytes(),
        hashes={"sha256": listed.sha256},
        size=listed.bytes,
        requires_python=message_from_bytes(metadata).get("Requires-Python", ""),
        metadata=metadata,
    )
