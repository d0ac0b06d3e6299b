"""A build as a text: the task that a worker is given, and its answer.

This is all that travels: names, digests and facts. Files go through a directory that all machines
of the cluster see, under the SHA-256 of their contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wheelforge.lockfile.model import LockedPython
    from wheelforge.models import BuildRequest, Outcome
    from wheelforge.settings import Settings

SLOT, MEMORY = "wheelforge", "memory"
"""The resources of workers: builds at a time, which no other worker has, and bytes."""


class File(NamedTuple):
    """A file by its name and its content."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTerms:
    """The things that a worker has to have, and that many tasks have in common."""

    version: str
    """Of wheelforge."""
    settings: Settings
    """Without a cache, which is the worker's own."""
    target: LockedPython
    """The Python of the settings, as it is on the machine of the batch."""
    constraints: tuple[File, ...] = ()
    trusted: tuple[File, ...] = ()
    """Public keys of remote caches."""
    offers: tuple[File, ...] = ()
    """Wheels of this batch that may be built with, and the files beside them."""


class Task(NamedTuple):
    """One build."""

    name: str
    """The directory for its runs."""
    store: str
    """The directory for files."""
    marker: str
    """The content of a file in there, by which a worker knows that it sees the same directory."""
    terms: str
    """The digest of the terms."""
    number: int
    request: BuildRequest
    source: str = ""
    """The digest of the sdist, if it is a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The end of a task: an outcome, or the reason why this worker does no such builds."""

    refusal: str = ""
    worker: str = ""
    """Its address, with a refusal."""
    run: str = ""
    """The directory of this run."""
    outcome: Outcome | None = None
    files: tuple[File, ...] = ()
    """Artifacts, and the files beside them."""
    log: str = ""
    """The digest of the log, if there is one."""


def run_task(text: str) -> str:
    """Do a task, in a worker."""
    from wheelforge.batch.executors.task_worker import TaskWorker

    return TaskWorker.answer(text)
