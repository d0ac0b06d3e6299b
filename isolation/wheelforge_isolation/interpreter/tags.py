"""Compatibility tags of an interpreter, made of the facts that its probe has reported.

The functions of `packaging` make the tags, in this process, for the other Python. For macOS and
Android they list the platforms as well. For Linux they look at the running process only, so the
platforms of glibc and musl are listed here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from packaging import tags

_UNAMBIGUOUS = frozenset({
    *("x86_64", "aarch64", "ppc64", "ppc64le", "s390x", "loongarch64", "riscv64")
})
"""The machines on which all programs have the ABI that manylinux means."""
_GLIBC_MAJOR = 2
_OLDEST_GLIBC_MINOR, _OLDEST_GLIBC_MINOR_ON_X86 = 17, 5
_LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""By the minor version of glibc 2."""
_AS_32_BIT = {"x86_64": "i686", "aarch64": "armv8l"}
_MUSL_VERSION = re.compile(r"musl.*\nVersion (\d+)\.(\d+)", re.ASCII)
_ABI_PARTS = {"pypy": 2, "graalpy": 3}
"""How many parts of a SOABI name the ABI; the rest names the platform."""
_ELF_START = struct.Struct("<4sBB12xH16xI")
"""Magic, class, byte order, machine and flags of a 32-bit program."""
_ELF_32_LITTLE = (b"\x7fELF", 1, 1)
_ELF_I386, _ELF_ARM = 3, 40
_ARM_HARD_FLOAT, _ARM_HARD_FLOAT_MASK = 0x05000400, 0xFF000400


def list_tags(facts: dict[str, Any]) -> list[str]:
    """Return the tags of compatible wheels, best first."""
    version, platforms = facts["version_info"], list(_list_platforms(facts))
    name: str = facts["implementation"]
    version_nodot: str = facts["version_nodot"] or "{}{}".format(*version)
    interpreter = tags.INTERPRETER_SHORT_NAMES.get(name, name) + version_nodot
    if name == "cpython":
        own = tags.cpython_tags(version, _list_abis(facts), platforms)
    else:
        own = tags.generic_tags(interpreter, _list_abis(facts), platforms)
    pure = {"cpython": interpreter, "pypy": "pp3"}.get(name)
    return [str(tag) for tag in (*own, *tags.compatible_tags(version, pure, platforms))]


def _list_abis(facts: dict[str, Any]) -> list[str]:
    if facts["implementation"] == "cpython":
        threads = "t" if facts["is_free_threaded"] else ""
        release = "cp{}{}".format(*facts["version_info"]) + threads
        # A debug build loads the extension modules of others, too.
        return [f"{release}d", release] if facts["is_debug"] else [release]
    abi = str(facts["soabi"])
    for name, count in _ABI_PARTS.items():
        if abi.startswith(name):
            abi = "-".join(abi.split("-")[:count])
    return [_normalize(abi)]


def _normalize(text: str) -> str:
    return re.sub(r"[-. ]", "_", text)


def _list_platforms(facts: dict[str, Any]) -> Iterator[str]:
    platform = _normalize(facts["platform"])
    system, _, machine = platform.partition("_")
    if facts["macos"]:
        version, machine = facts["macos"]
        numbers = [int(number) for number in version.split(".")[:2]]
        yield from tags.mac_platforms((numbers[0], numbers[1]), machine)
    elif facts["android_api_level"]:
        yield from tags.android_platforms(facts["android_api_level"], platform.split("_", 2)[-1])
    elif system == "linux":
        yield from _list_linux_platforms(facts, machine)
    else:
        yield platform


def _list_linux_platforms(facts: dict[str, Any], machine: str) -> Iterator[str]:
    if facts["is_32_bit"]:
        machine = _AS_32_BIT.get(machine, machine)
    machines = ["armv8l", "armv7l"] if machine == "armv8l" else [machine]
    yield from (f"linux_{each}" for each in machines)
    if _has_manylinux_abi(facts, machines):
        for each in machines:
            yield from _list_manylinux(facts, each)
    # The releases of musl up to the one whose loader says so.
    if version := _MUSL_VERSION.match(facts["musl_loader"]):
        for each in machines:
            for minor in range(int(version[2]), -1, -1):
                yield f"musllinux_{version[1]}_{minor}_{each}"


def _list_manylinux(facts: dict[str, Any], machine: str) -> Iterator[str]:
    """Yield the platforms of the glibc releases up to that of the Python, with older names."""
    major, newest = facts["glibc_version"] or (0, 0)
    is_x86 = machine in {"x86_64", "i686"}
    oldest = _OLDEST_GLIBC_MINOR_ON_X86 if is_x86 else _OLDEST_GLIBC_MINOR
    for minor in range(newest, oldest - 1, -1) if major == _GLIBC_MAJOR else ():
        platform = f"manylinux_2_{minor}_{machine}"
        if platform not in facts["refused_platforms"]:
            yield platform
            if minor in _LEGACY_MANYLINUX:
                yield f"{_LEGACY_MANYLINUX[minor]}_{machine}"


def _has_manylinux_abi(facts: dict[str, Any], machines: list[str]) -> bool:
    """Return whether the program has the calling conventions that manylinux means by a machine."""
    if not {"armv7l", "i686"} & set(machines):
        return not _UNAMBIGUOUS.isdisjoint(machines)
    header = bytes.fromhex(facts["elf_header"])
    if len(header) < _ELF_START.size:
        return False
    *kind, machine, flags = _ELF_START.unpack_from(header)
    if "i686" in machines:
        return (*kind, machine) == (*_ELF_32_LITTLE, _ELF_I386)
    is_hard_float = flags & _ARM_HARD_FLOAT_MASK == _ARM_HARD_FLOAT
    return (*kind, machine) == (*_ELF_32_LITTLE, _ELF_ARM) and is_hard_float
