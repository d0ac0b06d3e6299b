"""The workers of a cluster, as the scheduler knows them, and for which builds they are no use."""

from __future__ import annotations

import contextlib
import threading
import time
from itertools import starmap
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.batch.executors.tasks import MEMORY, SLOT
from wheelforge.errors import ClusterError
from wheelforge.events import BuildEvent

if TYPE_CHECKING:
    from typing import TypeAlias

    from wheelforge.batch.executors.local_cluster import LocalCluster
    from wheelforge.batch.forges import Forges

    Client: TypeAlias = Any
    """Of `distributed`."""

_LOOK_SECONDS = 0.5
_TOLD_AFTER_SECONDS = 60.0
_PATIENCE_SECONDS = 30 * 60.0
_REFUSED_SECONDS = 20.0


class Member(NamedTuple):
    """A worker: how many builds it does at a time, and for how many bytes it has room."""

    slots: int
    memory: int


class Roster:
    """Looks again and again who is there; for any number of threads."""

    def __init__(
        self, client: Client, address: str, forges: Forges, local: LocalCluster | None
    ) -> None:
        self.is_local = local is not None
        self._client = client
        self._address = address
        self._forges = forges
        self._local = local
        self._members: dict[str, Member] = {}
        self._refused: dict[tuple[str, str], str] = {}
        """The reason why a worker does no builds on some terms."""
        self._waiting: dict[str, float] = {}
        """Since when builds on some terms have waited for a worker."""
        self._told: set[str] = set()
        self._is_cancelled = self._is_lost = False
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="wheelforge-roster", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self.cancel()
        self._is_over.set()
        self._thread.join()

    def cancel(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def count_room(self) -> int:
        """Return how many builds the workers do at once, as far as they are known."""
        with self._changed:
            return max(1, sum(each.slots for each in self._members.values()))

    @property
    def most_memory(self) -> int:
        """The bytes that the largest worker has."""
        with self._changed:
            return max((each.memory for each in self._members.values()), default=0)

    def wait(self, terms: str) -> list[str]:
        """Return the workers for builds on these terms, once there are any; none if it is over."""
        with self._changed:
            while not (self._is_cancelled or self._is_lost):
                found = [each for each in self._members if (each, terms) not in self._refused]
                if found:
                    self._waiting.pop(terms, None)
                    return found
                self._waiting.setdefault(terms, time.monotonic())
                self._changed.wait()
        return []

    def has_any(self, workers: list[str]) -> bool:
        """Return whether one of these workers is still there."""
        with self._changed:
            return any(each in self._members for each in workers)

    def exclude(self, worker: str, terms: str, reason: str) -> None:
        """Give no more builds on these terms to a worker that does not do them."""
        with self._changed:
            is_new = (worker, terms) not in self._refused
            self._refused[worker, terms] = reason
        if is_new:
            self._tell(f"the worker `{worker}` is not used: {reason}")

    def check(self) -> None:
        """Raise an error if the scheduler is lost, or no worker comes."""
        with self._changed:
            if self._is_lost and not self._is_cancelled:
                raise ClusterError("scheduler-lost", self._address)
            if self._local is not None and self._local.failure:
                reason = self._local.failure
                raise ClusterError("scheduler-unreachable", self._address, reason)
            longest = max(starmap(self._check_terms, self._waiting.items()), default=0.0)
        if longest > _TOLD_AFTER_SECONDS:
            self._tell(f"waiting for workers: the scheduler `{self._address}` has none so far")

    def _check_terms(self, terms: str, since: float) -> float:
        """Return how long builds on these terms have waited, unless that is too long."""
        waited = time.monotonic() - since
        refused = {reason for (_, own), reason in self._refused.items() if own == terms}
        patience = _REFUSED_SECONDS if refused and self._members else _PATIENCE_SECONDS
        if waited > patience:
            why = f": {'; '.join(sorted(refused))}" if refused else ""
            raise ClusterError("workers-absent", self._address, max(1, round(waited / 60)), why)
        return waited

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._forges.emit(None, BuildEvent(kind="note", build="", text=text))

    def _watch(self) -> None:
        while not self._is_over.is_set():
            members: dict[str, Member] | None = None
            if self._client.status == "running":
                with contextlib.suppress(Exception):
                    members = self._ask()
            with self._changed:
                if members is not None:
                    self._members = members
                # A client that connects again has lost all of its builds nevertheless.
                self._is_lost = self._is_lost or self._client.status != "running"
                self._changed.notify_all()
            self._is_over.wait(_LOOK_SECONDS)

    def _ask(self) -> dict[str, Member]:
        facts = self._client.scheduler_info(n_workers=-1)["workers"]
        return {
            address: Member(int(each["nthreads"]), int(each["resources"].get(MEMORY, 0)))
            for address, each in facts.items()
            if each.get("resources", {}).get(SLOT)
        }
