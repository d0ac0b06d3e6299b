"""Clusters on this machine: schedulers and workers in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.support.batches import Yard

_PATIENCE_SECONDS = 180.0
KILL_WORKER = """
import os, pathlib, signal
seen = pathlib.Path({place!r}) / f"seen-{{name}}"
if not seen.exists():
    seen.touch()
    pid = os.getpid()
    while b"run_child" not in pathlib.Path(f"/proc/{{pid}}/cmdline").read_bytes():
        pid = int(pathlib.Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(pid, signal.SIGKILL)
"""
"""Code that ends the worker of a local cluster which it is built by, the first time."""
SCHEDULER = """
import asyncio
from distributed import Scheduler, Security

async def main():
    words = {certificates!r}
    security = None
    if words:
        facts = {{"tls_ca_file": words[1], "tls_scheduler_cert": words[3]}}
        facts |= {{"tls_scheduler_key": words[5], "require_encryption": True}}
        security = Security(**facts)
    protocol = "tls" if words else "tcp"
    facts = {{"host": {host!r}, "port": {port}, "protocol": protocol, "dashboard": False}}
    async with Scheduler(security=security, **facts) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(main())
"""


def wait_long(condition: Callable[[], object]) -> None:
    """Wait for evidence of something that starts processes first."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def need_distributed() -> None:
    """Skip a test where there is no Dask, or nothing tells of processes."""
    pytest.importorskip("distributed", reason="needs the extra `dask`")
    if not Path("/proc/self/fd").exists():
        pytest.skip("looks at processes as Linux shows them")


def list_workers(parent: int) -> list[int]:
    """Return the workers of the local cluster that the process ``parent`` has."""
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{parent}/task").iterdir()
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
        return [int(pid) for pid in children if b"run_child" in _read_command(pid)]
    return []


def list_processes(place: Path) -> list[str]:
    """Return the processes that have to do with a place, and workers of clusters in it."""
    found: list[str] = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            command = _read_command(path.name)
            if str(place).encode() in command:
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def _read_command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextlib.contextmanager
def open_scheduler(
    host: str = "127.0.0.1", port: int = 0, certificates: tuple[str, ...] = ()
) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address of a scheduler, and its process."""
    code = SCHEDULER.format(host=host, port=port, certificates=certificates)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@contextlib.contextmanager
def open_worker(
    yard: Yard, address: str, *words: str, before: tuple[str, ...] = ()
) -> Generator[subprocess.Popen[str]]:
    """Yield a `wheelforge worker` that has said that it is at work."""
    cache = ("--cache-dir", str(yard.place / "cache"))
    command = (*before, sys.executable, "-m", "wheelforge", "worker", "--scheduler", address)
    with subprocess.Popen(
        [*command, *words, *cache], stderr=subprocess.PIPE, text=True, cwd=yard.place
    ) as process:
        assert process.stderr is not None
        # A scheduler that does not answer in time is asked again.
        told = iter(process.stderr.readline, "")
        assert any("at work for" in line for line in told), process.poll()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
