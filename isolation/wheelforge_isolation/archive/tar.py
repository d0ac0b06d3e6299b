"""Tar members: every header judged, every byte of the file accounted for.

The standard library's reader is not used, because it stops in silence where it should object: at a
damaged header in mid-file, at a missing end marker, at whatever follows one. Its answers also
changed with patch releases. v7, ustar, GNU and pax are read here; tests hold the result against the
standard library's where that is right.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from wheelforge_isolation.archive import pax, tar_headers
from wheelforge_isolation.archive.members import Kind, Member, Note, Subject
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.values import State, field

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Limits, Named

_BLOCK = tar_headers.BLOCK
_ZEROS = bytes(_BLOCK)
_CHUNK = 1 << 18
_PAX_BYTES = 256 << 10
_GNU_BYTES = 128 << 10
_GLOBAL_BYTES = 1 << 20
_GLOBALS_PER_MEMBER = 16
_EXTENSION_BYTES = 64 << 20
_GNU_KEYS = {b"L": b"path", b"K": b"linkpath"}
_OCTAL_CEILING = 8**11
"""The first size that does not fit a header's size field."""


def read_tar(spool: IO[bytes], size: int, limits: Limits) -> tuple[list[Member], list[Note]]:
    """Return the members of the tar file of ``size`` bytes in ``spool``, or refuse it."""
    walk = _Walk(spool=spool, size=size, limits=limits)
    walk.run()
    return walk.members, walk.notes


class _Extensions(State):
    """What the headers before a member's own say about it."""

    flags: set[bytes] = field(default_factory=set[bytes])
    pax: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    gnu: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    globals: int = 0

    def choose(self, key: bytes) -> bytes | None:
        """Return the one extension that overrides the header's own field, if any."""
        if key in self.pax and key in self.gnu:
            raise RuleError("F4", "a member has both a pax and a GNU name")
        return self.pax.get(key, self.gnu.get(key))


