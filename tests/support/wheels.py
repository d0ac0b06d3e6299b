"""Wheels made in memory, good unless one thing is said to be wrong, and what becomes of them."""

import base64
import csv
import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.archives import SOUND_END, ZipEnd, ZipMember, raw_zip, zipped
from wheelforge_isolation import Limits
from wheelforge_isolation.errors import ArchiveError
from wheelforge_isolation.wheels import Wheel, open_wheel

FILE_NAME = "demo-1.0-py3-none-any.whl"
DIST_INFO, DATA = "demo-1.0.dist-info", "demo-1.0.data"
RECORD, ENTRY_POINTS = f"{DIST_INFO}/RECORD", f"{DIST_INFO}/entry_points.txt"
WHEEL = b"Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\nName: of prose, not of a field\n"
PROGRAM_MODE = 0o100755
NO_LIMITS = Limits()


def keep(rows: list[str]) -> list[str]:
    """Leave the rows of RECORD as they are."""
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A wheel of a module and its metadata, and of what is added, changed or left out."""

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """More files, or others than the usual ones; all of them listed in RECORD."""
    without: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    members: tuple[ZipMember, ...] = ()
    """Members that RECORD does not know."""
    dist_info: str = DIST_INFO
    rows: Callable[[list[str]], list[str]] = keep
    """A change to the rows of RECORD."""
    algorithm: str = "sha256"
    end: ZipEnd = SOUND_END
    prefix: bytes = b""

    def contents(self) -> dict[str, bytes]:
        """Return every file but RECORD."""
        usual = {
            "demo.py": b"print('demo')\n",
            f"{self.dist_info}/METADATA": METADATA,
            f"{self.dist_info}/WHEEL": WHEEL,
        }
        every = {**usual, **self.files}
        return {path: content for path, content in every.items() if path not in self.without}

    def record(self) -> bytes:
        """Return RECORD as it should be, or as it was made to be."""
        path = f"{self.dist_info}/RECORD"
        rows = [row(*item, self.algorithm) for item in self.contents().items()]
        return "".join(f"{line}\n" for line in self.rows([*rows, f"{path},,"])).encode()

    def all_contents(self) -> dict[str, bytes]:
        """Return every file that RECORD is about, and RECORD."""
        record = f"{self.dist_info}/RECORD"
        known = {} if record in self.without else {record: self.record()}
        return {**self.contents(), **known}

    def pack(self, damage: Mapping[str, bytes] | None = None) -> bytes:
        """Return the wheel, with other bytes in some files than RECORD was made of."""
        contents = {**self.all_contents(), **(damage or {})}
        packed = (
            zipped(path, content, deflated=True, attributes=self._mode(path) << 16)
            for path, content in contents.items()
        )
        return raw_zip(*packed, *self.members, prefix=self.prefix, end=self.end)

    def _mode(self, path: str) -> int:
        return PROGRAM_MODE if path in self.programs else 0o100644


def row(path: str, content: bytes, algorithm: str = "sha256") -> str:
    """Return the row of RECORD about a file."""
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).decode()
    line = io.StringIO()
    cells = (path, f"{algorithm}={digest.rstrip('=')}", len(content))
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def replaced(old: str, new: str) -> Callable[[list[str]], list[str]]:
    """Return a change of RECORD that must find something to change."""

    def change(rows: list[str]) -> list[str]:
        changed = [line.replace(old, new) for line in rows]
        assert changed != rows
        return changed

    return change


def added(*lines: str) -> Callable[[list[str]], list[str]]:
    """Return a change of RECORD by more rows."""
    return lambda rows: [*rows, *lines]


def entry_points(text: str) -> Draft:
    """Return a wheel with that ``entry_points.txt``."""
    return Draft(files={ENTRY_POINTS: text.encode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An accepted wheel, as it was described and as it was written."""

    wheel: Wheel
    root: Path

    @property
    def rules(self) -> list[str]:
        return [note.rule for note in self.wheel.notes]

    @property
    def places(self) -> dict[str, tuple[str, str]]:
        files = self.wheel.files
        return {path: (file.scheme.value, file.destination) for path, file in files.items()}

    def tree(self) -> dict[str, bytes]:
        return read_tree(self.root)


def read_tree(root: Path) -> dict[str, bytes]:
    """Return every file below ``root``."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Where wheels are handed in: a place, and on what terms they are accepted there."""

    place: Path
    file_name: str = FILE_NAME
    limits: Limits = NO_LIMITS

    def accept(self, wheel: bytes) -> Outcome:
        """Open and write ``wheel``; check what holds for every accepted one."""
        root = self.place / "tree"
        root.mkdir()

        with self._open(wheel) as found:
            assert list(root.iterdir()) == []
            found.archive.write(str(root))

        assert {path.name for path in self.place.iterdir()} == {self.file_name, "work", "tree"}
        assert list((self.place / "work").iterdir()) == []
        return Outcome(wheel=found, root=root)

    def refuse(self, wheel: bytes) -> ArchiveError:
        """Open ``wheel`` in vain; check what holds for every refusal, and return the error."""
        with pytest.raises(ArchiveError) as caught, self._open(wheel):
            pytest.fail("the wheel was accepted")

        error = caught.value
        assert {path.name for path in self.place.rglob("*")} == {self.file_name, "work"}
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # ruff: ignore[suspicious-pickle-usage]
        assert f"`{self.file_name}`" in str(error)
        assert str(error).endswith(f" [{error.rule}]")
        assert str(error).isprintable()
        assert error.exit_code == 3
        return error

    def _open(self, wheel: bytes) -> AbstractContextManager[Wheel]:
        work, path = self.place / "work", self.place / self.file_name
        work.mkdir()
        path.write_bytes(wheel)
        return open_wheel(path, self.limits, workspace=work)
