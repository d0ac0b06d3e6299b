"""Requirements and all that they require at run time, as an installer would choose it.

What an index has as a wheel is kept as it is. What it has as an sdist only has to be built while
the set is chosen, as nobody else can say what it requires.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from wheelforge._batch._jobs import Job
from wheelforge._batch._wishes import applies
from wheelforge._models import BuildRequest, Kind
from wheelforge._resolve import Question, hand_over, resolve
from wheelforge_isolation import digest, ensure_directory
from wheelforge_isolation.values import Value, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wheelforge._batch._deliveries import Deliveries
    from wheelforge._batch._shop import Shop
    from wheelforge._index import Candidate, Index
    from wheelforge._resolve import Delivery
    from wheelforge_isolation import WheelKey

_SUBJECT = "the whole set"


class WholeSet(Value):
    """Chooses what belongs to some requirements."""

    shop: Shop
    deliveries: Deliveries
    stated: Mapping[str, tuple[str, ...]]
    """For each requirement the hashes that are accepted."""
    pattern: BuildRequest
    """How each of the sdists is built, and where everything goes."""
    no_binary: frozenset[str]
    """What is not to be had as a wheel: normalised names, or ``:all:``."""
    place: Path
    """Private."""
    resumes: bool = False

    def list_jobs(self, python: str | None, numbers: Iterator[int]) -> Iterator[Job]:
        """Yield a job for each wheel; each job of it delivers a wheel that is there, or fetches."""
        settings = self.shop.settings
        index = self._open_index(python)
        builder = _SetBuilder(whole=self, python=python, index=index)
        interpreter = self.shop.pythons[python]
        question = Question(
            requirements=tuple(text for text in self.stated if applies(text, interpreter.markers)),
            python=interpreter,
            index=index.settings.identity,
            hashes={text: hashes for text, hashes in self.stated.items() if hashes},
            require_hashes=settings.require_hashes,
            exclude_newer=settings.exclude_newer,
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

    def _open_index(self, python: str | None) -> Index:
        from wheelforge._index import Index

        found = self.shop.open_index(python)
        names = found.settings.no_binary | self.no_binary
        interpreter = self.shop.pythons[python]
        index = Index(
            replace(found.settings, no_binary=names), interpreter.tags, interpreter.version
        )
        return self.shop.stack.enter_context(index)


class _SetBuilder(Value):
    """Builds the sdists of a set, each of them once."""

    whole: WholeSet
    python: str | None
    index: Index
    origins: dict[str, str] = field(default_factory=dict[str, str])
    """For the file name of each wheel the SHA-256 of its sdist."""
    _wheels: dict[str, Path] = field(default_factory=dict[str, "Path"])
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def build(self, candidate: Candidate) -> Path:
        """Return the wheel of an sdist."""
        if candidate.url not in self._wheels:
            self._wheels[candidate.url] = self._build(candidate)
        return self._wheels[candidate.url]

    def make_place(self) -> Path:
        """Return a new directory."""
        name = f"set-{self.python or ''}".replace("/", "-").replace("\\", "-").replace(":", "-")
        place = self.whole.place / f"{name}-{next(self._numbers)}"
        ensure_directory(str(place))
        return place

    def _build(self, candidate: Candidate) -> Path:
        place = self.make_place()
        sdist = place / candidate.file_name
        self.index.fetch(candidate, str(sdist))
        sha256 = digest(sdist)
        wheel = self._find_delivered(candidate, sha256)
        if wheel is None:
            request = replace(self.whole.pattern, source=sdist, output=place / "wheel")
            wheel = self.whole.shop.open(self.python).build(request).artifacts[0].path
        self.origins[wheel.name] = sha256
        return wheel

    def _find_delivered(self, candidate: Candidate, sha256: str) -> Path | None:
        whole = self.whole
        request = replace(whole.pattern, source=f"{candidate.name}=={candidate.version}")
        job = Job(number=0, request=request, python=self.python)
        interpreter = whole.shop.pythons[self.python]
        found = whole.deliveries.find(job, sha256, interpreter) if whole.resumes else ()
        return found[0].path if found else None


def make_pattern(request: BuildRequest) -> BuildRequest:
    """Return how ``request`` has things built, and where, for wheels alone."""
    return replace(request, kinds=(Kind.WHEEL,))


def _put(delivery: Delivery, key: WheelKey, place: Path) -> Path:
    path = place / key.file_name
    delivery.fetch(key, str(path))
    return path
