"""The rungs of the ladder: which of them this machine has, found out by doing, and why not higher.

A rung is tried with the policy and the words of a build, and a program that does nothing. The
answer is remembered until the machine is started anew, as is the reason where a rung is not to be
had; what an administrator changes meanwhile is seen by `wheelforge doctor`, which tries again.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import SandboxError, UsageError
from wheelforge.hooks.sandbox.bubblewrap import list_mounts, write_prefix
from wheelforge.hooks.sandbox.policy import SandboxPolicy, make_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wheelforge_isolation import JsonCache

LEVELS = ("none", "files", "tcp-off", "strict")
"""The promises, the weakest first."""
CHOICES = ("auto", "strict", "tcp-off", "none")
RUNGS = ("bubblewrap", "unshare", "landlock")
"""The highest first."""
_RUNGS_FOR = {
    "auto": RUNGS,
    "strict": ("bubblewrap", "unshare"),
    "tcp-off": ("landlock", "bubblewrap", "unshare"),
}
_LAUNCHER = str(Path(__file__).with_name("enter.py"))
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PLACES = ("/mnt", "/media", "/srv", "/boot", "/var/empty", "/run")
_PATIENCE_SECONDS = 10
_TCP_ABI = 4
_EXPLAINED = {
    "setting up uid map": "user namespaces are forbidden here; on Ubuntu by "
    "`kernel.apparmor_restrict_unprivileged_userns`, which an AppArmor profile can allow for bwrap",
    "new namespace": "user namespaces are forbidden here; in containers by"
    " their seccomp profile, else by `kernel.unprivileged_userns_clone` or "
    "`user.max_user_namespaces`",
    "unshare: ": "user namespaces are forbidden here",
    "uid_map": "user namespaces are forbidden here",
    "loopback: Failed": "a network namespace may not be configured here",
    "Failed to make / slave": "mounts are forbidden here, as in Docker by its AppArmor profile",
    "mount of /:": "mounts are forbidden here, as in Docker by its AppArmor profile",
    "mount of": "mounts are forbidden here, as in containers that mask files of /proc",
    "mounting proc": "a new /proc is forbidden here, as in containers that mask files of /proc",
}
"""Words that a program says where a rung cannot be had, and what they mean."""


class Sandbox(NamedTuple):
    """The rung that the hooks of a build stand on."""

    rung: str = "none"
    """``bubblewrap``, ``unshare``, ``landlock``, ``command`` or ``none``."""
    level: str = "none"
    """The promise: one of the `LEVELS`."""
    reasons: tuple[str, ...] = ()
    """Why no higher rung was taken."""
    words: tuple[str, ...] = ()
    """The program, or the command of the user."""
    abi: int = 0
    """The version of Landlock."""

    def __str__(self) -> str:
        """Return the level, the rung, and why it is no higher one."""
        name = f"{self.level} ({self.rung})" if self.rung not in {"none", "command"} else self.rung
        return "; ".join([name, *self.reasons])

    @property
    def identity(self) -> str:
        """The part of it on which a wheel may depend."""
        return " ".join(["command", *self.words]) if self.rung == "command" else self.level

    def reaches(self, level: str) -> bool:
        """Return whether it promises at least ``level``."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    @property
    def has_processes(self) -> bool:
        """Whether its processes may have other numbers inside than outside."""
        return self.rung not in {"none", "landlock"}

    def write_prefix(
        self, policy: SandboxPolicy, limits: Mapping[str, int] | None = None
    ) -> tuple[str, ...]:
        """Return the words before a command, which has these ``limits``."""
        before = _launch({"limits": limits}) if limits else ()
        return (*before, *self._write_words(policy))

    def _write_words(self, policy: SandboxPolicy) -> tuple[str, ...]:
        if self.rung == "bubblewrap":
            program, *more = self.words
            return write_prefix(program, policy, disables=not more)
        if self.rung == "unshare":
            mounts = [[str(path), rule] for path, rule in list_mounts(policy)]
            place = _find_place(path for path, _ in list_mounts(policy))
            return _launch({"mounts": mounts, "place": place, "network": policy.network})
        if self.rung == "landlock":
            return _launch({
                "readable": ["/proc", *map(str, _list_readable(policy))],
                "writable": list(map(str, policy.writable)),
                "network": policy.network,
                "abi": self.abi,
            })
        return self.words


def _launch(facts: Mapping[str, object]) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", _LAUNCHER, json.dumps(facts)


def _find_place(used: Iterable[Path]) -> str:
    """Return a directory where a new root can be put together, without hiding what goes into it."""
    above = {parent for path in used for parent in (path, *path.parents)}
    return next(name for name in _PLACES if Path(name).is_dir() and Path(name) not in above)


def _list_readable(policy: SandboxPolicy) -> Iterator[Path]:
    """Yield what can be read, without what is hidden: for Landlock nothing can be taken back."""
    hidden = set(policy.hidden)
    above = {parent for path in hidden for parent in path.parents}
    places = list(policy.readable)
    while places:
        place = places.pop()
        if place in above:
            places += [path for path in place.iterdir() if not path.is_symlink()]
        elif place not in hidden:
            yield place


