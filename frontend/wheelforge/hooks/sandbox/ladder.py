"""The rungs of the ladder: which of them this machine has, found out by doing, and why not higher.

A rung is tried with the policy and the words of a build, and a program that does nothing. The
answer is remembered until the machine is started anew, as is the reason where a rung is not to be
had; what an administrator changes meanwhile is seen by `wheelforge doctor`, which tries again.
"""

from __future__ import annotations

import marshal
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.errors import SandboxError, UsageError
from wheelforge.hooks.sandbox.bubblewrap import list_mounts, write_words
from wheelforge.hooks.sandbox.filter import write_filter
from wheelforge.hooks.sandbox.policy import SandboxPolicy, make_policy
from wheelforge.hooks.sandbox.prefix import Prefix
from wheelforge.hooks.sandbox.seatbelt import PROGRAM, write_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from wheelforge_isolation import JsonCache

LEVELS = ("none", "files", "tcp-off", "strict")
"""The promises, the weakest first."""
CHOICES = ("auto", "strict", "tcp-off", "none")
_RUNGS_OF = {
    "linux": ("bubblewrap", "unshare", "landlock"),
    "darwin": ("seatbelt",),
    "win32": ("job",),
}
RUNGS = _RUNGS_OF.get(sys.platform, ())
"""Those of this platform, the highest first."""
_LAUNCHER = (
    "from _frozen_importlib_external import SourceFileLoader as Loader;"
    f"exec(Loader('__main__', {str(Path(__file__).with_name('enter.py'))!r}).get_code('__main__'))"
)
_JOB = str(Path(__file__).with_name("job.py"))
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PLACES = ("/mnt", "/media", "/srv", "/boot", "/var/empty", "/run")
_MACHINE = platform.machine() if sys.maxsize > 1 << 32 else "32-bit programs"
_PATIENCE_SECONDS = 10
_TCP_ABI = 4
_OTHER_USER = 4242
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
_SEEN = "seatbelt: other processes and the names of files are seen on macOS"
_OPEN = "job: files and networks stay open on Windows"
_UNFILTERED = "no filter of system calls is known for {}: keyrings and io_uring are not refused"


class Sandbox(NamedTuple):
    """The rung that the hooks of a build stand on."""

    rung: str = "none"
    """``bubblewrap``, ``unshare``, ``landlock``, ``seatbelt``, ``job``, ``command`` or ``none``."""
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

    def write_prefix(
        self, policy: SandboxPolicy, limits: Mapping[str, int] | None = None
    ) -> Prefix:
        """Return the words before a command, which has these ``limits``."""
        only_tcp = self.rung == "landlock" and not policy.network
        code = write_filter(_MACHINE, only_tcp=only_tcp)
        facts: dict[str, Any] = {}
        if limits or self.rung == "job":
            facts["limits"] = dict(limits or {})
        if self.rung == "unshare":
            mounts = [[str(path), rule] for path, rule in list_mounts(policy)]
            facts["place"] = _find_place(path for path, _ in list_mounts(policy))
            facts |= {"mounts": mounts, "network": policy.network, "filter": code}
        if self.rung == "landlock":
            facts |= {
                "readable": ["/proc", *map(str, policy.readable)],
                "writable": list(map(str, policy.writable)),
                "network": policy.network,
                "abi": self.abi,
                "filter": code,
            }
        before = _launch(facts) if facts else ()
        if self.rung == "seatbelt":
            return Prefix((*before, PROGRAM, "-p", write_profile(policy)))
        if self.rung != "bubblewrap":
            return Prefix((*before, *self.words))
        program, *more = self.words
        words = write_words(program, policy, disables=not more, filters=bool(code))
        return Prefix((*before, *words), code)


def find_other_user() -> Prefix:
    """Return the words before a command that is to see its user under another number.

    Files of the user are those of the other one too. Return no words where the system refuses that.
    """
    if sys.platform != "linux":
        return Prefix()
    words = _launch({"user": _OTHER_USER})
    try:
        done = subprocess.run(
            [*words, sys.executable, "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return Prefix()
    return Prefix() if done.returncode else Prefix(words)


def _launch(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the words that run `enter.py`, from its bytecode where there is some."""
    if sys.platform == "win32":
        return sys.executable, "-I", "-S", _JOB, marshal.dumps(facts["limits"]).hex()
    code = marshal.dumps(facts).hex()
    return sys.executable, "-I", "-S", "-B", "-c", _LAUNCHER, code


def _find_place(used: Iterable[Path]) -> str:
    """Return a directory where a new root can be put together, without hiding what goes into it."""
    above = {parent for path in used for parent in (path, *path.parents)}
    return next(name for name in _PLACES if Path(name).is_dir() and Path(name) not in above)


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
    order = [each for each in RUNGS if each != "landlock" or wanted != "strict"]
    if wanted == "tcp-off":
        order.sort(key=lambda each: each != "landlock")  # the cheapest comes first
    for rung in try_rungs(path, records, order):
        if rung.rung != "none" and (wanted == "auto" or rung.reaches(wanted)):
            return rung._replace(reasons=(*reasons, *rung.reasons))
        reasons += rung.reasons
    return Sandbox(reasons=tuple(reasons))


def try_rungs(
    path: str, records: JsonCache | None = None, order: Sequence[str] = RUNGS
) -> Iterator[Sandbox]:
    """Yield each rung, in that order; one that is not to be had is ``none``, with a reason."""
    if not order:
        yield Sandbox(reasons=(f"there is no sandbox of ours on {sys.platform}",))
        return
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot, records = "", None
    user = str(os.geteuid()) if hasattr(os, "geteuid") else ""
    program = _find_program("bwrap", path)
    tries: dict[str, tuple[str, Callable[[], Sandbox]]] = {
        "bubblewrap": (program, lambda: _try_bubblewrap(program)),
        "unshare": (sys.executable, lambda: _try(Sandbox("unshare", "strict"))),
        "landlock": (sys.executable, _try_landlock),
        "seatbelt": (PROGRAM, lambda: _try(Sandbox("seatbelt", "tcp-off", (_SEEN,)))),
        "job": (sys.executable, lambda: _try(Sandbox("job", "none", (_OPEN,)))),
    }
    for rung in order:
        fact, attempt = tries[rung]
        facts = (boot, user, rung, fact)
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
    prefix = sandbox.write_prefix(policy)
    try:
        with prefix.opening((sys.executable, "-I", "-S", "-c", "")) as (command, descriptors):
            done = subprocess.run(
                command,
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
                pass_fds=descriptors,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Sandbox(reasons=(f"{sandbox.rung}: {error}",))
    said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode == 0:
        is_known = sys.platform != "linux" or write_filter(_MACHINE, only_tcp=False)
        gaps = () if is_known else (_UNFILTERED.format(_MACHINE),)
        return sandbox._replace(reasons=(*sandbox.reasons, *gaps))
    meaning = next((text for words, text in _EXPLAINED.items() if words in said), "")
    reason = f"{meaning} ({said})" if meaning else said or f"status {done.returncode}"
    return Sandbox(reasons=(f"{sandbox.rung}: {reason}",))
