"""Run inside a build environment: forks a process for every hook, and never runs one itself.

Executed by `_start`, by any CPython from 3.9 on. It imports what the interpreter has loaded anyway
and a few extension modules, so that a backend finds the `sys.modules` of a fresh process; the
half that only a server with a backend needs is loaded in the same way. There are three kinds of
process:

- the *server* imports the backend, says what it saw meanwhile, and forks a keeper per request;
- a *keeper* forks the hook, adopts what the hook leaves behind (Linux), and ends all of it when
  the hook has ended or the other side of its line has hung up, for whatever reason;
- a *hook* becomes what a fresh process would be: the stack is unwound to the top of this file, so
  that the interpreter itself ends it, with `atexit`, threads, buffers and exit status.

A message is a length, and strings parted by NUL. Arguments: the descriptors of the server's
channel and of the other end of the pipe that it prints into; and for a server that imports: the
script that runs hooks, and the module of the backend.
"""

# ruff: file-ignore[import-private-name, blind-except, exec-builtin, builtin-open, os-path-dirname, os-path-isdir, os-path-join, os-listdir, read-whole-file, boolean-positional-value-in-call]

from __future__ import annotations

import _socket
import gc
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from wheelforge.hooks.import_probe import Import

_signal = __import__("_signal")  # `signal` would import `enum`, and with it ten others
SET_PARENT_DEATH_SIGNAL = 1
ADOPT_ORPHANS = 36
LENGTH_BYTES = 4
DESCRIPTOR_BYTES = 4
NOT_STARTED = 127
PATIENCE_SECONDS = 0.5
"""How long what a hook has left behind may take to end when it is asked to."""
LAST_SECONDS = 5.0
"""How long to wait for what even SIGKILL does not end."""
TICK_SECONDS = 0.005


class Request:
    """A command, and the directory, umask and variables that it runs with."""

    def __init__(self, fields: list[bytes]) -> None:
        grace, self.directory, self.umask, count, *rest = fields
        self.grace_seconds = float(grace)
        self.argv = [os.fsdecode(word) for word in rest[: int(count)]]
        pairs = [pair.partition(b"=") for pair in rest[int(count) :]]
        self.environment = {name: value for name, _, value in pairs}


class ProcessTree:
    """A hook and everything it has started."""

    def __init__(self, hook: int, *, adopts: bool) -> None:
        self.hook = hook
        self.adopts = adopts
        self.status: int | None = None
        self.peak_bytes = 0
        self.cpu_seconds = 0.0

    def reap(self) -> bool:
        """Take note of who has ended; return whether anybody is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            self.peak_bytes = max(self.peak_bytes, peak)
            if pid == self.hook:
                self.status = os.waitstatus_to_exitcode(status)

    def end(self, grace_seconds: float) -> None:
        """Ask everybody to end, and kill who has not after the grace."""
        deadline = time.monotonic() + grace_seconds
        self._signal(_signal.SIGTERM)
        while self.reap() and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS)
        deadline = time.monotonic() + LAST_SECONDS
        while self.reap() and time.monotonic() < deadline:
            self._signal(_signal.SIGKILL)
            time.sleep(TICK_SECONDS)

    def _signal(self, number: int) -> None:
        # Once the hook is reaped, its number may belong to another group.
        group = self.hook if self.status is None else 0
        if group:
            send_signal(os.killpg, group, number)
        for pid in find_descendants(os.getpid()) if self.adopts else ():
            # No process is asked twice: the second signal could hit its cleaning up.
            if find_group(pid) != group:
                send_signal(os.kill, pid, number)


def main() -> tuple[CodeType, list[str]]:
    """Serve until the channel is closed; return only in a hook, with what it is to execute."""
    channel = _socket.socket(fileno=int(sys.argv[1]))
    printed = int(sys.argv[2])
    os.set_inheritable(channel.fileno(), False)
    os.set_inheritable(printed, False)
    control = load_control()
    imported = None
    if sys.argv[3:]:
        control(ADOPT_ORPHANS, 1)
        imported = rehearse(channel, printed, *sys.argv[3:])
    os.close(printed)
    # Keepers are not waited for, and would stay as zombies.
    handler = _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    line, output = serve(channel)
    channel.close()
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    request = keep(line, output, control)
    _signal.signal(_signal.SIGCHLD, handler)
    try:
        enter(request, output)
        if imported is None:
            execute(request)
        else:
            imported.repeat(request.argv, request.environment)
            return imported.code, request.argv[1:]
    except BaseException as error:
        os.write(2, f"the hook cannot be started: {error}\n".encode(errors="replace"))
    os._exit(NOT_STARTED)


def rehearse(channel: _socket.socket, printed: int, script: str, backend: str) -> Import:
    """Import the backend and say what was seen; end if no fork could be like a fresh process."""
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    load_code = vars(sys.modules["__main__"])["load_code"]
    parts: dict[str, dict[str, Any]] = {"path_probe": {}, "import_probe": {}}
    for name, part in parts.items():
        part["__name__"] = name
        exec(load_code(os.path.join(os.path.dirname(__file__), f"{name}.py")), part)
    sys.modules.pop("__future__", None)
    imported: Import = parts["import_probe"]["Import"](script, load_code(script), backend)
    parts["path_probe"]["leave_directory"]()
    imported.run(printed, parts["path_probe"]["PathProbe"]())
    reason = (imported.reasons or [""])[0]
    names, absent = imported.names, imported.absent
    send_message(channel, [reason, str(len(names)), *names, *absent])
    if imported.reasons:
        end_with_all()
    gc.freeze()  # the collector skips present objects, so their pages stay shared
    return imported


def serve(channel: _socket.socket) -> tuple[_socket.socket, int]:
    """Fork for every request; return only in a keeper, with its line and the hook's output."""
    while True:
        _, messages, _, _ = channel.recvmsg(1, _socket.CMSG_SPACE(2 * DESCRIPTOR_BYTES))
        if not messages:
            os._exit(0)
        content = messages[0][2]
        line = int.from_bytes(content[:DESCRIPTOR_BYTES], sys.byteorder)
        output = int.from_bytes(content[DESCRIPTOR_BYTES:], sys.byteorder)
        os.set_inheritable(line, False)
        os.set_inheritable(output, False)
        try:
            if os.fork() == 0:
                return _socket.socket(fileno=line), output
        except OSError:
            pass  # without a process the line just ends, which says enough
        os.close(line)
        os.close(output)