class _Walk(State):
    """One pass over the spool, header by header."""

    spool: IO[bytes]
    size: int
    limits: Limits
    members: list[Member] = field(default_factory=list[Member])
    notes: list[Note] = field(default_factory=list[Note])
    headers: int = 0
    position: int = 0
    extensions: _Extensions = field(default_factory=_Extensions)
    extension_bytes: int = 0
    global_bytes: int = 0
    families: set[str] = field(default_factory=set[str])

    def run(self) -> None:
        """Read to the end of the archive."""
        while block := self._read_header():
            flag = block[156:157]
            match flag:
                case b"x" | b"X":
                    self._read_local(block, b"x")
                case b"L" | b"K":
                    self._read_local(block, flag)
                case b"g":
                    self._read_global(block)
                case _:
                    self._read_member(block)
        if self.extensions.flags:
            raise RuleError("F8", "the archive ends after an extension header")
        if len(self.families) > 1:
            self.notes.append(Note(rule="F1", text="the archive mixes pax and GNU extensions"))

    def _read(self, position: int, size: int) -> bytes:
        self.spool.seek(position)
        return self.spool.read(size)

    def _read_header(self) -> bytes:
        """Return the next header, or nothing at a sound end of the archive."""
        block = self._read(self.position, _BLOCK)
        self.position += len(block)
        if block in {b"", _ZEROS}:
            self._finish(len(block))
            return b""
        if len(block) < _BLOCK:
            raise RuleError("F14", "the archive ends in the middle of a header")
        if not tar_headers.has_right_checksum(block):
            latest = self.members[-1] if self.members else "the start"
            raise RuleError("F13", f"damaged header after {latest} (checksum)")
        self.headers += 1
        if self.headers > self.limits.members:
            raise RuleError("X4", f"the archive has more than {self.limits.members:,} members")
        return block

    def _finish(self, zeros: int) -> None:
        """Look at what follows the first ``zeros`` of the end marker: only zeros may."""
        if zeros + self.size - self.position < 2 * _BLOCK:
            self.notes.append(Note(rule="F14", text="the archive has no end marker"))
        for start in range(self.position, self.size, _CHUNK):
            if self._read(start, _CHUNK).strip(b"\0"):
                rule = "F15" if self._read(self.position, _BLOCK) == _ZEROS else "F14"
                raise RuleError(rule, "data follows the end-of-archive marker")

    def _read_extension(self, block: bytes, limit: int) -> bytes:
        size = tar_headers.parse_size(block)
        self.extension_bytes += size
        if not 0 <= size <= limit or self.extension_bytes > _EXTENSION_BYTES:
            raise RuleError("F19", f"an extension header holds {size:,} bytes (limit {limit:,})")
        data = self._read(self.position, size)
        self.position += _padded(size)
        if self.position > self.size:
            raise RuleError("F17", "the archive ends in the middle of an extension header")
        return data

    def _read_local(self, block: bytes, flag: bytes) -> None:
        """Read what the next member's own header is too small to say."""
        extensions = self.extensions
        if flag in extensions.flags:
            raise RuleError(
                "F19" if flag in _GNU_KEYS else "F3", "a member has two headers of one kind"
            )
        extensions.flags.add(flag)
        if flag in _GNU_KEYS:
            self.families.add("GNU")
            text = self._read_extension(block, _GNU_BYTES)
            extensions.gnu[_GNU_KEYS[flag]] = tar_headers.trim_text(text)
        else:
            self.families.add("pax")
            extensions.pax = pax.parse_pax(self._read_extension(block, _PAX_BYTES))

    def _read_global(self, block: bytes) -> None:
        self.families.add("pax")
        data = self._read_extension(block, _PAX_BYTES)
        self.extensions.globals += 1
        self.global_bytes += len(data)
        if self.global_bytes > _GLOBAL_BYTES or self.extensions.globals > _GLOBALS_PER_MEMBER:
            raise RuleError("F19", "the archive has too many global pax headers")
        pax.refuse_global(pax.parse_pax(data))

    def _read_member(self, block: bytes) -> None:
        extensions, self.extensions = self.extensions, _Extensions()
        index = len(self.members) + 1
        raw = extensions.choose(b"path")
        name = _decode(tar_headers.parse_name(block) if raw is None else raw)
        subject = Subject(index=index, name=name)
        kind = tar_headers.parse_kind(block, subject)
        size = self._measure(block, extensions, subject)
        member = Member(
            index=index,
            name=name,
            kind=_judge_kind(kind, name, size, subject),
            offset=self.position,
            size=size,
            target=_read_target(block, extensions, kind),
            executable=tar_headers.is_executable(block, subject),
            mtime=self._read_mtime(block, extensions, subject),
        )
        self.members.append(member)
        self.position += _padded(size)

    def _measure(self, block: bytes, extensions: _Extensions, subject: Named) -> int:
        """Return how much content a member has: what pax says, else what the header says."""
        size = stated = tar_headers.parse_size(block, subject)
        if b"size" in extensions.pax:
            size = pax.parse_size(extensions.pax[b"size"], subject)
            if size != stated and stated and size < _OCTAL_CEILING:
                raise RuleError("F2", f"has two sizes, {stated:,} and {size:,}", subject)
        if size < 0:
            raise RuleError("F16", "declares a negative size", subject)
        if self.position + _padded(size) > self.size:
            raise RuleError("F17", f"declares {size:,} bytes, more than the archive holds", subject)
        if size > self.limits.member_bytes:
            limit = f"{self.limits.member_bytes:,}"
            raise RuleError("X3", f"declares {size:,} bytes (limit {limit})", subject)
        return size

    def _read_mtime(self, block: bytes, extensions: _Extensions, subject: Named) -> float | None:
        stated = tar_headers.parse_mtime(block, subject)
        if b"mtime" not in extensions.pax:
            return stated
        mtime = pax.parse_time(extensions.pax[b"mtime"])
        if mtime is None:
            text = f"{subject} has a time that is no date; it gets the present one"
            self.notes.append(Note(rule="T3", text=text, is_warning=False))
        return mtime


def _judge_kind(kind: Kind, name: str, size: int, subject: Named) -> Kind:
    if kind is not Kind.FILE and size:
        rule = "S5" if kind is Kind.DIRECTORY else "L18"
        raise RuleError(rule, f"declares {size:,} bytes of content, and is no file", subject)
    if kind is not Kind.FILE or not name.endswith("/"):
        return kind
    if size:
        raise RuleError("N10", "is a file with the name of a directory", subject)
    return Kind.DIRECTORY


def _read_target(block: bytes, extensions: _Extensions, kind: Kind) -> str:
    if kind not in {Kind.SYMLINK, Kind.HARDLINK}:
        return ""
    raw = extensions.choose(b"linkpath")
    return _decode(tar_headers.parse_target(block) if raw is None else raw)


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
