"""Real sdists, damaged: in the compressed file, and in what was compressed.

A case is a number, which alone decides what is damaged and how; a failure is repeated by
``python -m tests.property.mutations 1234``.
"""

import functools
import gzip
import io
import random
import sys
import tarfile
import tempfile
import traceback
import zlib
from pathlib import Path

from tests.property.arena import Arena, Outcome, TooSlowError
from tests.property.formats import BLOCK, Entry, Form, Kind, pack_zip, seal
from tests.support.corpus import DOWNLOADS
from wheelforge_isolation import Links

SMALL = [
    "pickleshare-0.7.5.tar.gz", "tomli-2.5.0.tar.gz", "cloudpickle-3.1.2.tar.gz",
    "alabaster-1.0.0.tar.gz", "docopt-0.6.2.tar.gz", "pgpdump-1.5.tar.gz", "six-1.17.0.tar.gz",
]  # fmt: skip
_LONGEST_MESSAGE = 1500
_FIELDS = [
    (0, 100), (100, 8), (108, 8), (124, 12), (136, 12), (148, 8), (156, 1), (157, 100), (257, 8),
    (345, 155),
]  # fmt: skip
"""Where a tar header keeps what, and how much of it."""
_VALUES = [
    b"\0", b"\xff", b"\x80", b" ", b"-1", b"..", b"../../x\0", b"/etc/x\0", b"C:\\x\0", b"\n",
    b"./", b"77777777777", b"\x80\0\0\0\0\0\0\0\0\0\2\0", b"\xff" * 12, b"nan", b"00000000001\0",
]  # fmt: skip
_FLAGS = b"0\x0012345677gxLKSXNZV"
_SIGNATURES = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08"]


def survive(seed: int, arena: Arena) -> str:
    """Unpack the archive of number ``seed``; return what was wrong about it, or nothing."""
    # Chance has to be repeatable here, not secret.
    chance = random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
    name, content = _damage(chance)
    links = chance.choice(list(Links))
    try:
        outcome = arena.unpack(name, content, links, is_made=chance.random() < 0.5)
    except (Exception, TooSlowError):  # ruff: ignore[blind-except]
        return traceback.format_exc()
    return _find_harm(outcome)


def _find_harm(outcome: Outcome) -> str:
    if not outcome.is_outside_unchanged:
        return "something outside the destination changed"
    if outcome.error is not None and outcome.tree:
        return f"refused ({outcome.error}), yet there are {sorted(outcome.tree)}"
    tops = {path.partition("/")[0] for path in outcome.tree}
    if outcome.unpacked is not None and tops != {outcome.unpacked.root.name}:
        return f"accepted, and there are {sorted(tops)}"
    said = str(outcome.error)
    if not said.isprintable() or len(said) > _LONGEST_MESSAGE:
        return f"the message has {len(said):,} characters: {said[:200]!r}"
    return ""


# Damage


def _damage(chance: random.Random) -> tuple[str, bytes]:
    name = chance.choice(SMALL)
    way = chance.choices([_damage_gzip, _damage_tar, _damage_zip], [1, 6, 3])[0]
    content, suffix = way(chance, name), ".zip" if way is _damage_zip else ".tar.gz"
    return name.removesuffix(".tar.gz") + suffix, content


def _damage_gzip(chance: random.Random, name: str) -> bytes:
    return _damage_bytes(chance, _read(name))


def _damage_tar(chance: random.Random, name: str) -> bytes:
    """Damage what the gzip holds, mostly where the tar says something about itself."""
    content, headers = _inflate(name)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        way = chance.choices(["header", "blocks", "bytes"], [6, 3, 1])[0]
        if way == "header":
            content = _damage_header(chance, content, chance.choice(headers))
        elif way == "blocks":
            content = _damage_blocks(chance, content)
        else:
            content = _damage_bytes(chance, content)
    return _deflate(content)


def _damage_header(chance: random.Random, content: bytes, start: int) -> bytes:
    """Put something else into one field of a header; mostly its checksum is made right again."""
    header = bytearray(content[start : start + BLOCK])
    if len(header) < BLOCK:
        return content
    offset, size = chance.choice(_FIELDS)
    if size == 1:
        value = bytes([chance.choice(_FLAGS)])
    else:
        value = chance.choice([*_VALUES, chance.randbytes(chance.randint(1, size))])[:size]
    offset += chance.choice([0, chance.randrange(size - len(value) + 1)])
    header[offset : offset + len(value)] = value
    sealed = seal(bytes(header)) if chance.random() < 0.9 else bytes(header)
    return content[:start] + sealed + content[start + BLOCK :]


