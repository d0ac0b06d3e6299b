"""Sandboxes of hooks: for each rung, what it claims to forbid is tried for real, and fails."""

import ctypes
import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.security.users import User, make_users
from tests.support.builds import write_sdist
from tests.support.source import PACKAGES, ROOT
from wheelforge.hooks.sandbox.ladder import try_rungs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the rungs are those of Linux"),
    pytest.mark.xdist_group("users"),  # making them replaces files that are hidden here
]
ESCAPES = ROOT / "fixtures" / "hooks" / "escapes.py"
TABLE = PACKAGES["wheelforge"] / "hooks" / "sandbox" / "SANDBOX.md"
CREDENTIALS = ["AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "GITHUB_TOKEN"]
SHARED_MEMORY = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]
RUNGS = {"bubblewrap": "strict", "unshare": "strict", "landlock": "tcp-off"}
"""Each with the word by which it is asked for."""
FROM_OUTSIDE = {
    "create_file_in_shared_tmp",
    "leave_daemon_behind",
    "plant_shared_memory_file",
    "send_udp",
}
"""Attempts of which only the outside can tell whether they have got through."""
AS_ROOT = {
    *("open_disk", "make_device", "write_kernel_setting", "write_sys", "mount_file_system"),
    *("set_clock", "keep_capabilities", "read_passwords_of_the_system", "write_the_system"),
    *("mount_by_descriptor", "join_namespace_of_process"),
    *("write_the_root", "send_raw_packet", "make_mounts_writable", "open_file_by_handle"),
    *(
        "load_program_into_kernel",
        "create_file_in_the_interpreter",
        "write_the_code_that_runs_hooks",
    ),
}
"""Attempts that fail for everybody but root, in a sandbox or not."""
AS_USER = {"slow_down_process"}
"""Attempts that fail for root without its capabilities, since the process outside has them."""
HARMLESS_ANYWAY = {
    *("open_terminal", "use_inherited_descriptor", "leave_daemon_behind", "open_file_by_handle"),
    *("write_the_system", "write_the_root", "create_file_in_the_interpreter"),
    *("start_io_uring", "open_socket_to_the_host", "connect_multipath_tcp", "set_clock"),
    *("type_into_terminal", "use_cipher_of_the_kernel", "handle_page_faults"),
    *("watch_the_processor", "take_descriptor_of_process", "read_log_of_the_kernel"),
    *("write_the_code_that_runs_hooks", "read_keyring", "make_mounts_writable"),
}
"""Attempts that fail without a sandbox too, or are not made there."""


@dataclass(kw_only=True)
class World:
    """The outside of a sandbox, as far as it can be seen to have been reached."""

    facts: dict[str, Any]
    datagrams: socket.socket
    seen: set[str] = field(default_factory=set[str])

    def look(self) -> set[str]:
        """Return which attempts have had an effect out here, and undo it."""
        found = set[str]()
        for name, path in (
            ("create_file_in_shared_tmp", self.facts["tmp"]),
            ("plant_shared_memory_file", SHARED_MEMORY / self.facts["mark"]),
        ):
            if Path(path).exists():
                found.add(name)
                Path(path).unlink()
        with suppress(BlockingIOError):
            while self.datagrams.recv(1 << 10):
                found.add("send_udp")
        mark = self.facts["mark"].encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if path.read_bytes().endswith(mark + b"\0"):
                    found.add("leave_daemon_behind")
        return found


