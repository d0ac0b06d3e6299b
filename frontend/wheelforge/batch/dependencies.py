"""Requirements and all that they require at run time, as an installer would choose it.

What an index has as a wheel is kept as it is. What it has as an sdist only has to be built while
the set is chosen, as nobody else can say what it requires.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.batch.inputs import applies
from wheelforge.batch.jobs import Job
from wheelforge.models import BuildRequest, Kind
from wheelforge.resolve import Question, hand_over, resolve
from wheelforge_isolation import digest, ensure_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wheelforge.batch.worker import Worker
    from wheelforge.index import Candidate, Index
    from wheelforge.resolve import Delivery
    from wheelforge_isolation import WheelKey

_SUBJECT = "the whole set"


class DependencySet:
    """Chooses the wheels of some requirements and of all that these require.

    ``stated`` has the accepted hashes of each requirement. ``pattern`` says how sdists are built
    and where everything goes. ``no_binary`` has the normalised names, or ``:all:``, of which the
    wheels of an index are not taken.
    """

    def __init__(
        self,
        worker: Worker,
        stated: Mapping[str, tuple[str, ...]],
        pattern: BuildRequest,
        no_binary: frozenset[str],
    ) -> None:
        self.worker = worker
        self.pattern = pattern
        self._stated = stated
        self._no_binary = no_binary

    def list_jobs(self, python: str | None, numbers: Iterator[int]) -> Iterator[Job]:
        """Yield a job for each wheel; each job of it delivers a wheel that is there, or fetches."""
        forges = self.worker.forges
        index = forges.open_index(python, no_binary=self._no_binary)
        builder = _SetBuilder(self, python, index)
        interpreter = forges.pythons[python]
        question = Question(
            requirements=tuple(text for text in self._stated if applies(text, interpreter.markers)),
            python=interpreter,
            index_identity=index.settings.identity,
            hashes={text: hashes for text, hashes in self._stated.items() if hashes},
            require_hashes=forges.settings.require_hashes,
            exclude_newer=forges.settings.exclude_newer,
            subject=_SUBJECT,
        )
        answer = resolve(question, index, builder.build)
        place = builder.make_place()
        delivery = hand_over(answer, index, builder.build, workspace=place)
        for key in delivery.keys:
            request = replace(self.pattern, source=f"{key.name}=={key.version}")
            yield Job(
                number=next(numbers),
                request=request,
                python=python,
                make=partial(_put, delivery, key),
                sha256=builder.origins.get(key.file_name, ""),
            )


class _SetBuilder:
    """Builds the sdists of a set, each of them once."""

    def __init__(self, whole: DependencySet, python: str | None, index: Index) -> None:
        self.origins: dict[str, str] = {}
        """For the file name of each wheel the SHA-256 of its sdist."""
        self._worker = whole.worker
        self._pattern = whole.pattern
        self._python = python
        self._index = index
        self._wheels: dict[str, Path] = {}
        self._numbers = itertools.count()

    def build(self, candidate: Candidate) -> Path:
        """Return the wheel of an sdist."""
        if candidate.url not in self._wheels:
            self._wheels[candidate.url] = self._build(candidate)
        return self._wheels[candidate.url]

    def make_place(self) -> Path:
        """Return a new directory."""
        name = f"set-{self._python or ''}".replace("/", "-").replace("\\", "-").replace(":", "-")
        place = self._worker.place / f"{name}-{next(self._numbers)}"
        ensure_directory(str(place))
        return place

    def _build(self, candidate: Candidate) -> Path:
        place = self.make_place()
        sdist = place / candidate.file_name
        self._index.fetch(candidate, str(sdist))
        sha256 = digest(sdist)
        wheel = self._find_delivered(candidate, sha256)
        if wheel is None:
            request = replace(self._pattern, source=sdist, output=place / "wheel")
            wheel = self._worker.forges.open(self._python).build(request).artifacts[0].path
        self.origins[wheel.name] = sha256
        return wheel

    def _find_delivered(self, candidate: Candidate, sha256: str) -> Path | None:
        worker = self._worker
        request = replace(self._pattern, source=f"{candidate.name}=={candidate.version}")
        job = Job(number=0, request=request, python=self._python)
        interpreter = worker.forges.pythons[self._python]
        found = worker.deliveries.find(job, sha256, interpreter) if worker.resumes else ()
        return found[0].path if found else None


def make_pattern(request: BuildRequest) -> BuildRequest:
    """Return how ``request`` has things built, and where, for wheels alone."""
    return replace(request, kinds=(Kind.WHEEL,))


def _put(delivery: Delivery, key: WheelKey, place: Path) -> Path:
    path = place / key.file_name
    delivery.fetch(key, str(path))
    return path
