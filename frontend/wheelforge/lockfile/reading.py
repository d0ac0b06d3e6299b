"""From a file to a lock: `packaging` validates the standard part, and we our own table of it.

Each error says where in the file the fault is.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from packaging.pylock import PackageArchive, Pylock, PylockValidationError

from wheelforge.errors import LockError
from wheelforge.lockfile.model import Lock, LockedAnswer, LockedPython, LockedSource, Source
from wheelforge.lockfile.normalize import FORMAT, SUBDIRECTORY, normalize_requirements, refer
from wheelforge.resolve import Pin
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX, is_plain_file_name
from wheelforge_isolation.formats.urls import check_url, file_name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

    from packaging.pylock import Package, PackageSdist, PackageWheel

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Table(NamedTuple):
    """One table of a lock file, and its place in it."""

    lock: str
    place: str
    values: Mapping[str, object]

    def refuse(self, key: str, reason: str) -> NoReturn:
        raise LockError("lock-invalid", self.lock, f"{self.place}.{key}", reason)

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            self.refuse(key, "it has to be a text")
        return value

    def texts(self, key: str) -> list[str]:
        value = self._list(key)
        for number, item in enumerate(value):
            if not isinstance(item, str):
                self.refuse(f"{key}[{number}]", "it has to be a text")
        return cast("list[str]", value)

    def table(self, key: str) -> _Table:
        return self._enter(key, self.values.get(key))

    def tables(self, key: str) -> Iterator[_Table]:
        for number, item in enumerate(self._list(key)):
            yield self._enter(f"{key}[{number}]", item)

    def _enter(self, key: str, value: object) -> _Table:
        if not isinstance(value, dict):
            self.refuse(key, "it has to be a table")
        values = cast("Mapping[str, object]", value)
        return _Table(lock=self.lock, place=f"{self.place}.{key}", values=values)

    def _list(self, key: str) -> list[object]:
        value = self.values.get(key)
        if not isinstance(value, list):
            self.refuse(key, "it has to be a list")
        return cast("list[object]", value)


def read(path: Path) -> Lock:
    """Return the lock in the file ``path``."""
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise LockError("lock-invalid", str(path), "", f"it cannot be read: {reason}") from error
    except ValueError as error:
        raise LockError("lock-invalid", str(path), "", f"it is no TOML: {error}") from error
    except RecursionError as error:
        raise LockError("lock-invalid", str(path), "", "it is nested too deeply") from error
    return parse(document, path)


def parse(document: Mapping[str, Any], path: Path) -> Lock:
    """Return the lock that ``document`` is, which is in the file ``path``."""
    table = _find_own_table(str(path), document)
    try:
        pylock = Pylock.from_dict(document)
    except PylockValidationError as error:
        raise LockError("lock-invalid", str(path), error.context or "", error.message) from error
    files = {refer(pin): pin for pin in _list_files(pylock, path)}
    sources = [_read_source(each, files) for each in table.tables("sources")]
    known: set[tuple[Source, LockedPython]] = set()
    for number, each in enumerate(sources):
        if (each.source, each.python) in known:
            table.refuse(f"sources[{number}]", f"`{each.source.label}` is there twice")
        known.add((each.source, each.python))
    sources.sort(key=lambda each: (each.source, each.python))
    return Lock(sources=tuple(sources), name=str(path))


def _find_own_table(lock: str, document: Mapping[str, object]) -> _Table:
    tool = document.get("tool")
    own = cast("Mapping[str, object]", tool).get("wheelforge") if isinstance(tool, dict) else None
    if not isinstance(own, dict):
        reason = "there is no such table, so this lock is not for builds"
        raise LockError("lock-invalid", lock, "tool.wheelforge", reason)
    table = _Table(lock=lock, place="tool.wheelforge", values=cast("Mapping[str, object]", own))
    number = table.values.get("format")
    if type(number) is not int or number < 1:
        table.refuse("format", "it has to be a number, counted from 1")
    if number > FORMAT:
        table.refuse("format", f"it is {number}, of a newer wheelforge; this one knows {FORMAT}")
    return table


def _list_files(pylock: Pylock, path: Path) -> Iterator[Pin]:
    for number, package in enumerate(pylock.packages):
        # Without a version it is none of ours, and nothing that we wrote refers to it.
        if package.version is None:
            continue
        try:
            for file in (*(package.wheels or ()), package.sdist, package.archive):
                if file is not None:
                    yield _make_pin(package, file, path.parent)
        except FormatError as error:
            raise LockError("lock-invalid", str(path), f"packages[{number}]", str(error)) from error


def _make_pin(
    package: Package, file: PackageWheel | PackageSdist | PackageArchive, directory: Path
) -> Pin:
    if file.url:
        check_url(file.url)
    url = file.url or Path(os.path.normpath(directory / (file.path or ""))).as_uri()
    name, origin = file_name_of(url), package.index or ""
    if isinstance(file, PackageArchive):
        origin = origin or url
        url = f"{url}#{SUBDIRECTORY}{file.subdirectory}" if file.subdirectory else url
    else:
        name = file.name or name
    if not is_plain_file_name(name):
        raise FormatError("it does not have the name of a file")
    sha256 = file.hashes.get("sha256", "")
    return Pin(
        name=package.name,
        version=str(package.version),
        file_name=name,
        url=url,
        sha256=sha256,
        origin=origin,
        is_wheel=name.endswith(WHEEL_SUFFIX),
        accepted=(f"sha256:{sha256}",),
    )


def _read_source(table: _Table, files: Mapping[str, Pin]) -> LockedSource:
    sha256 = table.text("sha256") if "sha256" in table.values else ""
    if sha256:
        _check_sha256(table, "sha256", sha256)
    python = table.table("python")
    answers = [_read_answer(each, files) for each in table.tables("answers")]
    if not answers:
        table.refuse("answers", "there has to be one")
    return LockedSource(
        source=Source(label=table.text("name"), sha256=sha256),
        python=LockedPython(**{name: python.text(name) for name in LockedPython.__annotations__}),
        answers=tuple(sorted(answers, key=lambda answer: answer.requirements)),
    )


def _read_answer(table: _Table, files: Mapping[str, Pin]) -> LockedAnswer:
    pins: dict[str, Pin] = {}
    for number, text in enumerate(table.texts("files")):
        place = f"files[{number}]"
        _check_sha256(table, place, text.rpartition("#sha256=")[2])
        if text not in files:
            table.refuse(place, f"no package has the file `{text}`")
        if files[text].name in pins:
            table.refuse(place, f"`{files[text].name}` is there twice")
        pins[files[text].name] = files[text]
    return LockedAnswer(
        requirements=normalize_requirements(table.texts("requirements")),
        pins=tuple(pins[name] for name in sorted(pins)),
    )


def _check_sha256(table: _Table, key: str, text: str) -> None:
    if not _SHA256.fullmatch(text):
        table.refuse(key, "there is no SHA-256, which is 64 digits of 0-9 and a-f")
