"""Wheels that break a rule: each with the rule, and with words of the refusal."""

import struct
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

import pytest

from tests.support.archives import ZipEnd, ZipMember, zipped, zipped_link
from tests.support.wheels import (
    DATA,
    DIST_INFO,
    METADATA,
    RECORD,
    Counter,
    Draft,
    added,
    entry_points,
    replaced,
    row,
)
from wheelforge_isolation import Limits

MODULE = b"print('demo')\n"
SMALL = Limits(total_bytes=100, member_bytes=1000, members=8)


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(place=tmp_path)


@dataclass(frozen=True, slots=True)
class Evil:
    """A wheel that must be refused, under which rule, and what the message must say."""

    rule: str
    says: str
    wheel: Draft


def data(**files: bytes) -> Draft:
    """Return a wheel with files in its ``.data``; ``__`` stands for a slash."""
    return Draft(files={f"{DATA}/{path.replace('__', '/')}": files[path] for path in files})


def stray(*members: ZipMember) -> Draft:
    """Return a wheel with more members, of which RECORD does not know."""
    return Draft(members=members)


def wheel_file(text: bytes) -> Draft:
    return Draft(files={f"{DIST_INFO}/WHEEL": text})


def metadata(text: bytes) -> Draft:
    return Draft(files={f"{DIST_INFO}/METADATA": text})


def without(*paths: str) -> Draft:
    return Draft(without=frozenset(paths))


def script(name: str, target: str = "demo:main") -> Draft:
    return entry_points(f"[console_scripts]\n{name} = {target}\n")


HASH = row("demo.py", MODULE).split(",")[1]
NEXT_FORMAT = b"Wheel-Version: 2.0\nTag: py3-none-any\n"

