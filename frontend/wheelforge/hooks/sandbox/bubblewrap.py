"""The words of bubblewrap for a policy: a root of its own, with no more than the policy names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelforge.hooks.sandbox.policy import SandboxPolicy

# ruff: file-ignore[hardcoded-temp-file]

_BEFORE = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--hostname", "localhost", "--die-with-parent", "--cap-drop", "ALL"),
    *("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"),
    *("--ro-bind", "/proc/sys", "/proc/sys", "--ro-bind-try", "/proc/irq", "/proc/irq"),
    *("--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger"),
    *("--ro-bind-try", "/proc/bus", "/proc/bus"),
)
"""The session is new already; without a terminal none can be injected into."""
_AFTER = ("--remount-ro", "/", "--chdir", "/", "--")
"""The root itself is a file system in memory, and would be writable."""
_DISABLE = "--disable-userns"
_WORDS = {"read": "--ro-bind", "write": "--bind", "hide file": "--ro-bind", "hide": "--tmpfs"}


def write_prefix(program: str, policy: SandboxPolicy, *, disables: bool = True) -> tuple[str, ...]:
    """Return the words; versions before 0.8 cannot ``disable`` further user namespaces."""
    words = [program, *_BEFORE]
    words += [] if policy.network else ["--unshare-net"]
    words += [_DISABLE] if disables else []
    for path, rule in list_mounts(policy):
        if rule == "hide":
            words += ["--perms", "0000", "--tmpfs", str(path), "--remount-ro", str(path)]
        else:
            words += [_WORDS[rule], "/dev/null" if rule == "hide file" else str(path), str(path)]
    return (*words, *_AFTER)


def list_mounts(policy: SandboxPolicy) -> Iterator[tuple[Path, str]]:
    """Yield each place with its rule, those above before those below."""
    rules = dict.fromkeys(policy.readable, "read") | dict.fromkeys(policy.writable, "write")
    for path in policy.hidden:
        rules[path] = "hide" if path.is_dir() else "hide file"
    yield from sorted(rules.items(), key=lambda item: (len(item[0].parts), item[0]))
