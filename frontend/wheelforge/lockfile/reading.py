"""From the text of a file to a lock; whatever is wrong with it is said with its place."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from wheelforge.errors import LockInvalidError
from wheelforge.lockfile.model import Lock, LockedAnswer, LockedPython, LockedSource, Source
from wheelforge.lockfile.normalize import SUBDIRECTORY, spell_requirements
from wheelforge.lockfile.writing import FORMAT, refer
from wheelforge.resolve import Pin
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import is_plain_file_name
from wheelforge_isolation.formats.urls import check_url, file_name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

    from packaging.pylock import Package, Pylock

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Table(NamedTuple):
    """A table of a lock, which knows where it is."""

    lock: str
    place: str
    values: Mapping[str, object]

    def refuse(self, key: str, reason: str) -> NoReturn:
        raise LockInvalidError(self.lock, f"{self.place}.{key}", reason)

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
    return parse(_load(path), path)


def parse(document: Mapping[str, Any], path: Path) -> Lock:
    """Return the lock that ``document`` is, which is in the file ``path``."""
    table = _find_own_table(str(path), document)
    pylock = _validate(str(path), document)
    files = {refer(pin): pin for pin in _list_files(pylock, path)}
    sources = [_read_source(each, files) for each in table.tables("sources")]
    known: set[tuple[Source, LockedPython]] = set()
    for number, each in enumerate(sources):
        if (each.source, each.python) in known:
            table.refuse(f"sources[{number}]", f"`{each.source.label}` is there twice")
        known.add((each.source, each.python))
    sources.sort(key=lambda each: (each.source, each.python))
    return Lock(sources=tuple(sources), name=str(path))


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise LockInvalidError(str(path), "", f"it cannot be read: {reason}") from error
    except ValueError as error:
        raise LockInvalidError(str(path), "", f"it is no TOML: {error}") from error
    except RecursionError as error:
        raise LockInvalidError(str(path), "", "it is nested too deeply") from error


def _find_own_table(lock: str, document: Mapping[str, object]) -> _Table:
    tool = document.get("tool")
    own = cast("Mapping[str, object]", tool).get("wheelforge") if isinstance(tool, dict) else None
    if not isinstance(own, dict):
        reason = "there is no such table, so this lock is not for builds"
        raise LockInvalidError(lock, "tool.wheelforge", reason)
    table = _Table(lock=lock, place="tool.wheelforge", values=cast("Mapping[str, object]", own))
    number = table.values.get("format")
    if type(number) is not int or number < 1:
        table.refuse("format", "it has to be a number, counted from 1")
    if number > FORMAT:
        table.refuse("format", f"it is {number}, of a newer wheelforge; this one knows {FORMAT}")
    return table


def _validate(lock: str, document: Mapping[str, object]) -> Pylock:
    from packaging.pylock import Pylock, PylockValidationError

    try:
        return Pylock.from_dict(document)
    except PylockValidationError as error:
        raise LockInvalidError(lock, error.context or "", error.message) from error


def _list_files(pylock: Pylock, path: Path) -> Iterator[Pin]:
    for number, package in enumerate(pylock.packages):
        # Without a version it is none of ours, and nothing that we wrote refers to it.
        if package.version is None:
            continue
        try:
            yield from _list_package(package, path.parent)
        except FormatError as error:
            raise LockInvalidError(str(path), f"packages[{number}]", str(error)) from error


def _list_package(package: Package, directory: Path) -> Iterator[Pin]:
    index = package.index or ""
    for wheel in package.wheels or ():
        url = _locate(wheel.url, wheel.path, directory)
        yield _make_pin(package, (url, wheel.name, index), wheel.hashes, is_wheel=True)
    if package.sdist is not None:
        url = _locate(package.sdist.url, package.sdist.path, directory)
        facts = (url, package.sdist.name, index)
        yield _make_pin(package, facts, package.sdist.hashes, is_wheel=False)
    if package.archive is not None:
        bare = _locate(package.archive.url, package.archive.path, directory)
        inside = package.archive.subdirectory
        url = f"{bare}#{SUBDIRECTORY}{inside}" if inside else bare
        facts = (url, None, index or bare)
        is_wheel = file_name_of(bare).endswith(".whl")
        yield _make_pin(package, facts, package.archive.hashes, is_wheel=is_wheel)


def _locate(url: str | None, path: str | None, directory: Path) -> str:
    if url:
        check_url(url)
    return url or Path(os.path.normpath(directory / (path or ""))).as_uri()


def _make_pin(
    package: Package,
    facts: tuple[str, str | None, str],
    hashes: Mapping[str, str],
    *,
    is_wheel: bool,
) -> Pin:
    url, name, origin = facts
    sha256 = hashes.get("sha256", "")
    file_name = name or file_name_of(url)
    if not is_plain_file_name(file_name):
        raise FormatError("it does not have the name of a file")
    return Pin(
        name=package.name,
        version=str(package.version),
        file_name=file_name,
        url=url,
        sha256=sha256,
        origin=origin,
        is_wheel=is_wheel,
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
        requirements=spell_requirements(table.texts("requirements")),
        pins=tuple(pins[name] for name in sorted(pins)),
    )


def _check_sha256(table: _Table, key: str, text: str) -> None:
    if not _SHA256.fullmatch(text):
        table.refuse(key, "there is no SHA-256, which is 64 digits of 0-9 and a-f")
