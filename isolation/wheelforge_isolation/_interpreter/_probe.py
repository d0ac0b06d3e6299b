"""Run inside the Python that is to be known: prints what that Python is, as one line of JSON.

It is executed by any CPython or PyPy from 3.9 on, without `site`: nothing that is installed there
runs. Being part of no package then, it imports the standard library, and the `packaging` of
whoever asks, which is named on the command line.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_WITHIN: tuple[str, ...] = ("base", "platbase", "installed_base", "installed_platbase")
_SETTINGS = "pyvenv.cfg"
_NAMES = ("python{}.{}".format(*sys.version_info), "python3", "python")


def main() -> None:
    """Print the answer after the mark that tells it from anything else that is printed."""
    mark, packaging_home = sys.argv[2:]
    settings = enter_environment()
    facts = {**describe(), **describe_build(), **describe_support(packaging_home, settings)}
    facts["base_executable"] = find_base_executable(settings.get("home", ""))
    sys.stdout.write(f"\n{mark}{json.dumps(facts)}\n")


def enter_environment() -> dict[str, str]:
    """Do what `site` would: take the prefix of a virtual environment; return its settings."""
    directory = os.path.dirname(os.path.abspath(sys.executable))
    for root in (directory, os.path.dirname(directory)):
        if os.path.isfile(os.path.join(root, _SETTINGS)):
            # Not in a virtual environment's `bin`: its prefix is the directory above.
            sys.prefix = sys.exec_prefix = os.path.dirname(directory)
            return read_settings(os.path.join(root, _SETTINGS))
    return {}


def read_settings(path: str) -> dict[str, str]:
    """Return what a virtual environment says of itself."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        pairs = [line.partition("=") for line in file]
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def find_base_executable(home: str) -> str:
    """Return the executable that environments are made from, itself in none, and no link."""
    executable: str = getattr(sys, "_base_executable", "") or sys.executable
    # Before 3.11, a Python in a virtual environment takes itself for its base.
    if home and (executable == sys.executable or not os.path.isfile(executable)):
        names = (os.path.basename(sys.executable), *_NAMES)
        paths = [os.path.join(home, name) for name in names]
        executable = next(filter(os.path.isfile, paths), executable)
    # A link may lead to a Python from where it would not find its own library again.
    return os.path.realpath(executable) if os.name == "posix" else executable


def describe() -> dict[str, Any]:
    """Return where this Python is, and what it calls itself."""
    import platform

    return {
        "executable": sys.executable,
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "version_info": sys.version_info[:2],
        "build": sys.version,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
    }


def describe_build() -> dict[str, Any]:
    """Return how this Python was built, and where its environments keep things."""
    import sysconfig

    suffix = str(sysconfig.get_config_var("EXT_SUFFIX") or "")
    is_debug = sysconfig.get_config_var("Py_DEBUG") or hasattr(sys, "gettotalrefcount")
    return {
        "soabi": sysconfig.get_config_var("SOABI") or suffix.strip(".").rpartition(".")[0],
        "extension_suffix": suffix,
        "abiflags": getattr(sys, "abiflags", ""),
        "is_free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "is_debug": bool(is_debug),
        "platform": sysconfig.get_platform(),
        "scheme": describe_scheme(),
    }


def describe_scheme() -> dict[str, str]:
    """Return the paths of a virtual environment, relative to its root."""
    import sysconfig

    names = [name for name in ("venv", os.name) if name in sysconfig.get_scheme_names()]
    places: dict[str, Any] = dict.fromkeys(_WITHIN, sys.prefix)
    paths = sysconfig.get_paths((*names, "posix_prefix")[0], vars=places)
    kinds = ("purelib", "platlib", "scripts", "data")
    scheme = {kind: os.path.relpath(paths[kind], sys.prefix) for kind in kinds}
    scheme["headers"] = "include/site/python{}.{}".format(*sys.version_info)
    return {kind: path.replace(os.sep, "/") for kind, path in scheme.items()}


def describe_support(packaging_home: str, settings: dict[str, str]) -> dict[str, Any]:
    """Return which wheels this Python takes, and what it answers to markers."""
    import site

    sys.path.append(packaging_home)
    from packaging import markers, tags

    sys.path.remove(packaging_home)
    # Where its owner may have put a module that forbids binaries made for other systems.
    prefixes = [sys.prefix]
    if settings.get("include-system-site-packages", "").lower() == "true":
        prefixes.append(sys.base_prefix)
    sys.path += site.getsitepackages(prefixes)
    return {
        "tags": [str(tag) for tag in tags.sys_tags()],
        "markers": markers.default_environment(),
    }


if __name__ == "__main__":
    main()
