"""Run by path, before the server of a build's hooks: restricts this process, and becomes another.

Arguments: the restrictions, marshalled in hexadecimal, then the words of the command. Four kinds
are known: limits of resources; another number for the user; rules of Landlock for this process and
all that it starts; and namespaces with a root of their own, for machines without bubblewrap. A
restriction that the kernel refuses ends the process with status 126 and one line: nothing runs less
restricted than was asked for. Each build waits for this process, so little is imported.
"""

# ruff: file-ignore[os-path-isdir, os-path-exists, os-path-dirname, builtin-open, os-makedirs, os-symlink, os-readlink, os-chmod, hardcoded-temp-file, write-whole-file, start-process-with-no-shell]

from __future__ import annotations

import ctypes
import marshal
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_signal = __import__("_signal")  # `signal` would import `enum`, and with it ten others
REFUSED = 126
NO_NEW_PRIVILEGES, DROP_BOUNDING, PARENT_DEATH_SIGNAL = 38, 24, 1
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, MOUNT_SETATTR = 444, 445, 446, 442
PIVOT_ROOTS = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
JOIN_SESSION_KEYRING = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_DEVICES = 1 << 6 | 1 << 11
TRUNCATE, DEVICE_CONTROL = 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""The rights on files that each version of Landlock can handle."""
NETWORK_ABI, SCOPES_ABI = 4, 6
TCP = 0b11
SCOPES = 0b11
"""Abstract sockets, and signals."""
NAMESPACES = {
    "user": 0x10000000,
    "mount": 0x20000,
    "pid": 0x20000000,
    "ipc": 0x8000000,
    "uts": 0x4000000,
    "network": 0x40000000,
}
BIND, RECURSIVE, PRIVATE, DETACH = 0x1000, 0x4000, 1 << 18, 2
NO_SUID, NO_DEVICES, NO_EXECUTION, READ_ONLY = 2, 4, 8, 1
AT_CURRENT, AT_RECURSIVE = -100, 0x8000
CAPABILITIES = 64
SET_INTERFACE_FLAGS, UP_AND_RUNNING = 0x8914, 0x41
PROCESS_FILES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
"""They change the machine, and root in a namespace may still be their owner."""
DEVICES = ("null", "zero", "full", "random", "urandom")
SECCOMP, SECCOMP_FILTER, INSTRUCTION_BYTES = 22, 2, 8
LIBRARY = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """The kernel does not do this."""


def main() -> None:
    """Restrict this process, and become the command."""
    restrictions: dict[str, Any] = marshal.loads(bytes.fromhex(sys.argv[1]))  # ruff: ignore[suspicious-marshal-usage]  # our own
    try:
        limit_resources(restrictions.get("limits", {}))
        if "user" in restrictions:
            renumber_user(restrictions["user"])
        restrict(restrictions)
        os.execvp(sys.argv[2], sys.argv[2:])
    except (Refused, OSError, ValueError) as error:
        os.write(2, f"wheelforge: the sandbox cannot be entered: {error}\n".encode())
    os._exit(REFUSED)


def limit_resources(limits: dict[str, int]) -> None:
    """Limit this process, and each of those that it starts: `RLIMIT_DATA` and its like."""
    if not limits:
        return
    import resource

    for name, most in limits.items():
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (least, least))


def restrict(restrictions: dict[str, Any]) -> None:
    """Enter namespaces, or obey Landlock, as the restrictions have it; they may have neither."""
    if "mounts" in restrictions or "readable" in restrictions:
        keyctl = KEYCTL.get(os.uname().machine, -1)
        call("prctl", "no new privileges", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        LIBRARY.syscall(*map(ctypes.c_long, (keyctl, JOIN_SESSION_KEYRING, 0)))
    if "mounts" in restrictions:
        enter_namespaces(restrictions)
    elif "readable" in restrictions:
        apply_landlock(restrictions)
        filter_calls(restrictions["filter"])


def filter_calls(code: bytes) -> None:
    """Have the kernel judge system calls by a program; without one, all are allowed."""
    if code:
        buffer = ctypes.create_string_buffer(code)
        program = struct.pack("HP", len(code) // INSTRUCTION_BYTES, ctypes.addressof(buffer))
        call("prctl", "a filter of system calls", SECCOMP, SECCOMP_FILTER, program, 0, 0)


def call(name: str, purpose: str, *arguments: Any) -> int:  # ruff: ignore[any-type]
    """Call a function of the C library; an error names its purpose."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(getattr(LIBRARY, name)(*words))
    if result < 0:
        raise Refused(f"{purpose}: {os.strerror(ctypes.get_errno())}")
    return result