EVIL = {
    "no RECORD": Evil("W1", "has no", without(RECORD)),
    "RECORD is a directory": Evil("W1", "has no", replace(
        without(RECORD), files={f"{RECORD}/x": b""})),
    "a file that RECORD does not list": Evil("W2", "`evil.py` is in the wheel", stray(
        zipped("evil.py"))),
    "a RECORD without itself": Evil("W2", "RECORD` is in the wheel", Draft(
        rows=itemgetter(slice(-1)))),
    "a listed file that is not there": Evil("W2", "lists `gone.py`", Draft(
        rows=added("gone.py,sha256=x,1", "too.py,sha256=x,1"))),
    "a listed directory": Evil("W2", "lists `demo`", Draft(
        files={"demo/a.py": b""}, rows=added("demo/,,"))),
    "a wrong hash": Evil("W3", "`demo.py` has sha256", Draft(
        rows=replaced(HASH, HASH.swapcase().replace("SHA", "sha")))),
    "a hash cut short": Evil("W3", "`demo.py` has sha256", Draft(rows=replaced(HASH, HASH[:-1]))),
    "a wrong size": Evil("W3", "has 14 bytes, and RECORD says `15`", Draft(
        rows=replaced(",14", ",15"))),
    "a negative size": Evil("W4", "no plain number", Draft(rows=replaced(",14", ",-14"))),
    "no hash": Evil("W3", "has no hash", Draft(rows=replaced(f"{HASH},14", ",14"))),
    "md5": Evil("W3", "only a `md5` hash", Draft(algorithm="md5")),
    "sha1": Evil("W3", "only a `sha1` hash", Draft(algorithm="sha1")),
    "a wrong hash of RECORD itself": Evil("W3", "RECORD` has sha256", Draft(
        rows=replaced("RECORD,,", f"RECORD,{HASH},"))),
    "an absolute row": Evil("W4", "absolute path `/demo.py`", Draft(
        rows=replaced("demo.py", "/demo.py"))),
    "a row with ..": Evil("W4", "'..' component", Draft(rows=added("../evil.py,,"))),
    "a row with a backslashed ..": Evil("W4", "'..' component", Draft(rows=added("..\\evil.py,,"))),
    "two rows for one file": Evil("W4", "`demo.py` twice", Draft(
        rows=added(row("./demo.py", MODULE)))),
    "a row without a path": Evil("W4", "`path` cannot be empty", Draft(rows=added(",,"))),
    "a row of two columns": Evil("W4", "got 2", Draft(rows=added("a,b"))),
    "a row of four columns": Evil("W4", "got 4", Draft(rows=added("a,,,"))),
    "a size that is no number": Evil("W4", "no plain number", Draft(rows=replaced(",14", ",many"))),
    "a hash that is none": Evil("W4", "does not follow the required format", Draft(
        rows=replaced("sha256=", "sha256"))),
    "an unknown hash": Evil("W4", "invalid hash algorithm", Draft(
        rows=replaced("sha256", "crc32"))),
    "a row that never ends": Evil("W4", "no table", Draft(rows=added('"' + "a" * 200_000))),
    "a RECORD of no text": Evil("W4", "not UTF-8", replace(
        without(RECORD), members=(zipped(RECORD, b"\xff,,\n"),))),
    "no .dist-info": Evil("W6", "found none", Draft(dist_info="demo-1.0.egg-info")),
    "two .dist-info": Evil("W6", "`demo-2.0.dist-info`", Draft(
        files={"demo-2.0.dist-info/METADATA": b""})),
    "a second .dist-info in capitals": Evil("W6", "`EVIL-1.DIST-INFO`", Draft(
        files={"EVIL-1.DIST-INFO/METADATA": b""})),
    "a .dist-info of another name": Evil("W6", "is not of demo 1.0", Draft(
        dist_info="other-1.0.dist-info")),
    "a .dist-info of another version": Evil("W6", "is not of demo 1.0", Draft(
        dist_info="demo-1.1.dist-info")),
    "a .dist-info of no version": Evil("W6", "is not of demo 1.0", Draft(
        dist_info="demo.dist-info")),
    "an endless size": Evil("W4", "no plain number", Draft(
        rows=replaced(",14", "," + "1" * 4300))),
    "a size beyond all numbers": Evil("W4", "no plain number", Draft(
        rows=replaced(",14", "," + "1" * 5000))),
    "a .dist-info that is a file": Evil("W6", "not a directory", Draft(
        files={DIST_INFO: b""}, without=frozenset(
            f"{DIST_INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD")))),
    "another distribution in .data": Evil("W6", "another distribution", data(
        **{"purelib__evil-1.dist-info__METADATA": b""})),
    "no METADATA": Evil("W7", "has no", without(f"{DIST_INFO}/METADATA")),
    "METADATA of another name": Evil("W7", "is about `evil 1.0`", metadata(
        METADATA.replace(b"demo", b"evil"))),
    "METADATA of another version": Evil("W7", "is about `demo 1.1`", metadata(
        METADATA.replace(b"1.0", b"1.1"))),
    "METADATA of no version": Evil("W7", "0 times the field Version", metadata(b"Name: demo\n")),
    "METADATA of an odd version": Evil("W7", "is about `demo newest`", metadata(
        b"Name: demo\nVersion: newest\n")),
    "METADATA of an endless version": Evil("W7", "is about", metadata(
        b"Name: demo\nVersion: " + b"1" * 5000)),
    "METADATA of two names": Evil("W7", "2 times the field Name", metadata(
        b"Name: evil\n" + METADATA)),
    "no WHEEL": Evil("W8", "has no", without(f"{DIST_INFO}/WHEEL")),
    "a wheel of the next format": Evil("W8", "version 2.0", wheel_file(NEXT_FORMAT)),
    "a wheel of no format": Evil("W8", "no version", wheel_file(b"Tag: py3-none-any\n")),
    "a wheel of an odd format": Evil("W8", "no version", wheel_file(b"Wheel-Version: one\n")),
    "an unknown scheme": Evil("W10", "is no scheme", data(stdlib__os=b"")),
    "an unknown scheme without files": Evil("W10", "is no scheme", stray(
        zipped(f"{DATA}/stdlib/"))),
    "a file in no scheme": Evil("W10", "in no scheme", data(evil=b"")),
    "a file in place of a scheme": Evil("W10", "in no scheme", data(scripts=b"")),
    "another wheel's .data": Evil("W10", "that is not `demo-1.0.data`", Draft(
        files={"evil-1.0.data/purelib/evil.py": b""})),
    "a directory among the scripts": Evil("W11", "directory", data(scripts__deep__run=b"")),
    "an empty directory among the scripts": Evil("W11", "directory", stray(
        zipped(f"{DATA}/scripts/a/"))),
    "a link among the scripts": Evil("Z13", "is a link", stray(
        zipped_link(f"{DATA}/scripts/run", "/bin/sh"))),
    "a script called python": Evil("W13", "name of an interpreter", data(scripts__python=b"")),
    "a script called Python3.exe": Evil("W13", "name of an interpreter", data(
        **{"scripts__Python3.exe": b""})),
    "data in place of the interpreter": Evil("W13", "name of an interpreter", data(
        **{"data__bin__python3.12": b""})),
    "an entry point that climbs": Evil("W13", "`../evil`", script("../evil")),
    "an entry point that is a path": Evil("W13", "`a/b`", script("a/b")),
    "an absolute entry point": Evil("W13", "`/bin/sh`", script("/bin/sh")),
    "an entry point with a backslash": Evil("W13", r"`a\b`", script(r"a\b")),
    "an entry point called ..": Evil("W13", "`..`", script("..")),
    "an entry point with an escape": Evil("W13", r"`a\x1b[0m`", script("a\x1b[0m")),
    "an entry point called python": Evil("W13", "name of an interpreter", script("python")),
    "an entry point called pythonw3.13t": Evil("W13", "interpreter", script("python3.13t")),
    "a window called pypy": Evil("W13", "name of an interpreter", entry_points(
        "[gui_scripts]\npypy3.exe = demo:main\n")),
    "an entry point to a module": Evil("W13", "module:attribute", script("run", "demo")),
    "an entry point to code": Evil("W13", "module:attribute", script("run", "os;x:main()")),
    "an entry point to a gap": Evil("W13", "no import can name", script("run", "demo.:main")),
    "an entry point to a number": Evil("W13", "no import can name", script("run", "demo:1")),
    "one entry point twice": Evil("W13", "cannot be read", entry_points(
        "[console_scripts]\nrun = demo:a\nrun = demo:b\n")),
    "an entry point of no form": Evil("W13", "cannot be read", entry_points(
        "[console_scripts]\nrun\n")),
    "two files for one place": Evil("W15", "go to one place", data(**{"purelib__demo.py": b"x"})),
    "two files for one place by platlib": Evil("W15", "go to one place", data(
        **{"platlib__demo.py": b"x"})),
    "a program and a file for one place": Evil("W15", "go to one place", replace(
        data(**{"purelib__demo.py": MODULE}), programs=frozenset({"demo.py"}))),
    "two schemes for one place": Evil("W15", "go to one place", data(
        purelib__a=b"x", platlib__a=b"y")),
    "a file below a file": Evil("W15", "which is a file", data(**{"purelib__demo.py__a": b""})),
    "a file above a file": Evil("W15", "which is a file", replace(
        data(purelib__a=b""), files={f"{DATA}/purelib/a": b"", "a/b": b""})),
}  # fmt: skip


