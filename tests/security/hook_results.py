"""Hostile results of a hook: its answer, and the files in its output directory.

A case is a number, which alone decides what is wrong; a failure is repeated by
``python -m tests.security.hook_results 1234``.
"""

import json
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from tests.property.arena import TooSlowError, time_limit
from tests.support.builds import write_project, write_sdist
from tests.support.processes import measure_peak
from tests.support.wheels import Draft
from wheelforge.build.backend import Backend
from wheelforge.build.host_environment import HostEnvironment
from wheelforge.build.project import read_project
from wheelforge.build.results import check_result
from wheelforge.models import Kind
from wheelforge_isolation import ForgeError, deliver_file

Chance: TypeAlias = random.Random
_KINDS = (Kind.SDIST, Kind.WHEEL, Kind.EDITABLE, Kind.METADATA)
_NAMES = {
    Kind.SDIST: "demo-1.0.tar.gz",
    Kind.WHEEL: "demo-1.0-py3-none-any.whl",
    Kind.EDITABLE: "demo-1.0-py3-none-any.whl",
    Kind.METADATA: "demo-1.0.dist-info",
}
_DIGITS = "1" * 5000
_TEXTS = (
    *("", "..", "/etc/passwd", "../../x", "a\0b", "\n::error::x", "\x1b]0;x\x07", "\ud800"),
    *("x" * 5000, "C:\\x.whl", f"demo>={_DIGITS}", "demo[" + ",".join("ab" * 500) + "]"),
    *("demo-9.0-py3-none-any.whl", "demo-1.0-1x-py3-none-any.whl"),
    "demo-1.0-" + ".".join(["py3"] * 400) + "-none-any.whl",
)
_LINES = (
    *(b"Name: other\n", b"Version: 1.0.x.y\n", b"\xff\xfe", b"\n\n", b" \n", b"Dynamic: Name\n"),
    *(f"Version: {_DIGITS}\n".encode(), f"Requires-Dist: x>={_DIGITS}\n".encode()),
    *(b"Metadata-Version: 99\n", b"Wheel-Version: 2.0\n", b"Tag: a.b-c.d-e\n"),
    *(b"License-File: ../../x\n", b"demo.py,sha256=x,1\n"),
)
_LARGEST_MESSAGE = 21_000
"""Twenty lines of output, of a thousand characters each, and a sentence."""