def list_claims() -> dict[str, dict[str, bool]]:
    """Return the table of what is claimed: attempts, and for each rung whether it forbids them."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return {
        row[0].strip("`"): {rung: cell == "no" for rung, cell in zip(RUNGS, row[1:], strict=False)}
        for row in rows
        if re.fullmatch(r"`\w+`", row[0])
    }


def find_disk() -> tuple[str, int]:
    for path in sorted(Path("/dev").iterdir()):
        with suppress(OSError):
            status = path.stat()
            if stat.S_ISBLK(status.st_mode):
                return str(path), status.st_rdev
    return "/dev/none", 0


@contextmanager
def answering_names() -> Generator[int]:
    """Yield the port of a server that answers each question with the question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line, ThreadPoolExecutor(1) as pool:
        line.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                question, address = line.recvfrom(512)
                if not question:
                    return
                line.sendto(question, address)

        pool.submit(answer)
        try:
            yield line.getsockname()[1]
        finally:
            line.sendto(b"", line.getsockname())


@contextmanager
def opening_terminal(user: User | None) -> Generator[str]:
    """Yield the path of a terminal that belongs to ``user``."""
    ours, theirs = os.openpty()
    if user is not None:
        os.fchown(theirs, user.uid, user.gid)
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(theirs)
        os.close(ours)


def add_key(name: str) -> None:
    library = ctypes.CDLL(None)
    library.syscall(248, b"user", name.encode(), b"secret", 6, ctypes.c_long(-3))


@contextmanager
def make_world(home: Path, cache: Path, user: User | None) -> Generator[World]:
    """Yield things that only processes outside should reach, all of them of ``user``."""
    with ExitStack() as stack:
        mark = f"wf-escape-{os.getpid()}-{home.name}"
        secret = home / "secret"
        stage, record = cache / "stage-v1" / "other" / "file", cache / "guesses-v2" / "planted.json"
        for path in (secret, home / "mode", stage, record):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("secret", encoding="ascii")
        listeners: dict[str, tuple[int, Any]] = {
            "tcp": (socket.AF_INET, ("127.0.0.1", 0)),
            "tcp6": (socket.AF_INET6, ("::1", 0)),
            "socket": (socket.AF_UNIX, str(home / "s")),
            "abstract": (socket.AF_UNIX, f"\0{mark}"),
        }
        ports: dict[str, Any] = {}
        for name, (family, address) in listeners.items():
            line = stack.enter_context(socket.socket(family))
            line.bind(address)
            line.listen(16)
            ports[name] = address if family == socket.AF_UNIX else line.getsockname()[1]
        (home / "s").chmod(0o777)
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        datagrams.settimeout(0)
        sleeper = subprocess.Popen(
            ["/bin/sleep", "600"],
            env={"WORLD_MARK": "1"},
            user=user.uid if user else None,
            group=user.gid if user else None,
        )
        stack.enter_context(sleeper)
        stack.callback(sleeper.kill)
        segment = 0x5AFE0000 + os.getpid() % 0x10000  # another run has another one
        memory = ctypes.CDLL(None).shmget(segment, 4096, 0o1666)
        stack.callback(ctypes.CDLL(None).shmctl, memory, 0, None)
        add_key(mark)
        disk, device = find_disk()
        ports["names"] = stack.enter_context(answering_names())
        ports["terminal"] = stack.enter_context(opening_terminal(user))
        ports.pop("abstract")
        yield World(
            datagrams=datagrams,
            facts={
                **ports,
                "home": str(home),
                "secret": str(secret),
                "mode": str(home / "mode"),
                "tmp": f"{tempfile.gettempdir()}/{mark}",
                "stage": str(stage),
                "record": str(record),
                "package": str(PACKAGES["wheelforge"] / "hooks"),
                "disk": disk,
                "device": device,
                "key": mark,
                "pid": sleeper.pid,
                "cmdline": "/bin/sleep\x00600\x00",
                "mark": mark,
                "memory": segment,
                "udp": datagrams.getsockname()[1],
                "variables": CREDENTIALS,
            },
        )


@pytest.fixture(name="user", params=["root", "user"])
def _user(request: pytest.FixtureRequest) -> Iterator[User | None]:
    if request.param == "root":
        yield None
        return
    with make_users("alice") as (alice,):
        yield alice


