"""Run by the Python that is to be described: prints facts about it as one line of JSON.

Any CPython or PyPy from 3.9 on executes this file, without `site`. It imports nothing but the
standard library, so that no package has to support that Python. `tags.py` makes tags of the facts,
in the process that has started the probe.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import struct
import sys
import sysconfig
from types import ModuleType
from typing import Any, BinaryIO

_WITHIN: tuple[str, ...] = ("base", "platbase", "installed_base", "installed_platbase")
_SETTINGS = "pyvenv.cfg"
_STEM = "python" if sys.implementation.name == "cpython" else sys.implementation.name
_NAMES = (_STEM + "{}.{}".format(*sys.version_info), _STEM + "3", _STEM)
_ELF_HEADER_BYTES = 64
_ELF_LAYOUTS = {1: (28, 42, "I", "II8xI"), 2: (32, 54, "Q", "I4xQ16xQ")}
"""For 32 and 64 bits: where the offset of the segments stands, where their size and number, and
what the offset and a segment look like."""
_ELF_LOADER_SEGMENT = 3
_MANYLINUX_MACHINES = (
    *("x86_64", "i686", "aarch64", "armv8l", "armv7l"),
    *("ppc64", "ppc64le", "s390x", "loongarch64", "riscv64"),
)
_LEGACY_MANYLINUX = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
"""By the minor version of glibc 2."""


def main() -> None:
    """Print the facts after a mark that separates them from any other output."""
    settings = enter_environment()
    facts = {
        **describe_python(),
        **describe_build(),
        **describe_system(),
        "markers": describe_markers(),
        "base_executable": to_utf8(find_base_executable(settings.get("home", ""))),
        "refused_platforms": list_refused_platforms(settings),
    }
    sys.stdout.write(f"\n{sys.argv[2]}{json.dumps(facts)}\n")


def to_utf8(path: str) -> str:
    """Return ``path`` as UTF-8 decodes it: in the C locale, PyPy decodes paths as ASCII."""
    return os.fsencode(path).decode("utf-8", sys.getfilesystemencodeerrors())


def enter_environment() -> dict[str, str]:
    """Set the prefix of a virtual environment, as `site` does, and return its settings."""
    directory = os.path.dirname(os.path.abspath(sys.executable))
    for root in (directory, os.path.dirname(directory)):
        if os.path.isfile(os.path.join(root, _SETTINGS)):
            # Not in a virtual environment's `bin`: its prefix is the directory above.
            sys.prefix = sys.exec_prefix = os.path.dirname(directory)
            with open(os.path.join(root, _SETTINGS), "rb") as file:
                pairs = [os.fsdecode(line).partition("=") for line in file]
            return {key.strip().lower(): value.strip() for key, _, value in pairs}
    return {}


def find_base_executable(home: str) -> str:
    """Return the executable that environments are made from, itself in none, and no link."""
    executable: str = getattr(sys, "_base_executable", "") or sys.executable
    # Before 3.11, a Python in a virtual environment takes itself for its base, as PyPy does.
    if home and (executable == sys.executable or not os.path.isfile(executable)):
        names = (_NAMES[0], os.path.basename(sys.executable), *_NAMES[1:])
        paths = [os.path.join(home, name) for name in names]
        executable = next(filter(os.path.isfile, paths), executable)
    # A link may lead to a Python from where it would not find its own library again.
    return os.path.realpath(executable) if os.name == "posix" else executable


def describe_python() -> dict[str, Any]:
    """Return the paths, names and versions of this Python."""
    return {
        "executable": to_utf8(sys.executable),
        "prefix": to_utf8(sys.prefix),
        "base_prefix": to_utf8(sys.base_prefix),
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "version_info": sys.version_info[:2],
        "version_nodot": sysconfig.get_config_var("py_version_nodot"),
        "build": sys.version,
    }


def describe_markers() -> dict[str, str]:
    """Return the environment that markers are evaluated in."""
    *numbers, level, serial = sys.implementation.version
    suffix = "" if level == "final" else f"{level[0]}{serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": ".".join(map(str, numbers)) + suffix,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "platform_python_implementation": platform.python_implementation(),
        "python_version": "{}.{}".format(*sys.version_info),
        "sys_platform": sys.platform,
    }


def describe_build() -> dict[str, Any]:
    """Return how this Python was built, and the paths of its environments."""
    from importlib.machinery import EXTENSION_SUFFIXES

    suffix = str(sysconfig.get_config_var("EXT_SUFFIX") or "")
    is_debug = bool(sysconfig.get_config_var("Py_DEBUG"))
    if sysconfig.get_config_var("Py_DEBUG") is None:  # as always on Windows
        is_debug = hasattr(sys, "gettotalrefcount") or "_d.pyd" in EXTENSION_SUFFIXES
    return {
        "soabi": sysconfig.get_config_var("SOABI") or suffix.strip(".").rpartition(".")[0],
        "extension_suffix": suffix,
        "abiflags": getattr(sys, "abiflags", ""),
        "is_free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "is_debug": is_debug,
        "platform": sysconfig.get_platform(),
        "include": to_utf8(sysconfig.get_path("include")),
        "scheme": describe_scheme(),
        "build_details": read_build_details(),
    }


def describe_scheme() -> dict[str, str]:
    """Return the paths of a virtual environment, relative to its root."""
    names = [name for name in ("venv", os.name) if name in sysconfig.get_scheme_names()]
    places: dict[str, Any] = dict.fromkeys(_WITHIN, sys.prefix)
    paths = sysconfig.get_paths((*names, "posix_prefix")[0], vars=places)
    kinds = ("purelib", "platlib", "scripts", "data")
    scheme = {kind: os.path.relpath(paths[kind], sys.prefix) for kind in kinds}
    scheme["headers"] = "include/site/python{}.{}".format(*sys.version_info)
    return {kind: path.replace(os.sep, "/") for kind, path in scheme.items()}


def read_build_details() -> dict[str, Any] | None:
    """Return the ``build-details.json`` of PEP 739, which is there from Python 3.14 on."""
    directory = sysconfig.get_path("stdlib")
    try:
        # Debian adds the platform to the name.
        names = [name for name in os.listdir(directory) if name.startswith("build-details.")]
        with open(os.path.join(directory, min(names)), encoding="utf-8") as file:
            details: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return details


def describe_system() -> dict[str, Any]:
    """Return the system as this Python sees it: machine, kernel, C library."""
    system, api_level = platform.system(), None
    if sys.platform == "android":
        api_level = platform.android_ver().api_level
    return {
        "is_32_bit": sys.maxsize <= 1 << 32,
        "glibc_version": read_glibc_version(),
        **(describe_program() if system == "Linux" else {"musl_loader": "", "elf_header": ""}),
        "macos": platform.mac_ver()[::2] if system == "Darwin" else None,
        "android_api_level": api_level,
    }


def read_glibc_version() -> list[int] | None:
    """Return the version of glibc that this Python runs with, if it runs with glibc."""
    try:
        _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        major, minor = version.split(".")[:2]
        return [int(major), int(minor.partition("-")[0])]
    except (AttributeError, OSError, ValueError):
        return None


def describe_program() -> dict[str, str]:
    """Return the start of this ELF program, and the message of its loader if that is musl's."""
    header, loader = "", ""
    errors = contextlib.suppress(OSError, IndexError, struct.error)
    with errors, open(sys.executable, "rb") as file:
        # In hexadecimal: it tells 32-bit ABIs apart.
        header = file.read(_ELF_HEADER_BYTES).hex()
        file.seek(0)
        loader = find_loader(file)
    message = ""
    if "musl" in loader:
        import subprocess

        done = subprocess.run([loader], stderr=subprocess.PIPE, check=False)
        message = done.stderr.decode("ascii", "replace")
    return {"musl_loader": message, "elf_header": header}


