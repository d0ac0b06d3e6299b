"""The filter of system calls: which calls its program lets through, on each kind of processor."""

import errno
import os
import platform
import struct
import subprocess
import sys

import pytest

from tests.support.source import PACKAGES
from wheelforge.hooks.sandbox.filter import write_filter

ALLOWED, DENIED, MISSING = 0x7FFF0000, 0x50000 | errno.EACCES, 0x50000 | errno.ENOSYS
NAMES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    "x86_64": {
        "read": 0,
        "write": 1,
        "ioctl": 16,
        "socket": 41,
        "socketpair": 53,
        "clone": 56,
        "vfork": 58,
        "execve": 59,
        "mount": 165,
        "add_key": 248,
        "openat": 257,
        "unshare": 272,
        "prlimit64": 302,
        "setns": 308,
        "bpf": 321,
        "io_uring_setup": 425,
        "clone3": 435,
    },
    "aarch64": {
        "mount": 40,
        "ioctl": 29,
        "openat": 56,
        "read": 63,
        "write": 64,
        "unshare": 97,
        "socket": 198,
        "socketpair": 199,
        "add_key": 217,
        "clone": 220,
        "execve": 221,
        "prlimit64": 261,
        "setns": 268,
        "bpf": 280,
        "io_uring_setup": 425,
        "clone3": 435,
    },
}
EVERYWHERE = {
    ("read",): ALLOWED,
    ("write",): ALLOWED,
    ("openat",): ALLOWED,
    ("execve",): ALLOWED,
    ("vfork",): ALLOWED,
    ("socketpair", 1, 1, 0): ALLOWED,
    ("clone", 17): ALLOWED,
    ("clone", 0x10000000 | 17): DENIED,
    ("clone", 0x20000 | 17): DENIED,
    ("clone3",): MISSING,
    ("unshare", 0x400): ALLOWED,
    ("unshare", 0x10000000): DENIED,
    ("unshare", 0x80): DENIED,
    ("setns",): DENIED,
    ("mount",): DENIED,
    ("add_key",): DENIED,
    ("bpf",): DENIED,
    ("io_uring_setup",): DENIED,
    ("ioctl", 1, 0x5401): ALLOWED,
    ("ioctl", 1, 0x5412): DENIED,
    ("ioctl", 1, 0xFFFFFFFF00005412): DENIED,
    ("socket", 16, 3, 0): ALLOWED,
    ("socket", 40, 1, 0): DENIED,
    ("socket", 2, 1, 6): ALLOWED,
    ("socket", 10, 0x80001, 0): ALLOWED,
}
OF_NAMESPACES = {
    ("socket", 1, 1, 0): ALLOWED,
    ("socket", 2, 2, 0): ALLOWED,
    ("prlimit64", 1): ALLOWED,
}
OF_LANDLOCK = {
    ("socket", 1, 1, 0): DENIED,
    ("socket", 2, 2, 0): DENIED,
    ("socket", 2, 1, 262): DENIED,
    ("socket", 10, 3, 58): DENIED,
    ("prlimit64", 0): ALLOWED,
    ("prlimit64", 1): DENIED,
}


def judge(program: bytes, machine: int, number: int, *arguments: int) -> int:
    """Run a program as the kernel does, and return what it says of a call."""
    lines = list(struct.iter_unpack("=HBBI", program))
    values = [*arguments, *([0] * (6 - len(arguments)))]
    facts = struct.pack("=IIQ6Q", number, machine, 0, *values)
    place = value = 0
    while True:
        kind, yes, no, operand = lines[place]
        place += 1
        if kind == 0x06:
            return int(operand)
        if kind == 0x20:
            (value,) = struct.unpack_from("=I", facts, operand)
        elif kind == 0x54:
            value &= operand
        else:
            tests = {0x15: value == operand, 0x35: value >= operand, 0x45: value & operand}
            place += yes if tests[kind] else no


@pytest.mark.parametrize("machine", NAMES)
@pytest.mark.parametrize("only_tcp", [False, True])
def test_filter__judges_calls_by_number_and_arguments(machine: str, *, only_tcp: bool) -> None:
    program = write_filter(machine, only_tcp=only_tcp)

    for call, expected in {**EVERYWHERE, **(OF_LANDLOCK if only_tcp else OF_NAMESPACES)}.items():
        name, *arguments = call
        number = NUMBERS[machine].get(str(name))
        if number is not None:
            found = judge(program, NAMES[machine], number, *map(int, arguments))
            assert found == expected, call


@pytest.mark.parametrize("machine", NAMES)
def test_filter__refuses_calls_of_another_machine(machine: str) -> None:
    program = write_filter(machine, only_tcp=False)

    assert judge(program, 0x40000003, NUMBERS[machine]["read"]) == DENIED
    assert judge(program, NAMES[machine], 0x40000000) == DENIED


def test_filter__there_is_none_for_an_unknown_machine() -> None:
    assert write_filter("riscv64", only_tcp=True) == b""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in NAMES, reason="the filter is for Linux"
)
def test_filter__threads_and_programs_start_as_ever_under_it() -> None:
    code = f"""
import errno, os, socket, subprocess, sys, threading
sys.path[:0] = {[str(PACKAGES["wheelforge"].parent), *sys.path]!r}
from wheelforge.hooks.sandbox.enter import call, filter_calls
from wheelforge.hooks.sandbox.filter import write_filter
call("prctl", "no new privileges", 38, 1, 0, 0, 0)
filter_calls(write_filter(os.uname().machine, only_tcp=False))
thread = threading.Thread(target=print)
thread.start()
thread.join()
assert subprocess.run([sys.executable, "-c", ""], close_fds=False).returncode == 0
try:
    socket.socket(38, socket.SOCK_SEQPACKET)
except OSError as error:
    assert error.errno == errno.EACCES
else:
    raise SystemExit("opened")
"""

    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), stderr=subprocess.PIPE, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")
