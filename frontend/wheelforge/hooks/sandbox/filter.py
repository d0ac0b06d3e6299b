"""The filter of system calls of a sandbox: a program for seccomp, as the kernel runs it.

It refuses calls that no build needs and that reach past namespaces and Landlock: keyrings,
io_uring, programs in the kernel, further namespaces and mounts, sockets to the hypervisor. A
refused call is an error like any other (`EACCES`), so that programs take another way; `clone3`,
whose arguments no filter can see, is said to be missing, and C libraries call `clone` then.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_ENDS = {"allow": 0x7FFF0000, "deny": 0x50000 | errno.EACCES, "missing": 0x50000 | errno.ENOSYS}
_NUMBER_AT, _MACHINE_AT = 0, 4
_ARGUMENTS_AT = (16, 24, 32)
"""The lower half of each of them, on machines that store it first."""
_NUMBERS_OF_OTHERS = 0x40000000
"""From here on x86-64 has the same calls under other numbers."""
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020000
_NEW_TIME = 0x80
"""A flag of `unshare` alone; for `clone` it is a part of the number of a signal."""
_PUSH_INPUT, _PASTE = 0x5412, 0x541C
"""TIOCSTI and TIOCLINUX, which type into a terminal."""
_UNIX, _INTERNET, _INTERNET_6, _NETLINK = 1, 2, 10, 16
_STREAM, _KIND_BITS, _TCP_PROTOCOL = 1, 0xF, 6
_EVERYWHERE = (*range(425, 434), 438, 442)
"""io_uring; mounts by descriptors, from open_tree to fspick; pidfd_getfd; mount_setattr."""


class _Machine(NamedTuple):
    """The numbers of calls on one kind of processor."""

    name: int
    """As the kernel has it."""
    refused: tuple[int, ...]
    """add_key, request_key, keyctl; perf_event_open, open_by_handle_at, bpf, userfaultfd; mount,
    umount2, pivot_root, setns; syslog."""
    socket: int
    ioctl: int
    clone: int
    unshare: int
    prlimit: int


_MACHINES = {
    "x86_64": _Machine(
        name=0xC000003E,
        refused=(248, 249, 250, 298, 304, 321, 323, 165, 166, 155, 308, 103),
        socket=41,
        ioctl=16,
        clone=56,
        unshare=272,
        prlimit=302,
    ),
    "aarch64": _Machine(
        name=0xC00000B7,
        refused=(217, 218, 219, 241, 265, 280, 282, 40, 39, 41, 268, 116),
        socket=198,
        ioctl=29,
        clone=220,
        unshare=97,
        prlimit=261,
    ),
}


class _Line(NamedTuple):
    """One instruction, and where it goes on: at a named line, at an end, or at the next one."""

    kind: int
    value: int
    yes: str = ""
    no: str = ""
    name: str = ""


def write_filter(machine: str, *, only_tcp: bool) -> bytes:
    """Return the program for a ``machine`` as `uname` calls it; nothing if it is not known.

    With ``only_tcp`` sockets are those of TCP, which Landlock judges, and those that ask the
    kernel; pairs of sockets stay. Without, they are those that stay inside a network namespace.
    """
    found = _MACHINES.get(machine)
    return b"" if found is None else _pack(_list_lines(found, only_tcp=only_tcp))


def _list_lines(machine: _Machine, *, only_tcp: bool) -> list[_Line]:
    return [
        _Line(_LOAD, _MACHINE_AT),
        _Line(_EQUAL, machine.name, no="deny"),
        _Line(_LOAD, _NUMBER_AT),
        _Line(_AT_LEAST, _NUMBERS_OF_OTHERS, yes="deny"),
        *(_Line(_EQUAL, number, yes="deny") for number in (*machine.refused, *_EVERYWHERE)),
        _Line(_EQUAL, _CLONE3, yes="missing"),
        _Line(_EQUAL, machine.ioctl, yes="ioctl"),
        _Line(_EQUAL, machine.clone, yes="clone"),
        _Line(_EQUAL, machine.unshare, yes="unshare"),
        *([_Line(_EQUAL, machine.prlimit, yes="prlimit")] if only_tcp else []),
        _Line(_EQUAL, machine.socket, no="allow"),
        _Line(_LOAD, _ARGUMENTS_AT[0]),
        _Line(_EQUAL, _NETLINK, yes="allow"),
        *(_list_rules_of_tcp() if only_tcp else _list_rules_of_namespaces()),
        _Line(_LOAD, _ARGUMENTS_AT[1], name="ioctl"),
        _Line(_EQUAL, _PUSH_INPUT, yes="deny"),
        _Line(_EQUAL, _PASTE, yes="deny", no="allow"),
        _Line(_LOAD, _ARGUMENTS_AT[0], name="clone"),
        _Line(_ANY_BIT, _NEW_NAMESPACES, yes="deny", no="allow"),
        _Line(_LOAD, _ARGUMENTS_AT[0], name="unshare"),
        _Line(_ANY_BIT, _NEW_NAMESPACES | _NEW_TIME, yes="deny", no="allow"),
        # Its own limits a process may change; those of others outside are seen by no rule.
        _Line(_LOAD, _ARGUMENTS_AT[0], name="prlimit"),
        _Line(_EQUAL, 0, yes="allow", no="deny"),
    ]


def _list_rules_of_tcp() -> list[_Line]:
    return [
        _Line(_EQUAL, _INTERNET, yes="kind"),
        _Line(_EQUAL, _INTERNET_6, no="deny"),
        _Line(_LOAD, _ARGUMENTS_AT[1], name="kind"),
        _Line(_AND, _KIND_BITS),
        _Line(_EQUAL, _STREAM, no="deny"),
        _Line(_LOAD, _ARGUMENTS_AT[2]),
        _Line(_EQUAL, _TCP_PROTOCOL, yes="allow"),
        _Line(_EQUAL, 0, yes="allow", no="deny"),
    ]


def _list_rules_of_namespaces() -> list[_Line]:
    return [
        _Line(_EQUAL, _UNIX, yes="allow"),
        _Line(_EQUAL, _INTERNET, yes="allow"),
        _Line(_EQUAL, _INTERNET_6, yes="allow", no="deny"),
    ]


def _pack(lines: list[_Line]) -> bytes:
    lines = [*lines, *(_Line(_RETURN, value, name=name) for name, value in _ENDS.items())]
    places = {line.name: place for place, line in enumerate(lines) if line.name}
    code = b""
    for place, line in enumerate(lines, start=1):
        yes, no = (places[name] - place if name else 0 for name in (line.yes, line.no))
        code += struct.pack("=HBBI", line.kind, yes, no, line.value)
    return code