def build_with(
    sandbox: str, path: str, user: User | None, directory: Path, *, leaves: tuple[str, ...] = ()
) -> tuple[set[str], dict[str, Any]]:
    """Build an sdist that tries everything; return what got through, and the report's facts."""
    home, cache = directory / "home", directory / "cache"
    home.mkdir(parents=True)
    with make_world(home, cache, user) as world:
        code = ESCAPES.read_text(encoding="utf-8")
        call = f"import escapes; escapes.run({world.facts!r}, {leaves!r})"
        sdist = write_sdist(home, own=True, more={"escapes.py": code}, build_wheel=call)
        facts = build_as(user, sdist, path, "--sandbox", sandbox, "--cache-dir", str(cache))
        log = Path(facts["log"]).read_text(encoding="utf-8")
        line = next(line for line in log.splitlines() if line.startswith("ESCAPES "))
        results = json.loads(line.removeprefix("ESCAPES "))
        outside = world.look()
    through = {name for name, is_out in results.items() if is_out and name not in FROM_OUTSIDE}
    return through | outside, facts


def build_as(user: User | None, sdist: Path, path: str, *words: str) -> dict[str, Any]:
    """Build as a user, or as the one that runs the tests; return what the report says of it."""
    home = sdist.parent
    report = home.parent / "report.json"
    if user is not None:
        user.own(home.parent)
    argv = [*map(str, [sdist, "-o", home.parent / "out", "--report", report]), *words]
    argv += ["--no-index", "--no-reuse"]
    secrets = dict.fromkeys(CREDENTIALS, "secret")
    variables = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **secrets}
    if user is not None:
        done = user.wheelforge(*argv, variables=variables)
    else:
        command = [sys.executable, "-m", "wheelforge", *argv]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["builds"][0]
    return facts


def find_path(rung: str, directory: Path) -> str:
    """Return a PATH on which that rung is the highest one, or skip."""
    usual = "/usr/bin:/bin"
    path = usual
    if rung == "unshare":
        path = str(directory / "no-bwrap")
        Path(path).mkdir()
    found = {each.rung: each for each in try_rungs(path)}
    if rung not in found:
        pytest.skip(f"this machine has no {rung}: {[each.reasons for each in found.values()]}")
    return path


@pytest.mark.parametrize("rung", RUNGS)
def test_sandbox__holds_what_its_rung_claims(
    rung: str, user: User | None, make_place: Callable[[User | None], Path]
) -> None:
    place = make_place(user)
    path = find_path(rung, place)

    through, facts = build_with(RUNGS[rung], path, user, place / "build")

    forbidden = {name for name, claims in list_claims().items() if claims[rung]}
    assert facts["sandbox"]["rung"] == rung
    assert through & forbidden == set()
    allowed = set(list_claims()) - forbidden - (set() if user else AS_USER)
    assert through >= allowed - AS_ROOT - HARMLESS_ANYWAY, "the table claims too little"


def test_sandbox__without_one_the_attempts_get_through(
    user: User | None, make_place: Callable[[User | None], Path]
) -> None:
    leaves = tuple(HARMLESS_ANYWAY)

    through, facts = build_with(
        "none", "/usr/bin:/bin", user, make_place(user) / "b", leaves=leaves
    )

    expected = set(list_claims()) - HARMLESS_ANYWAY - (AS_ROOT if user else set())
    assert facts["sandbox"] is None
    assert through >= expected


@pytest.fixture(name="make_place")
def _make_place(tmp_path: Path) -> Callable[[User | None], Path]:
    """Return what makes a directory that belongs to a user, and that he can enter."""

    def make(user: User | None) -> Path:
        if user is None:
            return tmp_path
        place = user.home / "place"
        place.mkdir()
        return user.own(place)

    return make


def test_table__has_every_attempt_once() -> None:
    attempts = re.findall(r"@attempt\ndef (\w+)", ESCAPES.read_text(encoding="utf-8"))

    assert sorted(list_claims()) == sorted(attempts)
