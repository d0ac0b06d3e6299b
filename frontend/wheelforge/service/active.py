"""A run in the queue or at work, as its server knows it, and its events as others follow them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.service.limits import list_limits
from wheelforge.service.queue import PRIORITIES, Run, new_id
from wheelforge.service.requests import REQUIREMENTS, UMASK, BuildSpec
from wheelforge.service.wire import AsyncLine, list_pairs
from wheelforge_isolation import ensure_directory, remove_tree, replace_file, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_SILENCE_SECONDS = 15.0
_OF_CLUSTERS = ("--executor", "--scheduler", "--shared-dir")
"""The options of a server that are for commands which build."""
TREE = "tree"
"""The directory in which that of a client is built."""


@dataclass
class Active:
    """A run in the queue or at work, as this server knows it."""

    run: Run
    command: list[str] = field(default_factory=list[str])
    """Directory, umask, limits, encoding, errors, count of words, words, variables."""
    streams: list[int] = field(default_factory=list[int])
    client: AsyncLine | None = None
    """The line to the client that has given the command, and waits for its exit code."""
    line: AsyncLine | None = None
    """To the worker."""
    followers: int = 0
    is_cancelled: bool = False
    phase: str = ""
    outcome: dict[str, Any] = field(default_factory=dict[str, Any])
    written: int = 0
    """How many bytes of events."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        """Wake all who follow it."""
        self.changed.set()
        self.changed = asyncio.Event()

    def write_event(self, text: str, place: Path, most_bytes: int) -> None:
        """Write an event down below ``place``, and to its log if it is output, if there is room."""
        event = json.loads(text)
        if event["kind"] == "started":
            self.phase = event["phase"] or self.phase
        if event["kind"] == "output" and self.written > most_bytes:
            return
        self.written += len(text)
        content = text.encode()
        if event["kind"] == "output" and self.written > most_bytes:
            event |= {"kind": "note", "text": f"output beyond {most_bytes} bytes is left out"}
            content = json.dumps(event).encode()
        with (place / "events.ndjson").open("ab") as events:
            events.write(content + b"\n")
        if event["kind"] == "output":
            with (place / "log").open("ab") as log:
                log.write(event["text"].encode(errors="replace"))
        self.notify()

    def close_streams(self) -> None:
        """Close the files that its worker has got, or does not get any more."""
        for stream in self.streams:
            os.close(stream)
        self.streams = []

    @property
    def spec(self) -> BuildSpec:
        """The request of a build."""
        return BuildSpec(self.run.request["fields"], self.run.request["python"])

    def unpack(self, directory: Path) -> None:
        """Unpack the archive of a directory, if that is what is built; this takes its time."""
        remove_tree(str(directory))
        if self.spec.tree is not None:
            unpack(self.spec.tree, directory)

    def prepare(self, place: Path, words: Sequence[str]) -> None:
        """Compose the command of a build in the directory ``place``, with files as its streams."""
        remove_tree(str(place / "out"))
        ensure_directory(str(place))
        spec = self.spec
        if spec.command != "build":
            words = [word for word in words if not word.startswith(_OF_CLUSTERS)]
        source = next((str(each) for each in (place / TREE).glob("*")), None)
        words = [spec.command, "--no-config", *words, *spec.list_words(place, source)]
        replace_file(str(place / REQUIREMENTS), spec.list_requirements().encode())
        self.command = [
            *(str(place), str(UMASK), list_limits(), "utf-8", "strict", str(len(words))),
            *words,
            *list_pairs(spec.variables),
        ]
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
        self.streams = [
            os.open(os.devnull, os.O_RDONLY),
            os.open(place / "stdout", flags, 0o600),
            os.open(place / "stderr", flags, 0o600),
        ]


def make_command(client: AsyncLine, texts: Sequence[str], streams: Sequence[int]) -> Active:
    """Return the run of a command of a client."""
    session, *command = texts
    count = int(command[5])
    words = command[6 : 6 + count]
    label = next((Path(word).name for word in reversed(words) if word[:1] != "-"), "") or "."
    run = Run(
        id=new_id(),
        key="",
        kind="command",
        label=label,
        request={"directory": command[0], "words": words},
        client=f"session {session}",
        priority=PRIORITIES["interactive"],
        state="queued",
        created=time.time(),
    )
    return Active(run=run, command=command, streams=[*streams], client=client)


async def follow_file(path: Path, active: Active) -> AsyncIterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers as they come, until the run has ended.

    Where nothing comes for long, an empty line without a number says that the server is alive.
    """
    number = position = 0
    while True:
        changed, is_over = active.changed, active.ended.is_set()
        lines, position = read_lines(path, position)
        for line in lines:
            number += 1
            yield number, line
        if is_over:
            return
        if not lines:
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await changed.wait()
            except TimeoutError:
                yield 0, ""


def read_lines(path: Path, position: int) -> tuple[list[str], int]:
    """Return the whole lines of a file from there on, and where they end."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            content = file.read()
    except FileNotFoundError:
        return [], position
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode().splitlines(), position + len(whole)