def keep(line: _socket.socket, output: int, control: Callable[[int, int], bool]) -> Request:
    """Fork the hook, and return in it; the keeper stays here until all have ended."""
    keeper = os.getpid()
    request = Request(receive_message(line))
    adopts = control(ADOPT_ORPHANS, 1)
    hook = os.fork()
    if hook == 0:
        line.close()
        control(SET_PARENT_DEATH_SIGNAL, _signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(NOT_STARTED)
        return request
    try:
        os.close(output)  # or it would not end with the hook
        watch(line, ProcessTree(hook, adopts=adopts), request.grace_seconds)
    finally:
        os._exit(0)


def watch(line: _socket.socket, family: ProcessTree, grace_seconds: float) -> None:
    """See a family through to its end, and say how it ended."""
    send_message(line, [str(family.hook), str(os.getpid())])
    if wait_for_end(line, family):
        family.end(grace_seconds)
    orphans = 0
    if not family.adopts:
        send_signal(os.killpg, family.hook, _signal.SIGKILL)
    elif family.reap():
        orphans = len(find_descendants(os.getpid()))
        family.end(PATIENCE_SECONDS)
    facts = (family.status, family.peak_bytes, family.cpu_seconds, orphans)
    send_message(line, [str(fact) for fact in facts])


def wait_for_end(line: _socket.socket, family: ProcessTree) -> bool:
    """Return when the hook has ended, or true if the other side hangs up before."""
    poll = select.poll()
    poll.register(line.fileno(), select.POLLIN)
    pause_milliseconds = None
    try:
        poll.register(os.pidfd_open(family.hook), select.POLLIN)
    except (AttributeError, OSError):  # not Linux, or an old one
        pause_milliseconds = 20
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(pause_milliseconds)}
        family.reap()
        if family.status is not None:
            return False
        if line.fileno() in ready:
            return True


def enter(request: Request, output: int) -> None:
    """Take the hook's place: its session, its output, its directory, its umask."""
    os.setsid()
    if request.umask:
        os.umask(int(request.umask))
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if request.directory:
        os.chdir(request.directory)


def execute(request: Request) -> None:
    """Become another program, with the signals that one expects."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    os.execvpe(request.argv[0], request.argv, request.environment)  # ruff: ignore[start-process-with-no-shell]


def run_script(code: CodeType, argv: list[str]) -> None:
    """Execute a script as the interpreter does, without a trace of this file."""
    sys.argv[:] = argv
    try:
        exec(code, vars(sys.modules["__main__"]))
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        trace = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    else:
        return
    sys.exit(1)


def find_descendants(root: int) -> list[int]:
    """Return the processes below ``root``, as /proc shows them at this moment."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    generation = children.get(root, [])
    while generation:
        found += generation
        generation = [child for pid in generation for child in children.get(pid, [])]
    return found


def find_group(pid: int) -> int:
    """Return the process group, or nothing that is one."""
    try:
        return os.getpgid(pid)
    except OSError:
        return -1


def load_control() -> Callable[[int, int], bool]:
    """Return the system call by which Linux adopts orphans, without all of `ctypes`."""
    try:
        ctypes = __import__("_ctypes")
        address = ctypes.dlsym(ctypes.dlopen(None, os.RTLD_NOW), "prctl")
    except (ImportError, AttributeError, OSError):
        return lambda _option, _value: False
    return lambda option, value: ctypes.call_function(address, (option, value, 0, 0, 0)) == 0


def end_with_all() -> None:
    """End this process and what the import has started, which would do nobody any good."""
    for pid in find_descendants(os.getpid()) if os.path.isdir("/proc/self") else ():
        send_signal(os.kill, pid, _signal.SIGKILL)
    os.killpg(0, _signal.SIGKILL)


def send_signal(function: Callable[[int, int], None], pid: int, number: int) -> None:
    """Send a signal to whoever is still there."""
    try:
        function(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def send_message(line: _socket.socket, fields: list[str]) -> None:
    """Say something to whoever still listens."""
    content = b"\0".join(os.fsencode(field) for field in fields)
    try:
        line.sendall(len(content).to_bytes(LENGTH_BYTES, "big") + content)
    except OSError:
        return


def receive_message(line: _socket.socket) -> list[bytes]:
    """Return the strings of a message."""
    length = int.from_bytes(receive_bytes(line, LENGTH_BYTES), "big")
    return receive_bytes(line, length).split(b"\0")


def receive_bytes(line: _socket.socket, count: int) -> bytes:
    """Return exactly that many bytes, or end: nobody is there who would read an answer."""
    content = b""
    while len(content) < count:
        piece = line.recv(count - len(content))
        if not piece:
            os._exit(0)
        content += piece
    return content


if __name__ == "__main__":
    run_script(*main())