TEXT = b"text" * 30
HOSTILE: dict[str, tuple[str, str, Draft]] = {
    "climbs out": ("N2", "archive-member-escapes", stray(zipped("../evil.py"))),
    "climbs about": ("N3", "archive-member-name", stray(zipped("demo/../evil.py"))),
    "a drive": ("N4", "archive-member-name", stray(zipped("C:/evil.py"))),
    "a backslash": ("N5", "archive-member-name", stray(zipped("demo\\evil.py"))),
    "a NUL": ("N6", "archive-member-name", stray(zipped("demo.py\0.txt"))),
    "a line break": ("N7", "archive-member-name", stray(zipped("demo\n.py"))),
    "no name": ("N8", "archive-member-name", stray(zipped(""))),
    "a directory that folds": ("N13", "archive-members-clash", Draft(
        files={"Demo/a.py": b"", "demo/b.py": b""})),
    "a long name": ("N15", "archive-member-name", stray(zipped("x" * 256))),
    "a symbolic link": ("Z13", "archive-member-link", stray(zipped_link("a.py", "demo.py"))),
    "a device": ("S1", "archive-member-type", stray(zipped("null", attributes=0o020666 << 16))),
    "a fifo": ("S1", "archive-member-type", stray(zipped("pipe", attributes=0o010644 << 16))),
    "a file that is repeated": ("Z6", "archive-members-clash", stray(zipped("demo.py", b"evil"))),
    "a file below a file": ("D4", "archive-members-clash", stray(zipped("demo.py/evil.py"))),
    "a directory that is a file": ("D2", "archive-members-clash", stray(zipped("demo.py/"))),
    "two names": ("Z1", "archive-damaged", stray(zipped("a.py", local={"name": b"b.py"}))),
    "two sizes": ("Z2", "archive-damaged", stray(zipped("a.py", TEXT, local={"size": 5}))),
    "a size too large": ("Z3", "archive-damaged", stray(zipped("a.py", TEXT, size=999))),
    "a wrong checksum": ("Z4", "archive-damaged", stray(zipped("a.py", TEXT, crc=1))),
    "an overlap": ("Z5", "archive-damaged", stray(zipped("a.py", TEXT, packed=999, size=999))),
    "a member for readers from the start": ("Z7", "archive-damaged", stray(
        zipped("a.py", TEXT, is_listed=False))),
    "bytes before": ("Z8", "archive-damaged", Draft(prefix=b"PK\0\0")),
    "two ends": ("Z9", "archive-damaged", Draft(end=ZipEnd(comment=b"PK\5\6" + bytes(18)))),
    "encrypted": ("Z10", "archive-kind", stray(zipped("a.py", TEXT, flags=1))),
    "bzip2": ("Z11", "archive-kind", stray(zipped("a.py", TEXT, method=12))),
    "a second wide field": ("Z12", "archive-damaged", stray(zipped(
        "a.py", extra=struct.pack("<2H", 1, 0) * 2))),
    "a directory with content": ("Z16", "archive-damaged", stray(zipped("a/", TEXT))),
}  # fmt: skip
