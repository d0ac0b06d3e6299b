"""Requirements and all that they require at run time, as an installer would choose it.

What an index has as a wheel is kept as it is. What it has as an sdist only has to be built while
the set is chosen, as only its build can say what it requires.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.batch.inputs import applies
from wheelforge.batch.jobs import Job
from wheelforge.build.session import BuildSession
from wheelforge.errors import RequirementsError
from wheelforge.resolve import ResolutionRequest, prepare_wheels, resolve
from wheelforge_isolation import digest, ensure_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from wheelforge.batch.inputs import BuildInput
    from wheelforge.batch.options import BatchOptions
    from wheelforge.batch.worker import Worker
    from wheelforge.index import Candidate
    from wheelforge.models import BuildRequest, Outcome
    from wheelforge.resolve import FetchPlan, Resolution
    from wheelforge.resolve.types import Builder
    from wheelforge_isolation import WheelKey

_SUBJECT = "the whole set"
_MOST_ROUNDS = 5


class DependencySet:
    """Chooses the wheels of some requirements for one Python, and of all that these require.

    ``pattern`` says how sdists are built and where everything goes; ``inputs`` have the config
    settings that are for single ones.
    """

    def __init__(
        self,
        worker: Worker,
        python: str | None,
        pattern: BuildRequest,
        options: BatchOptions,
        inputs: Iterable[BuildInput],
    ) -> None:
        self._worker = worker
        self._python = python
        self._pattern = pattern
        self._interpreter = worker.forges.pythons[python]
        self._options = options
        self._index = worker.forges.open_index(
            python, no_binary=options.no_binary, only_binary=options.only_binary
        )
        self._config_settings = {each.name: each.config_settings for each in inputs}
        self._wheels: dict[str, Path] = {}
        """The wheel of each sdist that was built, by its URL."""
        self._built: dict[str, Outcome] = {}
        """How each of them was built, by its file name."""
        self._places = itertools.count()
        overrides = self._worker.forges.settings.overrides
        self._versions = dict.fromkeys(overrides.matched if overrides else (), "")
        """Those in the set to which overrides match what sdists are built with; first any."""

    def list_jobs(
        self, stated: Mapping[str, tuple[str, ...]], numbers: Iterator[int]
    ) -> Iterator[Job]:
        """Yield a job for each wheel, which delivers the one that was built or else fetches it.

        ``stated`` has the accepted hashes of each requirement.
        """
        answer = self.settle(stated, self._build_once)
        place = self._make_place()
        plan = prepare_wheels(answer, self._index, self._build_once, workspace=place)
        for key in plan.keys:
            yield Job(
                number=next(numbers),
                request=self.make_request(key.name, key.version),
                python=self._python,
                make=partial(_put, plan, key),
                built=self._built.get(key.file_name),
            )

    def settle(self, stated: Mapping[str, tuple[str, ...]], build: Builder) -> Resolution:
        """Return the files of a set whose sdists are built with the versions that it has itself.

        These are known only once it is chosen, and what an sdist requires may depend on them.
        """
        for _ in range(_MOST_ROUNDS):
            answer = self._choose(stated, build)
            found = {pin.name: pin.version for pin in answer.pins if pin.name in self._versions}
            if found == self._versions:
                return answer
            self._versions = found
            self._wheels.clear()
        raise RequirementsError("set-unsettled", tuple(sorted(self._versions)))

    def _choose(self, stated: Mapping[str, tuple[str, ...]], build: Builder) -> Resolution:
        """Return the files of the whole set; ``build`` makes wheels of sdists."""
        settings, markers = self._worker.forges.settings, self._interpreter.markers
        limits = self._options.constraints
        wanted = ResolutionRequest(
            requirements=tuple(text for text in stated if applies(text, markers)),
            python=self._interpreter,
            index_identity=self._index.settings.identity,
            constraints=limits.texts,
            hashes={**limits.hashes, **{text: found for text, found in stated.items() if found}},
            require_hashes=settings.require_hashes or self._options.require_hashes,
            exclude_newer=settings.exclude_newer,
            subject=_SUBJECT,
            refuses_wheel=settings.find_refusal(markers),
        )
        return resolve(wanted, self._index, build)

    def _build_once(self, candidate: Candidate) -> Path:
        """Return the wheel of an sdist."""
        if candidate.url not in self._wheels:
            self._wheels[candidate.url] = self._build(candidate)
        return self._wheels[candidate.url]

    def _build(self, candidate: Candidate) -> Path:
        worker, place = self._worker, self._make_place()
        sdist = place / candidate.file_name
        self._index.fetch(candidate, str(sdist))
        sha256 = digest(sdist)
        pattern = self.make_request(candidate.name, str(candidate.version))
        outcome = worker.find_delivered(pattern, sha256, self._python) if worker.resumes else None
        if outcome is None:
            request = replace(pattern, source=sdist, output=place / "wheel")
            context = worker.forges.open(self._python).context
            outcome = BuildSession(context, request, id=place.name).run()
            if outcome.error is not None:
                raise outcome.error
        wheel = outcome.artifacts[0].path
        self._built[wheel.name] = outcome
        return wheel

    def make_request(self, name: str, version: str) -> BuildRequest:
        """Return the request for the wheel of a release in the set."""
        own = self._config_settings.get(name, {})
        return replace(
            self._pattern,
            source=f"{name}=={version}",
            config_settings={**self._pattern.config_settings, **own},
            set_versions=self._versions,
        )

    def _make_place(self) -> Path:
        name = f"set-{self._python or ''}".replace("/", "-").replace("\\", "-").replace(":", "-")
        place = self._worker.place / f"{name}-{next(self._places)}"
        ensure_directory(str(place))
        return place


def _put(plan: FetchPlan, key: WheelKey, place: Path) -> Path:
    path = place / key.file_name
    plan.fetch(key, str(path))
    return path
