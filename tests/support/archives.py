"""Archives made in memory, sound or broken in one chosen place, and what becomes of them."""

import gzip
import os
import pickle
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from wheelforge_isolation import Limits, Links, Unpacked, unpack
from wheelforge_isolation.errors import ArchiveError

Tree: TypeAlias = "dict[str, bytes | str | None]"
"""A tree below a directory: bytes for a file, text for a link, nothing for a directory."""

TAR_GZ, ZIP = "p-1.tar.gz", "p-1.zip"
BLOCK = 512
MTIME = 1_600_000_000
NO_LIMITS = Limits()

_TAR_FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "checksum": (148, 8),
    "flag": (156, 1),
    "target": (157, 100),
    "magic": (257, 8),
    "prefix": (345, 155),
}
_TAR_DEFAULTS = {
    "mode": b"0000644\0",
    "mtime": b"%011o\0" % MTIME,
    "flag": b"0",
    "magic": b"ustar\00000",
}


def encoded(text: str | bytes) -> bytes:
    """Return the bytes of a name."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def padded(data: bytes) -> bytes:
    """Fill the last tar block."""
    return data + bytes(-len(data) % BLOCK)


def octal(number: int, digits: int = 11) -> bytes:
    return b"%0*o\0" % (digits, number)


def binary(number: int) -> bytes:
    """Return a number as GNU writes those that do not fit in octal."""
    return (
        (number % (1 << 95) | 1 << 95).to_bytes(12, "big")
        if number >= 0
        else (number.to_bytes(12, "big", signed=True))
    )


def header(**fields: bytes) -> bytes:
    """Return a tar header of those fields, with the right checksum unless one is given."""
    block = bytearray(BLOCK)
    for name, value in (_TAR_DEFAULTS | fields).items():
        start, length = _TAR_FIELDS[name]
        if len(value) > length:
            raise ValueError(f"{name} is too long for a header")
        block[start : start + len(value)] = value
    if "checksum" not in fields:
        block[148:156] = b"%06o\0 " % (sum(block) + 8 * 32)
    return bytes(block)


def file(name: str | bytes, content: bytes = b"", **fields: bytes) -> bytes:
    """Return a tar member, header and content, whatever its ``flag`` says it is."""
    stated = {"name": encoded(name), "size": b"%011o\0" % len(content)} | fields
    return header(**stated) + padded(content)


def folder(name: str | bytes, **fields: bytes) -> bytes:
    return file(name, **({"flag": b"5", "mode": b"0000755\0"} | fields))


def symlink(name: str | bytes, target: str | bytes, **fields: bytes) -> bytes:
    return file(name, **({"flag": b"2", "target": encoded(target)} | fields))


def hardlink(name: str | bytes, target: str | bytes, **fields: bytes) -> bytes:
    return file(name, **({"flag": b"1", "target": encoded(target)} | fields))


def record(key: str, value: str | bytes) -> bytes:
    """Return one pax record, which states its own length."""
    rest = b" %b=%b\n" % (encoded(key), encoded(value))
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def pax(**records: str | bytes) -> bytes:
    """Return a local pax header; ``__`` stands for the dot that a keyword cannot have."""
    lines = (record(key.replace("__", "."), value) for key, value in records.items())
    return raw_pax(b"".join(lines))


def raw_pax(data: bytes, flag: bytes = b"x") -> bytes:
    return file("PaxHeader", data, flag=flag)


def gnu_name(name: str | bytes) -> bytes:
    return file("././@LongLink", encoded(name) + b"\0", flag=b"L", magic=b"ustar  \0")


def gnu_target(target: str | bytes) -> bytes:
    return file("././@LongLink", encoded(target) + b"\0", flag=b"K", magic=b"ustar  \0")


def tar(*parts: bytes, end: bytes = bytes(2 * BLOCK)) -> bytes:
    return b"".join(parts) + end


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


METADATA = b"Metadata-Version: 2.2\nName: p\nVersion: 1\n"
PROJECT = (file("p-1/PKG-INFO", METADATA), file("p-1/pyproject.toml"))


def sdist(*parts: bytes) -> bytes:
    """Return a whole sdist that gives no cause for a note, with ``parts`` added."""
    return gz(tar(*PROJECT, *parts))


_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s2B5H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_DATE = (2020 - 1980) << 9 | 9 << 5 | 13


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipHeader:
    """The fields that both headers of a zip member state, and those of the directory alone."""

    name: bytes
    crc: int
    packed: int
    size: int
    flags: int = 0
    method: int = 0
    time: int = 0
    date: int = _DATE
    extra: bytes = b""
    system: int = 3
    attributes: int = 0o100644 << 16
    offset: int = 0
    disk: int = 0
    needed: int = 20
    comment: bytes = b""

    def local(self) -> bytes:
        fields = (self.flags, self.method, self.time, self.date, self.crc, self.packed, self.size)
        lengths = (len(self.name), len(self.extra))
        return _LOCAL.pack(b"PK\3\4", self.needed, *fields, *lengths) + self.name + self.extra

    def central(self) -> bytes:
        fields = (self.flags, self.method, self.time, self.date, self.crc, self.packed, self.size)
        lengths = (len(self.name), len(self.extra), len(self.comment))
        rest = (self.disk, 0, self.attributes, self.offset)
        fixed = _CENTRAL.pack(b"PK\1\2", 20, self.system, self.needed, *fields, *lengths, *rest)
        return fixed + self.name + self.extra + self.comment


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A zip member: its two headers, told apart, and what stands between and behind them."""

    local: bytes
    central: Mapping[str, int | bytes]
    data: bytes
    is_listed: bool = True


