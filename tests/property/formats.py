"""Members into archives, as hostile as asked: the standard library's writers would object."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

BLOCK = 512
_NAME, _PREFIX = 100, 155
_UTF8, _STREAMED = 0x800, 0x8
_UNIX, _DOS = 3, 0
_SMALL, _LARGE = 0xFFFF, 0xFFFFFFFF


class Kind(Enum):
    """The kind of a member, by the flag of its tar header."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    DIRECTORY = b"5"
    FIFO = b"6"


class Form(Enum):
    """How members are packed."""

    V7 = auto()
    USTAR = auto()
    GNU = auto()
    PAX = auto()
    UNIX_ZIP = auto()
    STREAMED_ZIP = auto()
    WIDE_ZIP = auto()
    DOS_ZIP = auto()

    @property
    def is_zip(self) -> bool:
        return self in ZIP_FORMS

    @property
    def suffix(self) -> str:
        return ".zip" if self.is_zip else ".tar.gz"

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of members that can be told in this form."""
        if self is Form.DOS_ZIP:
            return [Kind.FILE, Kind.DIRECTORY]
        return [kind for kind in Kind if kind is not Kind.HARDLINK or not self.is_zip]


ZIP_FORMS = {Form.UNIX_ZIP, Form.STREAMED_ZIP, Form.WIDE_ZIP, Form.DOS_ZIP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member as it is to be stored."""

    kind: Kind
    name: str
    content: bytes = b""
    target: str = ""
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A whole archive that is to be."""

    form: Form
    entries: list[Entry]
    stem: str = "p-1.0"

    @property
    def file_name(self) -> str:
        return self.stem + self.form.suffix

    def pack(self) -> bytes:
        pack = pack_zip if self.form.is_zip else pack_tar
        return pack(self.entries, self.form)


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def pack_tar(entries: list[Entry], form: Form = Form.GNU) -> bytes:
    packed = b"".join(_tar_member(entry, form) for entry in entries)
    return gzip.compress(packed + bytes(2 * BLOCK), 1, mtime=0)


def _tar_member(entry: Entry, form: Form) -> bytes:
    name, target, prefix = raw(entry.name), raw(entry.target), b""
    if form is Form.USTAR and len(name) > _NAME:
        prefix, name = _split_ustar(name)
    extend = _pax_extension if form is Form.PAX else _gnu_extension
    extensions = extend(b"path", name) + extend(b"linkpath", target)
    if form is Form.PAX and extensions:
        extensions = tar_block(b"x", b"PaxHeader", extensions)
    flag = b"\0" if form is Form.V7 and entry.kind is Kind.FILE else entry.kind.value
    header = partial(tar_block, mode=entry.mode, target=target[:_NAME], prefix=prefix, form=form)
    return extensions + header(flag, name[:_NAME], entry.content)


def _pax_extension(key: bytes, value: bytes) -> bytes:
    if len(value) <= _NAME and value.isascii():
        return b""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%b" % (length, rest)


def _gnu_extension(key: bytes, value: bytes) -> bytes:
    flag = b"L" if key == b"path" else b"K"
    if len(value) <= _NAME:
        return b""
    return tar_block(flag, b"././@LongLink", value + b"\0", form=Form.GNU)


def _split_ustar(name: bytes) -> tuple[bytes, bytes]:
    """Split a name that is too long for its field, where that can be done."""
    for position in range(1, min(len(name) - 1, _PREFIX + 1)):
        if name[position] == ord("/") and len(name) - position - 1 <= _NAME:
            return name[:position], name[position + 1 :]
    return b"", name


def tar_block(  # ruff: ignore[too-many-arguments]
    flag: bytes,
    name: bytes,
    content: bytes = b"",
    *,
    mode: int = 0o644,
    target: bytes = b"",
    prefix: bytes = b"",
    form: Form = Form.USTAR,
) -> bytes:
    """Return a header, and the content padded to whole blocks."""
    magic = {Form.V7: b"", Form.GNU: b"ustar  \0"}.get(form, b"ustar\x0000")
    header = struct.pack(
        "100s8s8s8s12s12s8s1s100s8s80s155s12x",
        name,
        b"%07o\0" % mode,
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % len(content),
        b"13000000000\0",
        b" " * 8,
        flag,
        target,
        magic,
        b"",
        prefix,
    )
    return seal(header) + content + bytes(-len(content) % BLOCK)


def seal(header: bytes) -> bytes:
    """Return a tar header with the checksum that it should have."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def pack_zip(entries: list[Entry], form: Form = Form.UNIX_ZIP) -> bytes:
    packed, directory = b"", b""
    for entry in entries:
        local, central = _zip_member(entry, form, offset=len(packed))
        packed += local
        directory += central
    return packed + directory + _zip_end(len(entries), len(directory), len(packed), form)


