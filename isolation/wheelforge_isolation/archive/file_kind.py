"""Which kind of archive a file is: its name says it, and its first and last bytes must agree."""

from __future__ import annotations

from typing import IO

from wheelforge_isolation.archive import tar_headers
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.formats.file_names import OLD_SDIST, OLD_SDIST_SUFFIXES

TAR_GZ, ZIP = ".tar.gz", ".zip"
_MAGIC = {TAR_GZ: b"\x1f\x8b", ZIP: b"PK"}
_NAMES = {
    b"\x1f\x8b": "gzip",
    b"PK": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x1f\x9d": "compress",
    b"<": "HTML or XML",
}
_ZIP_END, _ZIP_END_SIZE = b"PK\5\6", 22
_MOST_TAIL = _ZIP_END_SIZE + 0xFFFF


def split_suffix(file_name: str) -> tuple[str, str]:
    """Return the stem and the suffix of an archive's name; refuse what is not unpacked here."""
    for suffix in _MAGIC:
        if file_name.lower().endswith(suffix) and len(file_name) > len(suffix):
            return file_name[: -len(suffix)], suffix
    if file_name.lower().endswith(OLD_SDIST_SUFFIXES):
        raise RuleError("F21", OLD_SDIST)
    raise RuleError("F21", "the name ends neither in .tar.gz nor in .zip")


def check_magic(source: IO[bytes], suffix: str, size: int) -> None:
    """Refuse a file that is not what its name says, or that is two things at once."""
    start = source.read(tar_headers.BLOCK)
    if not size:
        raise RuleError("F20", "the file is empty")
    if not start.startswith(_MAGIC[suffix]):
        found = (name for magic, name in _NAMES.items() if start.startswith(magic))
        raise RuleError("F21", f"the file is not {suffix[1:]} but {next(found, 'something else')}")
    source.seek(max(0, size - _MOST_TAIL))
    is_two = _is_tar(start) if suffix == ZIP else _is_zip(source.read(_MOST_TAIL))
    if is_two:
        raise RuleError("F21", "the file is a tar and a zip at once")
    source.seek(0)


def _is_tar(block: bytes) -> bool:
    try:
        return block[257:262] == b"ustar" and tar_headers.has_right_checksum(block)
    except RuleError:
        return False


def _is_zip(tail: bytes) -> bool:
    found = tail.rfind(_ZIP_END)
    comment = int.from_bytes(tail[found + 20 : found + 22], "little")
    return found >= 0 and found + _ZIP_END_SIZE + comment == len(tail)
