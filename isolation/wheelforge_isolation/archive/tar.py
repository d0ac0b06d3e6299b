"""Tar members: tarfile reads every header, and each block is checked before tarfile acts on it.

Left alone, tarfile stops in silence where it should object (at a damaged header in mid-file, at a
missing end marker, at more behind one), follows negative sizes backwards, and answers differently
in different patch releases. So a subclass of `TarInfo` hands every header over as soon as it is
parsed: frame, sizes and extensions have to be sound then, and no release can read them in two ways.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from typing import IO, NamedTuple, Self

from wheelforge_isolation.archive import tar_headers as raw
from wheelforge_isolation.archive.members import Kind, Limits, Member, Note, RuleError

_BLOCK = raw.BLOCK
_CHUNK = 1 << 18
_PAX_BYTES = 256 << 10
_GNU_BYTES = 128 << 10
_GLOBAL_BYTES = 1 << 20
_GLOBALS_PER_MEMBER = 16
_EXTENSION_BYTES = 64 << 20
_OCTAL_CEILING = 8**11
"""The first size that does not fit a header's size field."""
_MOST_DIGITS = 20
_LOCAL, _SOLARIS, _GLOBAL = tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE
_GNU_KEYS = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_EXTENSIONS = {_LOCAL, _SOLARIS, _GLOBAL, *_GNU_KEYS}
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.LNKTYPE: Kind.HARDLINK,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.DIRTYPE: Kind.DIRECTORY,
}
_DEVICES = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a fifo",
}
_LINKS = {Kind.HARDLINK, Kind.SYMLINK}


def read_tar(spool: IO[bytes], size: int, limits: Limits) -> tuple[list[Member], list[Note]]:
    """Return the members of the tar file of ``size`` bytes in ``spool``, or refuse it."""
    if not size:
        return [], []
    walk = _Walk(spool, size, limits)
    spool.seek(0)
    try:
        archive = walk.open()
        # One by one, as `getmembers()` of a bomb does not come back.
        while (info := archive.next()) is not None:
            walk.add(info)
    except tarfile.TarError as error:  # of a release that is stricter than all we know
        raise RuleError("F22", f"tarfile cannot read the archive ({error})") from error
    return walk.members, walk.notes


@dataclass(slots=True)
class _Extensions:
    """The headers before a member's own."""

    flags: set[bytes] = field(default_factory=set[bytes])
    pax: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    gnu: set[bytes] = field(default_factory=set[bytes])
    globals: int = 0

    def override(self, key: bytes) -> bool:
        """Return whether one of them overrides the field ``key`` of the member's own header."""
        if key in self.pax and key in self.gnu:
            raise RuleError("F4", "a member has both a pax and a GNU name")
        return key in self.pax or key in self.gnu


class _Own(NamedTuple):
    block: bytes
    kind: Kind
    extensions: _Extensions
    start: int
    """Where the content starts."""
    size: int