class Case:
    """One directory of a hook, and what lies around it."""

    def __init__(self, seed: int, parent: Path) -> None:
        # Chance has to be repeatable here, not secret.
        self.chance = random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
        self.place = parent / "place"
        self.output = self.place / "output"
        self.output.mkdir(parents=True)
        self.outside = parent / "outside"
        self.outside.mkdir()
        (self.outside / "file").write_bytes(b"{}")
        self.kind = self.chance.choice(_KINDS)

    def run(self) -> None:
        """Take what the hook hands back, as a build does."""
        if self.chance.random() < 0.5:
            self._take_answer()
            return
        returned = self._fill_output()
        result = check_result(self.kind, returned, self.output, name="demo", version="1.0")
        if self.kind is not Kind.METADATA:
            deliver_file(result.artifact.path, self.place / "dist")

    def _take_answer(self) -> None:
        project = read_project(write_project(self.place / "project", own=True))
        environment = HostEnvironment(python_executable=sys.executable)
        backend = Backend(project, environment, self._answer, lambda _: None, {})
        backend.ask_requirements(self.kind)
        backend.build(self.kind, self.output)

    def _answer(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        del cwd, extra_environ
        path = Path(cmd[-1], "output.json")
        ways: list[Callable[[Path], object]] = [
            self._write_json, self._write_json, self._write_json, self._write_json, self._link,
            os.mkfifo, Path.mkdir, _write_sparse, lambda _: None,
        ]  # fmt: skip
        self.chance.choice(ways)(path)

    def _write_json(self, path: Path) -> None:
        chance = self.chance
        facts: dict[str, object] = {"return_val": self._choose_value(2)}
        for key in ("unsupported", "no_backend", "hook_missing", "warnings", "traceback"):
            if chance.random() < 0.2:
                facts[key] = self._choose_value(2)
        content = json.dumps(facts).encode()
        if chance.random() < 0.3:
            content = _damage(chance, content)
        path.write_bytes(chance.choice([content, content, content, b"[" * 200_000, b"9" * 9000]))

    def _choose_value(self, depth: int) -> object:
        chance = self.chance
        values: list[object] = [None, True, 5, 1e999, *_TEXTS, *_NAMES.values()]
        if depth and chance.random() < 0.5:
            items = [self._choose_value(depth - 1) for _ in range(chance.randrange(4))]
            return items if chance.random() < 0.7 else {str(item)[:9]: item for item in items}
        return chance.choice(values)

    def _link(self, path: Path) -> None:
        path.symlink_to(self.chance.choice([self.outside / "file", Path("/dev/zero"), path]))

    def _fill_output(self) -> object:
        name = _NAMES[self.kind]
        path = self.output / name
        ways: list[Callable[[Path], object]] = [
            *[self._write_result] * 12, self._link, os.mkfifo, Path.mkdir, lambda _: None,
        ]  # fmt: skip
        self.chance.choice(ways)(path)
        return name if self.chance.random() < 0.9 else self._choose_value(1)

    def _write_result(self, path: Path) -> None:
        if self.kind is Kind.METADATA:
            path.mkdir()
            content = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
            (path / "METADATA").write_bytes(self._change(content))
        elif self.kind is Kind.SDIST:
            sdist = write_sdist(self.place, own=True)
            path.write_bytes(_damage(self.chance, sdist.read_bytes()))
        else:
            self._write_wheel(path)

    def _write_wheel(self, path: Path) -> None:
        """Write a wheel in which a file differs from what RECORD says, or RECORD is odd itself."""
        name, content = self.chance.choice(list(Draft().all_contents().items()))
        whole = Draft().pack({name: self._change(content)})
        path.write_bytes(_damage(self.chance, whole) if self.chance.random() < 0.4 else whole)

    def _change(self, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True) or [b""]
        for _ in range(self.chance.choice([0, 1, 1, 2])):
            number = self.chance.randrange(len(lines) + 1)
            lines[number : number + self.chance.randrange(2)] = [self.chance.choice(_LINES)]
        return b"".join(lines)


def _write_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 << 30)


def _damage(chance: Chance, content: bytes) -> bytes:
    """Flip, cut, repeat or blank some of ``content``."""
    start, other = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    piece = content[start:other]
    flipped = bytes([content[start - 1] ^ 1 << chance.randrange(8)])
    ways = (content[:start] + flipped + content[start + 1 :], content[:start], piece)
    return chance.choice([*ways, content + piece, content[:start] + content[other:]])


def survive(seed: int) -> str:
    """Try the case of that number; return what was wrong about it, or nothing."""
    with tempfile.TemporaryDirectory(prefix="wf-hook-") as parent:
        case = Case(seed, Path(parent))
        try:
            with time_limit():
                case.run()
        except ForgeError as error:
            return "" if len(str(error)) < _LARGEST_MESSAGE else f"{len(str(error)):,} characters"
        except (Exception, TooSlowError):  # ruff: ignore[blind-except]
            return traceback.format_exc()
        finally:
            found = [(path.name, path.read_bytes()) for path in case.outside.iterdir()]
        return "" if found == [("file", b"{}")] else f"outside there is {found}"


def survive_all(seeds: range) -> tuple[dict[int, str], int]:
    """Return what was wrong about cases, and how many bytes this process has needed at most."""
    return {seed: problem for seed in seeds if (problem := survive(seed))}, measure_peak()


if __name__ == "__main__":
    sys.stdout.write(f"{survive(int(sys.argv[1])) or 'held'}\n")
