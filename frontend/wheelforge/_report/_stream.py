"""Events as they happen, one JSON object a line."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge._events import BuildEvent


class EventStream:
    """Writes every event to a file, at once: whoever follows it sees what happens now."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._lock = threading.Lock()

    def hear(self, event: BuildEvent) -> None:
        """Write one event."""
        line = json.dumps(asdict(event), ensure_ascii=False)
        with self._lock:
            if not self._file.closed:
                self._file.write(f"{line}\n")
                self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()