class _Walk:
    """One pass over the spool, header by header."""

    _own: _Own

    def __init__(self, spool: IO[bytes], size: int, limits: Limits) -> None:
        self._spool = spool
        self._size = size
        self._limits = limits
        self.members: list[Member] = []
        self.notes: list[Note] = []
        self._headers = 0
        self._position = 0
        """Where the next header has to be."""
        self._extensions = _Extensions()
        self._extension_bytes = 0
        self._global_bytes = 0
        self._families: set[str] = set()

    def open(self) -> tarfile.TarFile:
        """Return a reader that hands every header to this walk."""
        walk = self

        class Header(tarfile.TarInfo):
            @classmethod
            def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
                block = bytes(buf)
                is_end = walk.is_end(block)
                try:
                    header = super().frombuf(block, encoding, errors)
                except tarfile.HeaderError:
                    if is_end:
                        raise
                    raise walk.explain(block) from None
                walk.check(block, header)
                return header

        return tarfile.TarFile(
            fileobj=self._spool, tarinfo=Header, encoding="utf-8", errors="surrogateescape"
        )

    # The frame

    def is_end(self, block: bytes) -> bool:
        """Return whether the archive ends at ``block``; refuse an end that is not sound."""
        if self._spool.tell() != self._position + len(block):
            raise RuleError("F22", f"{self._latest()} ends elsewhere for tarfile")
        self._position += len(block)
        if block in {b"", raw.ZEROS}:
            self._finish(len(block))
            return True
        if len(block) < _BLOCK:
            raise RuleError("F14", "the archive ends in the middle of a header")
        return False

    def _finish(self, zeros: int) -> None:
        """Look at what follows the first ``zeros`` of the end marker: only zeros may."""
        if zeros + self._size - self._position < 2 * _BLOCK:
            self.notes.append(Note(rule="F14", text="the archive has no end marker"))
        for start in range(self._position, self._size, _CHUNK):
            if self._peek(start, _CHUNK).strip(b"\0"):
                is_marked = self._peek(self._position, _BLOCK) == raw.ZEROS
                rule = "F15" if is_marked else "F14"
                raise RuleError(rule, "data follows the end-of-archive marker")
        if self._extensions.flags or self._extensions.globals:
            raise RuleError("F8", "the archive ends after an extension header")
        if len(self._families) > 1:
            self.notes.append(Note(rule="F1", text="the archive mixes pax and GNU extensions"))

    def explain(self, block: bytes) -> RuleError:
        """Return the reason why ``block`` is no header for tarfile."""
        if not raw.has_right_checksum(block):
            return RuleError("F13", f"damaged header after {self._latest()} (checksum)")
        member = self._next_member(raw.cut(block[raw.NAME]))
        if block[raw.FLAG] == tarfile.GNUTYPE_SPARSE:
            return RuleError("S4", "is a sparse file", member)
        bad = raw.find_bad_number(block) or "owner or device"
        return RuleError("F18", f"has a header whose {bad} is no number", member)

    def check(self, block: bytes, header: tarfile.TarInfo) -> None:
        """Refuse what tarfile would take amiss once it acts upon ``header``."""
        self._headers += 1
        if self._headers > self._limits.members:
            raise RuleError("X4", f"the archive has more than {self._limits.members:,} members")
        bad = raw.find_bad_number(block)
        if bad == "checksum":
            raise RuleError("F13", f"damaged header after {self._latest()} (checksum)")
        if bad:
            reason = f"has a header whose {bad} is no number"
            raise RuleError("F18", reason, self._next_member(header.name))
        if header.type in _EXTENSIONS:
            self._check_extension(header)
        else:
            self._check_member(block, header)

    def _next_member(self, name: str) -> Member:
        return Member(len(self.members) + 1, name)

    def _latest(self) -> str:
        return str(self.members[-1]) if self.members else "the start"

    def _peek(self, position: int, size: int) -> bytes:
        """Read elsewhere, and leave the spool where tarfile expects it."""
        here = self._spool.tell()
        self._spool.seek(position)
        data = self._spool.read(size)
        self._spool.seek(here)
        return data

    # Extension headers

    def _check_extension(self, header: tarfile.TarInfo) -> None:
        extensions = self._extensions
        flag = _LOCAL if header.type == _SOLARIS else header.type
        if flag in extensions.flags:
            rule = "F19" if flag in _GNU_KEYS else "F3"
            raise RuleError(rule, "a member has two headers of one kind")
        if flag in _GNU_KEYS:
            self._families.add("GNU")
            extensions.flags.add(flag)
            extensions.gnu.add(_GNU_KEYS[flag])
            text = self._read_extension(header.size, _GNU_BYTES)
            if raw.has_inner_nul(text):
                raise RuleError("N6", "has a NUL in its GNU name", self._next_member(raw.cut(text)))
            return
        self._families.add("pax")
        data = self._read_extension(header.size, _PAX_BYTES)
        if flag == _LOCAL:
            extensions.flags.add(flag)
            extensions.pax = raw.parse_pax(data)
            return
        extensions.globals += 1
        self._global_bytes += len(data)
        is_long = self._global_bytes > _GLOBAL_BYTES
        if is_long or extensions.globals > _GLOBALS_PER_MEMBER:
            raise RuleError("F19", "the archive has too many global pax headers")
        for key in sorted(raw.parse_pax(data)):
            raise RuleError("F5", f"a global pax header states '{key.decode()}' for every member")

    def _read_extension(self, size: int, limit: int) -> bytes:
        """Return extension data, which tarfile reads in whole blocks, their padding included."""
        self._extension_bytes += size
        if not 0 <= size <= limit or self._extension_bytes > _EXTENSION_BYTES:
            raise RuleError("F19", f"an extension header holds {size:,} bytes (limit {limit:,})")
        data = self._peek(self._position, _padded(size))
        self._position += _padded(size)
        if self._position > self._size:
            raise RuleError("F17", "the archive ends in the middle of an extension header")
        if data[size:].strip(b"\0"):
            raise RuleError("F6", "an extension header has bytes behind its end")
        return data[:size]

    # Members

    def _check_member(self, block: bytes, header: tarfile.TarInfo) -> None:
        extensions, self._extensions = self._extensions, _Extensions()
        _repair_name(block, header)
        member = self._next_member(header.name)
        kind = _find_kind(header.type, member)
        size = self._measure(header.size, extensions, member)
        self._own = _Own(block, kind, extensions, self._position, size)
        self._position += _padded(size)

    def _measure(self, stated: int, extensions: _Extensions, member: Member) -> int:
        """Return how much content a member has: the size of pax, else that of its own header."""
        size, wide = stated, extensions.pax.get(b"size")
        if wide is not None:
            is_negative = wide.startswith(b"-")
            # tarfile takes all but plain decimals for 0.
            if not is_negative and not (wide.isdigit() and len(wide) <= _MOST_DIGITS):
                raise RuleError("F7", "declares a size that is no number", member)
            size = -1 if is_negative else int(wide)
            if size != stated and stated and 0 <= size < _OCTAL_CEILING:
                raise RuleError("F2", f"has two sizes, {stated:,} and {size:,}", member)
        if size < 0:
            raise RuleError("F16", "declares a negative size", member)
        if self._position + _padded(size) > self._size:
            raise RuleError("F17", f"declares {size:,} bytes, more than the archive holds", member)
        if size > self._limits.member_bytes:
            limit = f"{self._limits.member_bytes:,}"
            raise RuleError("X3", f"declares {size:,} bytes (limit {limit})", member)
        return size

    def add(self, info: tarfile.TarInfo) -> None:
        """Add the member that tarfile has made of all its headers."""
        own, headers = self._own, info.pax_headers
        # tarfile cuts every slash at the end, be it the one that tells a directory, or the root.
        name = headers.get("path", info.name or "/" * bool(own.block[0]))
        member = self._next_member(name)
        _raise_if_inner_nul(own, member)
        mtime = info.mtime if own.block[raw.MTIME].strip(b"\0 ") else None
        if "mtime" in headers:
            mtime = raw.parse_time(headers["mtime"])
            if mtime is None:
                text = f"{member} has a time that is no date; it gets the present one"
                self.notes.append(Note(rule="T3", text=text, is_warning=False))
        self.members.append(
            member._replace(
                kind=_settle_kind(own, member),
                offset=own.start,
                size=own.size,
                target=info.linkname if own.kind in _LINKS else "",
                executable=bool(info.mode & 0o111),
                mtime=mtime,
            )
        )