def zipped(  # ruff: ignore[too-many-arguments]
    name: str | bytes,
    content: bytes = b"",
    *,
    deflated: bool = False,
    descriptor: bytes = b"",
    local: Mapping[str, int | bytes] = {},
    central: Mapping[str, int | bytes] = {},
    is_listed: bool = True,
    **both: int | bytes,
) -> ZipMember:
    """Return a zip member; ``local``, ``central`` and ``both`` override fields of its headers."""
    data = deflate(content) if deflated else content
    facts: dict[str, int | bytes] = {
        "name": encoded(name),
        "crc": zlib.crc32(content),
        "packed": len(data),
        "size": len(content),
        "method": 8 if deflated else 0,
    }
    facts |= both
    before = _header({**facts, **local}).local()
    return ZipMember(before, {**facts, **central}, data + descriptor, is_listed)


def _header(facts: Mapping[str, int | bytes]) -> ZipHeader:
    return ZipHeader(**facts)  # type: ignore[arg-type]  # a wrong field fails at once


def zipped_link(name: str, target: str | bytes) -> ZipMember:
    return zipped(name, encoded(target), attributes=0o120777 << 16)


def deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


def extra_field(key: int, data: bytes) -> bytes:
    return struct.pack("<2H", key, len(data)) + data


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEnd:
    """False statements in the end of a zip, and bytes around it."""

    facts: Mapping[str, int] = field(default_factory=dict[str, int])
    comment: bytes = b""
    wide: Mapping[str, int] | None = None
    wide_data: bytes = b""

    def pack(self, count: int, length: int, start: int) -> bytes:
        wide = self._wide(count, length, start)
        if wide:
            count, length, start = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
        truth = {"disk": 0, "here": count, "count": count, "length": length, "start": start}
        stated = {**truth, **self.facts}
        numbers = (stated[key] for key in ("here", "count", "length", "start"))
        fixed = _END.pack(b"PK\5\6", stated["disk"], 0, *numbers, len(self.comment))
        return wide + fixed + self.comment

    def _wide(self, count: int, length: int, start: int) -> bytes:
        if self.wide is None:
            return b""
        truth = {"position": start + length, "count": count, "length": length, "start": start}
        stated = {**truth, **self.wide}
        size = _END64.size - 12 + len(self.wide_data)
        numbers = (stated[key] for key in ("count", "count", "length", "start"))
        end = _END64.pack(b"PK\6\6", size, 45, 45, 0, 0, *numbers) + self.wide_data
        parts = stated.get("parts", 1)
        return end + _LOCATOR.pack(b"PK\6\7", 0, stated["position"], parts)


SOUND_END = ZipEnd()