def read_abi() -> int:
    """Return the version of Landlock that the kernel has; 0: none."""
    return max(0, int(LIBRARY.syscall(ctypes.c_long(CREATE_RULESET), None, ctypes.c_long(0), 1)))


def apply_landlock(restrictions: dict[str, Any]) -> None:
    """Forbid all files but the named ones, TCP, and abstract sockets and signals to others."""
    abi = read_abi()
    if abi < restrictions["abi"]:
        raise Refused(f"Landlock {restrictions['abi']} was promised, and this kernel has {abi}")
    rights = RIGHTS_BY_ABI[max(each for each in RIGHTS_BY_ABI if each <= abi)]
    network = TCP if abi >= NETWORK_ABI and not restrictions["network"] else 0
    fields = [rights, network, SCOPES if abi >= SCOPES_ABI else 0]
    size = 1 + (abi >= NETWORK_ABI) + (abi >= SCOPES_ABI)
    content = struct.pack(f"={size}Q", *fields[:size])
    ruleset = call("syscall", "landlock_create_ruleset", CREATE_RULESET, content, len(content), 0)
    reads = EXECUTE | READ_FILE | READ_DIRECTORY
    writes = rights & ~(MAKE_DEVICES | DEVICE_CONTROL)
    for path in restrictions["readable"]:
        add_rule(ruleset, path, reads)
    for path in restrictions["writable"]:
        add_rule(ruleset, path, writes)
    for name in DEVICES:
        add_rule(ruleset, f"/dev/{name}", READ_FILE | (WRITE_FILE | TRUNCATE) & rights)
    call("syscall", "landlock_restrict_self", RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    drop_capabilities()


def drop_capabilities() -> None:
    """Leave root no more rights than others have, from the next program on."""
    for capability in range(CAPABILITIES):
        LIBRARY.prctl(ctypes.c_long(DROP_BOUNDING), ctypes.c_long(capability), 0, 0, 0)


def add_rule(ruleset: int, path: str, rights: int) -> None:
    """Allow ``rights`` below ``path``, if it is there."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights &= -1 if os.path.isdir(path) else OF_FILES
    rule = struct.pack("=Qi", rights, place)
    call("syscall", f"landlock_add_rule for {path}", ADD_RULE, ruleset, 1, rule, 0)
    os.close(place)


def enter_namespaces(restrictions: dict[str, Any]) -> None:
    """Return in a process that has namespaces of its own, and sees no more than the mounts."""
    user, group, parent = os.getuid(), os.getgid(), os.getpid()
    names = set(NAMESPACES) - ({"network"} if restrictions["network"] else set())
    flags = sum(NAMESPACES[name] for name in names)
    call("unshare", "unshare", flags)
    map_user(user, group)
    write("/proc/sys/user/max_user_namespaces", "0")
    init = os.fork()
    if init:
        wait_for(init)
    call("prctl", "parent death signal", PARENT_DEATH_SIGNAL, _signal.SIGKILL, 0, 0, 0)
    if os.getppid() not in {0, parent}:
        os._exit(REFUSED)
    if not restrictions["network"]:
        start_loopback()
    make_root(restrictions["mounts"], restrictions["place"])
    drop_capabilities()
    filter_calls(restrictions["filter"])
    server = os.fork()
    if server:
        wait_for(server)


def renumber_user(number: int) -> None:
    """See the user of this process under another number."""
    user, group = os.getuid(), os.getgid()  # unknown in the namespace until they are mapped
    call("unshare", "unshare", NAMESPACES["user"])
    map_user(user, group, number)


def map_user(user: int, group: int, number: int | None = None) -> None:
    """Be this user in a new namespace of users, who may have another number there."""
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{user if number is None else number} {user} 1")
    write("/proc/self/gid_map", f"{group if number is None else number} {group} 1")


def wait_for(first: int) -> None:
    """End as the child ``first`` does; children of others that end meanwhile are reaped."""
    close_all()
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == first:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def close_all() -> None:
    """Close what only the command is to hold open: others wait for its end."""
    os.closerange(3, 1 << 16)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)


def make_root(mounts: list[list[str]], place: str) -> None:
    """Make the directory ``place`` a root with these mounts, and make it the root."""
    mount(None, "/", None, RECURSIVE | PRIVATE)
    mount("tmpfs", place, "tmpfs", NO_SUID | NO_DEVICES)
    for path, rule in [["/tmp", "empty"], ["/var/tmp", "empty"], ["/dev", "empty"], *mounts]:
        add_mount(path, place + path, rule)
    for name in DEVICES:
        add_mount(f"/dev/{name}", f"{place}/dev/{name}", "device")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{place}/dev/{name}")
    os.symlink("/proc/self/fd", f"{place}/dev/fd")
    add_mount("/dev/shm", f"{place}/dev/shm", "empty")
    os.makedirs(f"{place}/proc")
    mount("proc", f"{place}/proc", "proc", NO_SUID | NO_DEVICES | NO_EXECUTION)
    for name in filter(os.path.exists, PROCESS_FILES):
        mount(f"{place}/{name}", f"{place}/{name}", None, BIND | RECURSIVE)
        set_attributes(f"{place}/{name}", READ_ONLY)
    os.chdir(place)
    pivot_root = PIVOT_ROOTS.get(os.uname().machine)
    if pivot_root is None:
        raise Refused(f"pivot_root on {os.uname().machine}")
    call("syscall", "pivot_root", pivot_root, b".", b".")
    call("umount2", "umount of the old root", b".", DETACH)
    os.chdir("/")
    set_attributes("/", READ_ONLY | NO_SUID | NO_DEVICES, recursive=False)


def add_mount(source: str, target: str, rule: str) -> None:
    """Put one place into the new root; one that is gone meanwhile is left out."""
    if not (rule == "empty" or os.path.lexists(source)):
        return
    is_directory = rule == "empty" or (rule != "link" and os.path.isdir(source))
    os.makedirs(target if is_directory else os.path.dirname(target), exist_ok=True)
    if rule == "link":
        os.symlink(os.readlink(source), target)
        return
    if not is_directory and not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    if rule == "empty":
        mount("tmpfs", target, "tmpfs", NO_SUID | NO_DEVICES)
        os.chmod(target, 0o1777)  # ruff: ignore[bad-file-permissions]  # as that of `/tmp`
    else:
        mount(source, target, None, BIND | RECURSIVE)
    limits = NO_SUID | (0 if rule == "device" else NO_DEVICES)
    set_attributes(target, limits | (READ_ONLY if rule == "read" else 0))


def mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    """Put a file system, or a place of another one, at ``target``."""
    words = [each and os.fsencode(each) for each in (source, target, kind)]
    call("mount", f"mount of {target}", *words, flags, None)


def set_attributes(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Limit a mount, with all mounts below it."""
    content = struct.pack("=4Q", attributes, 0, 0, 0)
    where = [MOUNT_SETATTR, AT_CURRENT, os.fsencode(target), AT_RECURSIVE if recursive else 0]
    call("syscall", f"mount_setattr of {target}", *where, content, len(content))


def start_loopback() -> None:
    """Let processes of the sandbox reach one another by the network of a machine without any."""
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        fcntl.ioctl(line, SET_INTERFACE_FLAGS, struct.pack("=16sh", b"lo", UP_AND_RUNNING))


def write(path: str, text: str) -> None:
    """Write ``text`` into a file of the kernel."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


if __name__ == "__main__":
    main()
