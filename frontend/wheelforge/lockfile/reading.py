"""From a file to a lock: `packaging` validates the standard part, and we our own table of it.

Each error says where in the file the fault is.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from packaging.pylock import PackageArchive, Pylock, PylockValidationError

from wheelforge.errors import LockError
from wheelforge.lockfile.model import (
    FORMAT,
    SUBDIRECTORY,
    Lock,
    LockedAnswer,
    LockedPython,
    LockedSource,
    Source,
    make_archive_pin,
    normalize_requirements,
    refer,
)
from wheelforge.resolve import Pin
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX, is_plain_file_name
from wheelforge_isolation.formats.git_urls import is_commit
from wheelforge_isolation.formats.urls import check_url, file_name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

    from packaging.pylock import Package, PackageSdist, PackageWheel

T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Table(NamedTuple):
    """One table of a lock file, and its place in it."""

    lock: str
    place: str
    values: Mapping[str, object]

    def refuse(self, key: str, reason: str) -> NoReturn:
        raise LockError("lock-invalid", self.lock, f"{self.place}.{key}", reason)

    def get(self, key: str, kind: type[T], what: str = "text") -> T:
        value = self.values.get(key)
        if not isinstance(value, kind):
            self.refuse(key, f"it has to be a {what}")
        return value

    def texts(self, key: str) -> list[str]:
        found = cast("list[object]", self.get(key, list, "list"))
        for number, item in enumerate(found):
            if not isinstance(item, str):
                self.refuse(f"{key}[{number}]", "it has to be a text")
        return cast("list[str]", found)

    def table(self, key: str) -> _Table:
        values = cast("Mapping[str, object]", self.get(key, dict, "table"))
        return _Table(lock=self.lock, place=f"{self.place}.{key}", values=values)

    def tables(self, key: str) -> Iterator[_Table]:
        for number, item in enumerate(cast("list[object]", self.get(key, list, "list"))):
            name = f"{key}[{number}]"
            yield _Table(self.lock, self.place, {name: item}).table(name)


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
    sources = [_read_source(each, files, path.parent) for each in table.tables("sources")]
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
    url = file.url or _make_url(directory, file.path or "")
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


def _make_url(directory: Path, path: str) -> str:
    return Path(os.path.normpath(directory / path)).as_uri()


def _read_source(table: _Table, files: Mapping[str, Pin], directory: Path) -> LockedSource:
    sha256 = table.get("sha256", str) if "sha256" in table.values else ""
    if sha256:
        _check_sha256(table, "sha256", sha256)
    commit = table.get("commit", str) if "commit" in table.values else ""
    if commit and not is_commit(commit):
        table.refuse("commit", "it has to be the whole name of a commit")
    python = table.table("python")
    answers = [_read_answer(each, files) for each in table.tables("answers")]
    if not answers:
        table.refuse("answers", "there has to be one")
    return LockedSource(
        source=Source(label=table.get("name", str), sha256=sha256, commit=commit),
        python=LockedPython(**{
            name: python.get(name, str) for name in LockedPython.__annotations__
        }),
        answers=tuple(sorted(answers, key=lambda answer: answer.requirements)),
        overrides=tuple(table.texts("overrides")) if "overrides" in table.values else (),
        archive=_read_archive(table, sha256, directory) if "archive" in table.values else None,
    )


def _read_archive(source: _Table, sha256: str, directory: Path) -> Pin:
    table = source.table("archive")
    if not sha256:
        source.refuse("archive", "the source has no `sha256`, by which the file is known")
    name, is_local = table.get("name", str), "path" in table.values
    if not is_plain_file_name(name):
        table.refuse("name", "it is not the name of a file")
    url = _make_url(directory, table.get("path", str)) if is_local else table.get("url", str)
    try:
        check_url(url)
    except FormatError as error:
        table.refuse("url", str(error))
    index = table.get("index", str) if "index" in table.values else ""
    return make_archive_pin(name, url, sha256, index)


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