def _repair_name(block: bytes, header: tarfile.TarInfo) -> None:
    """Take back what tarfile concludes from a part of the name.

    It looks for a prefix where old GNU headers have times, and takes a file for a directory by a
    name that a GNU header may still replace; only some releases then think better of it.
    """
    if block[raw.PREFIX.start] and not raw.has_prefix(block):
        header.name = header.name.removeprefix(raw.cut(block[raw.PREFIX]) + "/")
    if block[raw.FLAG] == tarfile.AREGTYPE and header.type == tarfile.DIRTYPE:
        header.type = tarfile.REGTYPE
        header.name += "/"


def _find_kind(flag: bytes, member: Member) -> Kind:
    if flag == tarfile.GNUTYPE_SPARSE:
        raise RuleError("S4", "is a sparse file", member)
    if flag in _DEVICES:
        raise RuleError("S1", f"is {_DEVICES[flag]}", member)
    if flag not in _KINDS:
        raise RuleError("S2", f"is of the unknown type {flag!r}", member)
    return _KINDS[flag]


def _settle_kind(own: _Own, member: Member) -> Kind:
    """Return the kind, now that the whole name is known: the slash of a directory may end it."""
    if own.kind is Kind.FILE and not member.name.endswith("/"):
        return own.kind
    if own.size and own.kind is Kind.FILE:
        raise RuleError("N10", "is a file with the name of a directory", member)
    if own.size:
        rule = "S5" if own.kind is Kind.DIRECTORY else "L18"
        reason = f"declares {own.size:,} bytes of content, and is no file"
        raise RuleError(rule, reason, member)
    return Kind.DIRECTORY if own.kind is Kind.FILE else own.kind


def _raise_if_inner_nul(own: _Own, member: Member) -> None:
    """Refuse a text of which tarfile reads no more than stands before a NUL."""
    texts: list[tuple[str, bytes]] = []
    if not own.extensions.override(b"path"):
        texts.append(("name", own.block[raw.NAME]))
        if raw.has_prefix(own.block):
            texts.append(("name", own.block[raw.PREFIX]))
    if own.kind in _LINKS and not own.extensions.override(b"linkpath"):
        texts.append(("target", own.block[raw.TARGET]))
    for part, text in texts:
        if raw.has_inner_nul(text):
            raise RuleError("N6", f"has a NUL in its {part}", member)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
