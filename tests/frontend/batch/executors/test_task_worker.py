"""Tasks that a worker does, and the reasons for which it does not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.builds import Ground, write_sdist
from wheelforge.batch.executors.store import EVENTS, Store
from wheelforge.batch.executors.task_worker import TaskWorker
from wheelforge.batch.executors.tasks import Answer, File, Task, TaskTerms
from wheelforge.batch.executors.wire import from_text, to_text
from wheelforge.build.targets import find_layout, find_python
from wheelforge.events import BuildEvent
from wheelforge.hooks.sandbox.settings import SandboxSettings
from wheelforge.lockfile.model import LockedPython, describe_python
from wheelforge.models import BuildRequest, Kind
from wheelforge.version import VERSION
from wheelforge_isolation import IsolationError, digest


class Batch:
    """The other side: a store, and terms that this machine meets unless they are changed."""

    def __init__(self, place: Path) -> None:
        self.ground = Ground.make(place)
        self.store, self.marker = Store.make(place / "store")
        settings = replace(self.ground.settings(), cache_dir=None)
        python = find_python(settings, find_layout(self.ground.cache))
        self.terms = TaskTerms(version=VERSION, settings=settings, target=describe_python(python))
        self.worker = TaskWorker(self.ground.cache, 2, 2)
        self.worker.address = "tcp://here"

    def describe(self, sdist: Path, terms: TaskTerms, number: int = 0) -> Task:
        return Task(
            name=f"batch-{number}",
            store=str(self.store.root),
            marker=self.marker,
            terms=self.store.add_text(to_text(terms)),
            number=number,
            request=BuildRequest(source=sdist, output=Path("/out"), kinds=(Kind.WHEEL,)),
            source=self.store.add(sdist),
        )

    def do(self, task: Task) -> Answer:
        return from_text(self.worker.do(to_text(task)), Answer)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return write_sdist(tmp_path, build_wheel="print('made')")


def test_worker__answers_with_outcome_files_events_and_log(batch: Batch, sdist: Path) -> None:
    task = batch.describe(sdist, batch.terms)
    content = sdist.read_bytes()
    sdist.unlink()  # another machine does not have it

    answer = batch.do(task)

    run = batch.store.runs / task.name / answer.run
    assert answer.outcome is not None
    assert answer.outcome.error is None
    assert answer.outcome.request == task.request
    (artifact,) = answer.outcome.artifacts
    assert answer.files == (File(artifact.path.name, artifact.sha256),)
    assert digest(run / artifact.sha256) == artifact.sha256
    assert b"made" in (run / answer.log).read_bytes()
    lines = (run / EVENTS).read_text(encoding="ascii").splitlines()
    events = [from_text(line, BuildEvent) for line in lines]
    assert {event.id for event in events} == {"1"}
    assert (events[0].kind, events[-1].kind) == ("started", "finished")
    assert (batch.store.root / "files" / task.source).read_bytes() == content
    batch.worker.cancel_all()
    assert not batch.worker.is_busy()
    assert batch.ground.stages == []


def refused(batch: Batch, sdist: Path, terms: TaskTerms) -> str:
    answer = batch.do(batch.describe(sdist, terms))
    assert answer.outcome is None
    assert answer.worker == "tcp://here"
    assert not (batch.store.runs / "batch-0").exists()
    return answer.refusal


def test_worker__of_another_version_says_so(batch: Batch, sdist: Path) -> None:
    reason = refused(batch, sdist, replace(batch.terms, version="99.0"))

    assert reason == f"it is wheelforge {VERSION}, and the batch is 99.0"


def test_worker__with_another_python_says_so(batch: Batch, sdist: Path) -> None:
    other = LockedPython("cpython", "3.9", "cp39", "win32", "AMD64")

    reason = refused(batch, sdist, replace(batch.terms, target=other))

    assert "that of the batch is cpython 3.9 (cp39) on win32 AMD64" in reason


def test_worker__without_the_python_says_so(batch: Batch, sdist: Path) -> None:
    settings = replace(batch.terms.settings, python="/nowhere/python")

    assert "/nowhere/python" in refused(batch, sdist, replace(batch.terms, settings=settings))


def test_worker__without_the_sandbox_says_so(batch: Batch, sdist: Path) -> None:
    sandbox = SandboxSettings(wanted="/nowhere/sandbox {}")
    settings = replace(batch.terms.settings, sandbox=sandbox)

    reason = refused(batch, sdist, replace(batch.terms, settings=settings))

    assert reason.startswith("sandbox-")


def test_worker__without_the_directory_of_files_says_so(batch: Batch, sdist: Path) -> None:
    settings = replace(batch.terms.settings, find_links=("/nowhere/links",))

    reason = refused(batch, sdist, replace(batch.terms, settings=settings))

    assert reason == "it does not see `/nowhere/links`, where files are looked for"


@pytest.mark.parametrize("root", ["/nowhere", ""])
def test_worker__that_sees_another_directory_says_so(batch: Batch, sdist: Path, root: str) -> None:
    task = batch.describe(sdist, batch.terms)
    task = task._replace(store=root) if root else task._replace(marker="other")

    answer = batch.do(task)

    assert "it does not see the directory" in answer.refusal


def test_worker__does_not_guess_at_tasks_of_other_versions(batch: Batch, sdist: Path) -> None:
    facts = json.loads(to_text(batch.describe(sdist, batch.terms)))
    facts["v"]["more"] = 1

    answer = from_text(batch.worker.do(json.dumps(facts)), Answer)

    assert answer.refusal == f"it is wheelforge {VERSION}, which does not know such tasks"


def test_worker__a_damaged_source_is_not_built(batch: Batch, sdist: Path) -> None:
    task = batch.describe(sdist, batch.terms)
    (batch.store.root / "files" / task.source).write_bytes(b"other")
    sdist.unlink()

    answer = batch.do(task)

    assert answer.outcome is not None
    assert answer.outcome.error is not None
    assert answer.outcome.error.code == "hash-mismatch"


def test_worker__closes_what_is_not_used_any_more(batch: Batch, sdist: Path) -> None:
    batch.do(batch.describe(sdist, batch.terms))

    batch.worker.sweep()
    assert batch.worker.is_busy()
    batch.worker.sweep(0.0)

    assert not batch.worker.is_busy()
    assert batch.ground.stages == []


def test_store__takes_no_name_that_leads_elsewhere(tmp_path: Path) -> None:
    store, _ = Store.make(tmp_path / "store")
    sha256 = store.add_text("x")

    with pytest.raises(ValueError, match="is no name of a file"):
        store.copy(File("../x", sha256), tmp_path / "out")
    with pytest.raises(ValueError, match="is no name of a file"):
        store.copy(File("x", "../marker"), tmp_path / "out")


def test_store__a_file_that_was_changed_is_an_error(tmp_path: Path) -> None:
    store, _ = Store.make(tmp_path / "store")
    sha256 = store.add_text("x")
    (tmp_path / "store" / "files" / sha256).write_text("y", encoding="ascii")

    with pytest.raises(IsolationError, match="was expected"):
        store.copy(File("x", sha256), tmp_path / "out")