def raw_zip(*members: ZipMember, prefix: bytes = b"", end: ZipEnd = SOUND_END) -> bytes:
    """Return a zip of ``members`` alone."""
    body, directory, count = prefix, b"", 0
    for member in members:
        if member.is_listed:
            directory += _header({"offset": len(body), **member.central}).central()
            count += 1
        body += member.local + member.data
    return body + directory + end.pack(count, len(directory), len(body))


ZIP_PROJECT = (zipped("p-1/PKG-INFO", METADATA), zipped("p-1/pyproject.toml"))


def zip_sdist(*members: ZipMember, prefix: bytes = b"", end: ZipEnd = SOUND_END) -> bytes:
    """Return a zipped sdist that gives no cause for a note, with ``members`` added."""
    return raw_zip(*ZIP_PROJECT, *members, prefix=prefix, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The tree that an accepted archive became."""

    unpacked: Unpacked
    tree: Tree
    """Below the top-level directory, without the two files that every sdist here has."""
    programs: set[str]

    @property
    def root(self) -> Path:
        return self.unpacked.root

    @property
    def rules(self) -> list[str]:
        return [note.rule for note in self.unpacked.notes]

    @property
    def warnings(self) -> list[str]:
        return [note.rule for note in self.unpacked.notes if note.is_warning]


def accept(
    archive: bytes,
    place: Path,
    *,
    name: str = TAR_GZ,
    links: Links | None = None,
    limits: Limits = NO_LIMITS,
) -> Outcome:
    """Unpack ``archive``; check what holds for all of them, and return the rest."""
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(archive)
    destination = place / "out"

    unpacked = unpack(place / name, destination, links=links, limits=limits)

    assert list(destination.iterdir()) == [unpacked.root]
    assert {path.name for path in place.iterdir()} == {name, "out"}
    tree, programs = read_tree(unpacked.root)
    tree.pop("PKG-INFO", None)
    tree.pop("pyproject.toml", None)
    return Outcome(unpacked=unpacked, tree=tree, programs=programs)


def read_tree(root: Path) -> tuple[Tree, set[str]]:
    """Return what is below ``root`` and which of it is executable; check all modes on the way."""
    tree: Tree = {}
    programs: set[str] = set()
    assert stat.S_IMODE(root.lstat().st_mode) == 0o755
    for path in sorted(root.rglob("*")):
        name, status = str(path.relative_to(root)), path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if path.is_symlink():
            tree[name] = os.readlink(path)  # ruff: ignore[os-readlink]  # the text as it is
        elif path.is_dir():
            assert mode == 0o755
            tree[name] = None
        else:
            assert mode in {0o644, 0o755}
            assert status.st_nlink == 1
            tree[name] = path.read_bytes()
            programs |= {name} if mode == 0o755 else set()
    return tree, programs


def refuse(
    archive: bytes,
    place: Path,
    *,
    name: str = TAR_GZ,
    links: Links | None = None,
    limits: Limits = NO_LIMITS,
) -> ArchiveError:
    """Unpack ``archive`` in vain; check what holds for every refusal, and return the error."""
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(archive)
    destination = place / "absent" / "out"

    with pytest.raises(ArchiveError) as caught:
        unpack(place / name, destination, links=links, limits=limits)
    assert {path.name for path in place.iterdir()} == {name}
    destination.mkdir(parents=True)
    with pytest.raises(ArchiveError) as caught_again:
        unpack(place / name, destination, links=links, limits=limits)

    assert {path.name for path in place.rglob("*")} == {name, "absent", "out"}
    error = caught.value
    assert str(error) == str(caught_again.value)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # ruff: ignore[suspicious-pickle-usage]
    assert str(error).startswith(f"cannot unpack `{name}`: ")
    assert str(error).endswith(f" [{error.rule}]")
    assert error.exit_code == 3
    assert str(error).isprintable()
    return error


def check_refusal(
    archive: bytes,
    place: Path,
    rule: str,
    code: str | None = None,
    says: str | tuple[str, ...] = (),
    **options: Any,  # ruff: ignore[any-type]
) -> None:
    """Check that ``archive`` is refused by that rule, with an error of that code and words."""
    error = refuse(archive, place, **options)

    assert (error.rule, code or error.code) == (rule, error.code)
    words = [says] if isinstance(says, str) else says
    assert [word for word in words if word not in str(error)] == []