def find_loader(file: BinaryIO) -> str:
    """Return the path of the dynamic loader that an ELF program names."""
    header = file.read(_ELF_HEADER_BYTES)
    order = "<" if header[5] == 1 else ">"
    offset_at, sizes_at, offset_type, segment = _ELF_LAYOUTS.get(header[4], _ELF_LAYOUTS[2])
    (start,) = struct.unpack_from(order + offset_type, header, offset_at)
    size, count = struct.unpack_from(f"{order}HH", header, sizes_at)
    for number in range(count):
        file.seek(start + number * size)
        kind, offset, length = struct.unpack(
            order + segment, file.read(struct.calcsize(order + segment))
        )
        if kind == _ELF_LOADER_SEGMENT:
            file.seek(offset)
            return os.fsdecode(file.read(length).rstrip(b"\0"))
    return ""


def list_refused_platforms(settings: dict[str, str]) -> list[str]:
    """Return the manylinux platforms that this Python's owner has forbidden, as PEP 600 allows."""
    import site

    prefixes = [sys.prefix]
    if settings.get("include-system-site-packages", "").lower() == "true":
        prefixes.append(sys.base_prefix)
    sys.path += site.getsitepackages(prefixes)
    try:
        policy = __import__("_manylinux")
    except ImportError:
        return []
    glibc = read_glibc_version() or [2, -1]
    return [
        f"manylinux_2_{minor}_{machine}"
        for minor in range(glibc[1] + 1)
        for machine in _MANYLINUX_MACHINES
        if not is_allowed(policy, minor, machine)
    ]


def is_allowed(policy: ModuleType, minor: int, machine: str) -> bool:
    """Return whether the module ``policy`` allows wheels for glibc 2.``minor``."""
    verdict = None
    if hasattr(policy, "manylinux_compatible"):
        verdict = policy.manylinux_compatible(2, minor, machine)
    elif minor in _LEGACY_MANYLINUX:
        verdict = getattr(policy, f"{_LEGACY_MANYLINUX[minor]}_compatible", None)
    return verdict is None or bool(verdict)


if __name__ == "__main__":
    main()
