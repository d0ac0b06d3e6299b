"""The profile of `sandbox-exec` for a policy, on macOS: not run on macOS.

Apple calls the program deprecated, and there is no other way for a process without rights. It has
no namespaces: other processes and the names of files are seen, contents are not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wheelforge.hooks.sandbox.policy import SandboxPolicy

PROGRAM = "/usr/bin/sandbox-exec"
_BEGINNING = """\
(version 1)
(deny default)
(import "system.sb")
(allow process-fork)
(allow sysctl-read)
(allow signal (target same-sandbox))
(allow file-read-metadata)
(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))"""
"""Nothing but what the loader of programs needs; then each rule allows more."""
_READS = ("process-exec", "file-read*", "file-map-executable")


def write_profile(policy: SandboxPolicy) -> str:
    """Return the profile; its paths are those behind all links, as the kernel sees them."""
    places = _list_places((*policy.readable, *policy.writable))
    rules = [_BEGINNING, *(_allow(name, places) for name in _READS)]
    rules.append(_allow("file-write*", _list_places(policy.writable)))
    rules += ["(allow network*)"] if policy.network else []
    return "\n".join(filter(None, rules)) + "\n"


def _list_places(paths: Iterable[Path]) -> list[str]:
    return list(dict.fromkeys(os.path.realpath(path) for path in paths))


def _allow(operation: str, places: list[str]) -> str:
    if not places:
        return ""
    lines = "".join(f"\n  (subpath {_quote(each)})" for each in places)
    return f"(allow {operation}{lines})"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