def _damage_blocks(chance: random.Random, content: bytes) -> bytes:
    """Move, repeat or drop whole blocks, as a broken disk or a clever mind would."""
    start, other = (BLOCK * chance.randrange(len(content) // BLOCK + 1) for _ in range(2))
    end = start + BLOCK * chance.choice([1, 1, 2, 3, 8])
    piece = content[start:end]
    way = chance.choice(["drop", "repeat", "move", "blank"])
    if way == "drop":
        return content[:start] + content[end:]
    if way == "repeat":
        return content[:other] + piece + content[other:]
    if way == "move":
        return content[:start] + content[end:other] + piece + content[max(end, other) :]
    return content[:start] + bytes(len(piece)) + content[end:]


def _damage_zip(chance: random.Random, name: str) -> bytes:
    """Damage a zip of the same content, mostly in its headers."""
    content = _zip(name, chance.choice([Form.UNIX_ZIP, Form.STREAMED_ZIP, Form.WIDE_ZIP]))
    if chance.random() < 0.2:
        return _damage_bytes(chance, content)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        start = chance.choice(_find_all(content, chance.choice(_SIGNATURES)) or [0])
        offset = min(start + chance.randrange(60), len(content))
        width = chance.choice([1, 1, 2, 4, 8])
        value = chance.choice([bytes(width), b"\xff" * width, chance.randbytes(width)])
        content = content[:offset] + value + content[offset + width :]
    return content


def _damage_bytes(chance: random.Random, content: bytes) -> bytes:
    """Flip a few bits, cut the end off, or leave out, repeat or swap a piece."""
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    piece = content[start:end]
    way = chance.choice(["flip", "flip", "flip", "cut", "drop", "repeat", "swap", "append"])
    if way == "flip":
        return _flip(chance, content)
    results = {
        "cut": content[:end],
        "drop": content[:start] + content[end:],
        "repeat": content[:end] + piece + content[end:],
        "swap": piece + content[:start] + content[end:],
        "append": content + chance.choice([b"\0" * 600, b"\n", content, chance.randbytes(9)]),
    }
    return results[way]


def _flip(chance: random.Random, content: bytes) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 10])):
        if flipped:
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


# The parts to damage


@functools.cache
def _read(name: str) -> bytes:
    return (DOWNLOADS / name).read_bytes()


@functools.cache
def _inflate(name: str) -> tuple[bytes, list[int]]:
    """Return the tar, and where its headers are: those of members, and those before them."""
    content = gzip.decompress(_read(name))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
    starts = {start for member in members for start in (member.offset, member.offset_data - BLOCK)}
    return content, sorted(starts)


def _deflate(content: bytes) -> bytes:
    return zlib.compress(content, 1, wbits=31)


@functools.cache
def _zip(name: str, form: Form) -> bytes:
    with tarfile.open(DOWNLOADS / name) as tar:
        entries = [_describe(tar, member) for member in tar.getmembers()]
    return pack_zip(entries, form)


def _describe(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    content = tar.extractfile(member) if member.isreg() else None
    kinds = {tarfile.DIRTYPE: Kind.DIRECTORY, tarfile.SYMTYPE: Kind.SYMLINK}
    return Entry(
        kind=kinds.get(member.type, Kind.FILE),
        name=member.name + "/" * member.isdir(),
        content=content.read() if content else b"",
        target=member.linkname,
        mode=member.mode,
    )


def _find_all(content: bytes, wanted: bytes) -> list[int]:
    starts: list[int] = []
    start = content.find(wanted)
    while start >= 0:
        starts.append(start)
        start = content.find(wanted, start + 1)
    return starts


# Runs


def survive_all(seeds: range, parent: Path) -> dict[int, str]:
    """Try every number of ``seeds`` in a directory of its own; return those that went wrong."""
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        arena = Arena(root=Path(directory).resolve())
        problems = ((seed, survive(seed, arena)) for seed in seeds)
        return {seed: problem for seed, problem in problems if problem}


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        found = survive_all(range(number, number + 1), Path(tempfile.gettempdir()))
        sys.stdout.write(f"{number}: {found.get(number, 'survived')}\n")
