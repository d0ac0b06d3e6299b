"""The results of runs: files by their SHA-256, and copies where somebody wants them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.provenance.options import read_beside
from wheelforge.service.requests import LOCK_NAME
from wheelforge_isolation import (
    IsolationError,
    deliver_file,
    digest,
    ensure_directory,
    move,
    remove_tree,
    replace_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.service.home import Home

_ERROR = re.compile(r"^error\[([\w-]+)\]: (.*)$", re.MULTILINE)
_HINT = re.compile(r"^hint: (.*)$", re.MULTILINE)
_TAIL_BYTES = 1 << 16


class Results:
    """The artifacts of runs, below the directory of the server."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def read_report(self, place: Path) -> dict[str, Any] | None:
        """Return what the worker has written down of its one build, if it came to that."""
        try:
            builds = json.loads((place / "report.json").read_bytes())["builds"]
        except (OSError, ValueError, KeyError):
            return None
        return builds[0] if builds else None

    def read_output(self, place: Path, code: int) -> dict[str, Any]:
        """Return an outcome of what a command has printed that came to none: metadata, an error."""
        if code == 0:
            return {"outcome": "built", "metadata": _read_metadata(place)}
        try:
            text = (place / "stderr").read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        except OSError:
            text = ""
        found, hint = _ERROR.search(text), _HINT.search(text)
        if found is None:
            return describe_failure("the process that built has died", exit_code=code)
        outcome = describe_failure(found[2], found[1], code)
        outcome["error"]["hint"] = hint[1] if hint else None
        return outcome

    async def hand_out(
        self, place: Path, outcome: dict[str, Any], list_wanted: Callable[[], set[str]]
    ) -> None:
        """Keep results, and copy them to where they are wanted; the event loop does not wait."""
        await asyncio.to_thread(self.publish, place, outcome)
        served = set[str]()
        while wanted := list_wanted() - served:
            for directory in wanted:
                await asyncio.to_thread(self.deliver, outcome, Path(directory))
            served |= wanted

    def publish(self, place: Path, outcome: dict[str, Any]) -> None:
        """Keep the artifacts of a run by their hashes, and forget what else it has left."""
        for artifact in outcome.get("artifacts", ()):
            source, target = Path(artifact["path"]), self.locate(artifact)
            artifact.setdefault("beside", self._publish_beside(source))
            if source.is_file() and not target.exists():
                ensure_directory(str(target.parent))
                move(str(source), str(target))
            artifact["path"] = str(target)
        if outcome.get("artifacts"):
            remove_tree(str(place / "out"))

    def _publish_beside(self, artifact: Path) -> dict[str, str]:
        """Keep the files beside an artifact as further ones; return their hashes by their names."""
        found: dict[str, str] = {}
        for name, content in read_beside(artifact).items():
            found[name] = hashlib.sha256(content).hexdigest()
            ensure_directory(str(self._home.artifacts / found[name]))
            replace_file(str(self._home.artifacts / found[name] / name), content)
        return found

    def list_beside(self, artifact: dict[str, Any]) -> dict[str, Path]:
        """Return where the files beside an artifact are, as far as they are still kept."""
        places = {
            name: self._home.artifacts / sha256 / name
            for name, sha256 in artifact.get("beside", {}).items()
        }
        return {name: path for name, path in places.items() if path.is_file()}

    def read_beside(self, artifact: dict[str, Any]) -> dict[str, bytes]:
        """Return the content of the same files."""
        return {name: path.read_bytes() for name, path in self.list_beside(artifact).items()}

    def locate(self, artifact: dict[str, Any]) -> Path:
        """Return where the file of an artifact is."""
        sha256, name = str(artifact["hashes"]["sha256"]), str(artifact["name"])
        return self._home.artifacts / sha256 / name

    def find(self, sha256: str) -> Path | None:
        """Return the file with that content, if it is there and whole."""
        try:
            path = next((self._home.artifacts / sha256).iterdir())
        except (OSError, StopIteration):
            return None
        return path if digest(path) == sha256 else None

    def deliver(self, outcome: dict[str, Any], directory: Path) -> None:
        """Put copies of the artifacts into ``directory``, each whole."""
        for artifact in outcome.get("artifacts", ()):
            try:
                beside = self.read_beside(artifact)
                deliver_file(self.locate(artifact), directory, beside)
            except (IsolationError, OSError) as error:
                artifact["undelivered"] = str(error)


def describe_failure(message: str, code: str = "worker-lost", exit_code: int = 5) -> dict[str, Any]:
    """Return the outcome of a build that has failed for a reason of this machine, or as it says."""
    error = {"code": code, "exit_code": exit_code, "message": message, "hint": None}
    return {"outcome": "failed", "error": error, "artifacts": []}


def add_lock(place: Path, outcome: dict[str, Any]) -> None:
    """Name the lock that a command has written, if it was to write one, among its artifacts."""
    path = place / LOCK_NAME
    if path.is_file():
        facts = {"name": LOCK_NAME, "kind": "lock", "path": str(path), "size": path.stat().st_size}
        outcome["artifacts"] = [{**facts, "hashes": {"sha256": digest(path)}}]


def _read_metadata(place: Path) -> object:
    try:
        found: object = json.loads((place / "stdout").read_bytes())
    except (OSError, ValueError):
        return None
    return found
