"""A process that tells which modules it has imported, and what it has read and asked."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.forge import Place

_WITNESS = """
import atexit, sys

read, asked = [], []


def hear(event, words):
    if event == "open" and isinstance(words[0], str):
        read.append(words[0])
    if event in {"socket.connect", "socket.getaddrinfo"} and not isinstance(words[-1], str):
        asked.append(str(words))


@atexit.register
def tell():
    with open(%r, "w", encoding="utf-8") as file:
        file.write("\\n".join((" ".join(sys.modules), " ".join(asked), *read)))


sys.addaudithook(hear)
"""


def watch(place: Place, *words: str | Path) -> tuple[set[str], str, list[str]]:
    """Run the command in a process of its own; return its modules, connections and files."""
    witness, told = place.path / "witness", place.path / "told"
    witness.mkdir()
    (witness / "sitecustomize.py").write_text(_WITNESS % str(told), encoding="utf-8")
    command = [sys.executable, "-m", "wheelforge", *map(str, words)]
    world = place.environment({"PYTHONPATH": str(witness)})
    done = subprocess.run(command, env=world, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules, asked, *files = told.read_text(encoding="utf-8").split("\n")
    return set(modules.split()), asked, files
