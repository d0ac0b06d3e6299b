"""The words of bubblewrap for a policy: a root of its own, with no more than the policy names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.hooks.sandbox.prefix import FILTER

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
_WORDS = {"read": "--ro-bind-try", "write": "--bind"}


def write_words(
    program: str, policy: SandboxPolicy, *, disables: bool, filters: bool
) -> tuple[str, ...]:
    """Return the words; versions before 0.8 cannot ``disable`` further user namespaces."""
    words = [program, *_BEFORE]
    words += [] if policy.network else ["--unshare-net"]
    words += [_DISABLE] if disables else []
    words += ["--seccomp", FILTER] if filters else []
    for path, rule in list_mounts(policy):
        if rule == "link":
            words += ["--symlink", str(path.readlink()), str(path)]
        else:
            words += [_WORDS[rule], str(path), str(path)]
    return (*words, *_AFTER)


def list_mounts(policy: SandboxPolicy) -> Iterator[tuple[Path, str]]:
    """Yield each place with its rule, those above before those below."""
    rules = dict.fromkeys(policy.links, "link") | dict.fromkeys(policy.readable, "read")
    rules |= dict.fromkeys(policy.writable, "write")
    yield from sorted(rules.items(), key=lambda item: (len(item[0].parts), item[0]))
