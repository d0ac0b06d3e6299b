"""A cluster on this machine: a scheduler in this process, and workers that end with it."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from wheelforge.batch.executors.dask import import_distributed
from wheelforge_isolation import ForgeError, collect_stages

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge_isolation import Layout

_COMMAND = "from wheelforge.batch.executors.members import run_child; run_child()"
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 25.0
_SOON_SECONDS = 5.0
_MOST_EARLY_ENDS = 5
_FIELDS = ("tls_ca_file", "tls_worker_cert", "tls_worker_key")


class LocalCluster:
    """Keeps ``count`` workers of one slot each at work; a context manager.

    Only processes that have its certificate, which was made for it, can reach the scheduler: not
    every user of the machine. Workers end when this process does, however it does.
    """

    def __init__(self, count: int, cores: int, layout: Layout, place: Path) -> None:
        self.count = count
        self._stages = layout.stages
        self.failure = ""
        """Why there are no more workers, if they end as soon as they are started."""
        distributed = import_distributed()
        self.security: Any = distributed.Security.temporary()
        self._cluster: Any = distributed.LocalCluster(
            n_workers=0,
            processes=True,
            protocol="tls://",
            host="127.0.0.1",
            security=self.security,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=False,
        )
        self.address: str = self._cluster.scheduler_address
        facts = {
            "address": self.address,
            "cache_dir": str(layout.root),
            "scratch": str(place / "dask"),
            "slots": 1,
            "cores": max(1, cores // count),
            "security": {name: getattr(self.security, name) for name in _FIELDS},
        }
        self._facts = f"{json.dumps(facts)}\n".encode()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="wheelforge-workers", daemon=True)

    def __enter__(self) -> Self:
        self._workers = [self._start() for _ in range(self.count)]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for worker in self._workers:
            _close_input(worker)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for worker in self._workers:
            try:
                worker.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        with contextlib.suppress(ForgeError):
            # Those that were killed could not remove theirs.
            collect_stages(self._stages, kept_days=math.inf)
        self._cluster.close(timeout=_PATIENCE_SECONDS)

    def list_pids(self) -> list[int]:
        """Return the workers that were started and not yet found to have ended."""
        return [worker.pid for worker in self._workers]

    def _start(self) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if worker.stdin is not None:
            with contextlib.suppress(OSError):
                worker.stdin.write(self._facts)
                worker.stdin.flush()
        return worker

    def _watch(self) -> None:
        """Start another worker for each that has ended."""
        early, started = 0, time.monotonic()
        while not self._is_over.wait(_LOOK_SECONDS):
            for number, worker in enumerate(self._workers):
                if worker.poll() is None:
                    continue
                _close_input(worker)
                now = time.monotonic()
                early = early + 1 if now - started < _SOON_SECONDS else 0
                if early > _MOST_EARLY_ENDS * self.count:
                    self.failure = f"its workers end with status {worker.returncode}"
                    return
                started = now
                self._workers[number] = self._start()


def _close_input(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None:
        with contextlib.suppress(OSError):
            worker.stdin.close()