def choose_sandbox(
    wanted: str, variables_path: str, records: JsonCache | None = None, *, required: str = "none"
) -> Sandbox:
    """Return the sandbox that is ``wanted`` by `--sandbox`; programs are those on that PATH.

    A level that is wanted and not to be had is an error, as is one below ``required``.
    """
    if wanted not in CHOICES:
        try:
            words = tuple(shlex.split(wanted))
        except ValueError:  # a quote is not closed
            words = ()
        if not words or not _find_program(words[0], variables_path):
            raise SandboxError("sandbox-command-missing", wanted)
        found = Sandbox("command", words=words)
    elif wanted == "none":
        found = Sandbox()
    else:
        found = _climb(wanted, variables_path, records)
    if required not in LEVELS:
        reason = f"`{required}` is none of {', '.join(LEVELS)}"
        raise UsageError("option-invalid", "--require-sandbox", reason)
    least = wanted if wanted in {"strict", "tcp-off"} else "none"
    for level in (least, required):
        if not found.reaches(level):
            reason = "; ".join(found.reasons) or f"`--sandbox {wanted}` was asked for"
            raise SandboxError("sandbox-unavailable", level, reason)
    return found


def _climb(wanted: str, path: str, records: JsonCache | None) -> Sandbox:
    """Return the highest rung that there is, or the lowest that is enough for a named level."""
    reasons: list[str] = []
    for rung in try_rungs(path, records, _RUNGS_FOR[wanted]):
        if rung.rung != "none" and (wanted == "auto" or rung.reaches(wanted)):
            return rung._replace(reasons=(*reasons, *rung.reasons))
        reasons += rung.reasons
    return Sandbox(reasons=tuple(reasons))


def try_rungs(
    path: str, records: JsonCache | None = None, order: tuple[str, ...] = RUNGS
) -> Iterator[Sandbox]:
    """Yield each rung, in that order; one that is not to be had is ``none``, with a reason."""
    if sys.platform != "linux":
        yield Sandbox(reasons=(f"there is no sandbox of ours on {sys.platform}",))
        return
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot, records = "", None
    program = _find_program("bwrap", path)
    tries: dict[str, tuple[str, Callable[[], Sandbox]]] = {
        "bubblewrap": (program, lambda: _try_bubblewrap(program)),
        "unshare": (sys.executable, lambda: _try(Sandbox("unshare", "strict"))),
        "landlock": (sys.executable, _try_landlock),
    }
    for rung in order:
        fact, attempt = tries[rung]
        facts = (boot, str(os.geteuid()), rung, fact)
        known = None if records is None else records.read(*facts)
        if known is not None:
            reasons, words = tuple(known["reasons"]), tuple(known["words"])
            yield Sandbox(known["rung"], known["level"], reasons, words, known["abi"])
            continue
        found = attempt()
        if records is not None:
            records.write(found._asdict(), *facts)
        yield found


def _find_program(name: str, path: str) -> str:
    """Return the path of a program, which is looked for on ``path``; nothing if it is not there."""
    candidates = (Path(place, name) for place in path.split(os.pathsep))
    programs = (each for each in candidates if each.is_file() and os.access(each, os.X_OK))
    return str(next(programs, ""))


def _try_bubblewrap(program: str) -> Sandbox:
    if not program:
        return Sandbox(reasons=("bubblewrap: there is no `bwrap` on PATH",))
    found = _try(Sandbox("bubblewrap", "strict", words=(program,)))
    if any("--disable-userns" in reason for reason in found.reasons):
        found = _try(Sandbox("bubblewrap", "strict", words=(program, "before 0.8")))
    return found


def _try_landlock() -> Sandbox:
    from wheelforge.hooks.sandbox.enter import read_abi

    abi = read_abi()
    if not abi:
        return Sandbox(reasons=("landlock: this kernel has none, or has it switched off",))
    reasons = () if abi >= _TCP_ABI else (f"landlock: version {abi} of it cannot forbid TCP",)
    level = "files" if reasons else "tcp-off"
    return _try(Sandbox("landlock", level, abi=abi, reasons=reasons))


def _try(sandbox: Sandbox) -> Sandbox:
    """Run a program that does nothing in the sandbox; return it, or why that has failed."""
    policy = make_policy(python=sys.executable, variables={}, writable=())
    command = (*sandbox.write_prefix(policy), sys.executable, "-I", "-S", "-c", "")
    try:
        done = subprocess.run(
            command,
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Sandbox(reasons=(f"{sandbox.rung}: {error}",))
    said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode == 0:
        return sandbox
    meaning = next((text for words, text in _EXPLAINED.items() if words in said), "")
    reason = f"{meaning} ({said})" if meaning else said or f"status {done.returncode}"
    return Sandbox(reasons=(f"{sandbox.rung}: {reason}",))