def _zip_member(entry: Entry, form: Form, offset: int) -> tuple[bytes, bytes]:
    """Return the member with its local header, and its line in the directory."""
    name = raw(entry.name)
    if form is Form.DOS_ZIP and entry.kind is Kind.DIRECTORY and not name.endswith(b"/"):
        name += b"/"
    content = raw(entry.target) if entry.kind is Kind.SYMLINK else entry.content
    method, packed = (8, _deflate(content)) if len(content) > 1 else (0, content)
    sums = (zlib.crc32(content), len(packed), len(content))
    flags = (_UTF8 if _is_marked(name) else 0) | (_STREAMED if form is Form.STREAMED_ZIP else 0)
    common = (20, 0, flags, method, 0x6000, 0x5A21)
    descriptor = struct.pack("<4s3L", b"PK\7\x08", *sums) if flags & _STREAMED else b""

    stated, extra = _state_sizes(sums, form)
    local = struct.pack("<4s2B4H3L2H", b"PK\3\4", *common, *stated, len(name), len(extra))
    member = local + name + extra + packed + descriptor

    stated, extra = _state_sizes(sums, form, offset)
    system = _DOS if form is Form.DOS_ZIP else _UNIX
    where = (0, 0, 0, _attributes(entry, form), _LARGE if form is Form.WIDE_ZIP else offset)
    fixed = (20, system, *common, *stated, len(name), len(extra), *where)
    return member, struct.pack("<4s4B4H3L5H2L", b"PK\1\2", *fixed) + name + extra


def _state_sizes(
    sums: tuple[int, int, int], form: Form, offset: int | None = None
) -> tuple[tuple[int, int, int], bytes]:
    """Return what a header says of checksum and sizes, and the extra field for what does not fit.

    Only the directory knows an ``offset``.
    """
    crc, packed, size = sums
    if form is Form.WIDE_ZIP:
        wide = struct.pack("<2Q", size, packed)
        wide += b"" if offset is None else struct.pack("<Q", offset)
        return (crc, _LARGE, _LARGE), struct.pack("<2H", 1, len(wide)) + wide
    return (0, 0, 0) if form is Form.STREAMED_ZIP and offset is None else sums, b""


def _zip_end(count: int, length: int, start: int, form: Form) -> bytes:
    counts = (count, count, length, start)
    if form is not Form.WIDE_ZIP:
        return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *counts, 0)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *counts)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + length, 1)
    blank = (_SMALL, _SMALL, _LARGE, _LARGE)
    return wide + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *blank, 0)


def _is_marked(name: bytes) -> bool:
    """Return whether a name is marked as UTF-8, as it is by honest programs where it matters."""
    try:
        return bool(name.decode()) and not name.isascii()
    except UnicodeDecodeError:
        return False


def _deflate(content: bytes) -> bytes:
    return zlib.compress(content, 6, wbits=-15)


def _attributes(entry: Entry, form: Form) -> int:
    if form is Form.DOS_ZIP:
        return 0x10 if entry.kind is Kind.DIRECTORY else 0x20
    formats = {Kind.DIRECTORY: 0o040000, Kind.SYMLINK: 0o120000, Kind.FIFO: 0o010000}
    return (formats.get(entry.kind, 0o100000) | entry.mode) << 16
