"""One source and one Python, and the order in which such pairs are built.

A project of the same run that another one requires for its build is built before it, and offered to
it.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from wheelforge.build.project import read_project
from wheelforge.errors import RequirementsError
from wheelforge.models import Kind
from wheelforge_isolation import ForgeError, unpack
from wheelforge_isolation.formats.requirements import find_requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wheelforge.build.project import Project
    from wheelforge.models import BuildRequest, Outcome
    from wheelforge.overrides.model import Overrides

    Make = Callable[[Path], Path]


class Job(NamedTuple):
    """One source, to be built with one Python."""

    number: int
    request: BuildRequest
    python: str | None = None
    """As it was asked for."""
    make: Make | None = None
    """Puts a wheel that is there already into a directory; nothing where one is to be built."""
    built: Outcome | None = None
    """How such a wheel was built, if it was, of an sdist of the set."""
    needs: frozenset[int] = frozenset()
    """The jobs whose wheels it is built with."""
    level: int = 0
    """How many builds there are before it in the longest row of such needs."""

    memory: int = 0
    """How many bytes it needs, as overrides say."""
    is_alone: bool = False
    """Whether nothing else is built meanwhile."""

    @property
    def id(self) -> str:
        """The id of its build in events and reports."""
        return str(self.number + 1)


def toposort(jobs: Sequence[Job], place: Path) -> list[Job]:
    """Return ``jobs`` with their needs among each other; ``place`` takes what is looked at."""
    read = dict(_read_projects(jobs, place))
    projects = {job.number: read[job.request.source] for job in jobs if job.request.source in read}
    arranged: list[Job] = []
    for python in dict.fromkeys(job.python for job in jobs):
        own = [job for job in jobs if job.python == python]
        arranged += _arrange(own, projects)
    return sorted(arranged, key=lambda job: job.number)


def limit(job: Job, overrides: Overrides, markers: Mapping[str, str]) -> Job:
    """Return ``job`` with the limits that ``overrides`` have for it."""
    from wheelforge.overrides.apply import identify_source

    request = job.request
    override = overrides.find(*identify_source(request.source, request.label), markers)
    memory, is_alone = (override.value("limits", name) for name in ("memory", "exclusive"))
    return job._replace(memory=int(cast("float", memory or 0)), is_alone=bool(is_alone))


def _read_projects(jobs: Sequence[Job], place: Path) -> Iterator[tuple[Path | str, Project]]:
    """Yield the project of each source that is built, as far as it can be read without a build."""
    sources = dict.fromkeys(job.request.source for job in jobs if _is_built(job))
    paths = [source for source in sources if isinstance(source, Path)]
    if len(sources) < 2 or not any(path.is_dir() for path in paths):  # ruff: ignore[magic-value-comparison]
        return
    for number, path in enumerate(paths):
        try:
            root = path if path.is_dir() else unpack(path, place / str(number)).root
            yield path, read_project(root)
        except ForgeError:
            continue  # which its build will say


def _is_built(job: Job) -> bool:
    return job.make is None and not job.request.stops_early


def _arrange(jobs: list[Job], projects: Mapping[int, Project]) -> list[Job]:
    """Return the jobs of one Python with their needs and levels."""
    from packaging.utils import canonicalize_name

    offers: dict[str, Job] = {}
    for job in jobs:
        makes_wheel = not job.request.kinds or Kind.WHEEL in job.request.kinds
        if job.number in projects and makes_wheel and Path(job.request.source).is_dir():
            offers[canonicalize_name(projects[job.number].name)] = job
    needs = {job.number: _find_needs(job, projects, offers) for job in jobs}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        labels = {job.number: job.request.label for job in jobs}
        ring = [labels[number] for number in reversed(error.args[1])]
        raise RequirementsError("build-cycle", tuple(ring)) from error
    levels: dict[int, int] = {}
    for number in order:
        levels[number] = max((levels[need] + 1 for need in needs[number]), default=0)
    return [job._replace(needs=needs[job.number], level=levels[job.number]) for job in jobs]


def _find_needs(
    job: Job, projects: Mapping[int, Project], offers: Mapping[str, Job]
) -> frozenset[int]:
    from packaging.utils import canonicalize_name

    found = set[int]()
    for text in projects[job.number].requires if job.number in projects else ():
        requirement = find_requirement(text)
        # If it is no project, its build will say so.
        offer = offers.get(canonicalize_name(requirement.name)) if requirement else None
        # A project that requires itself wants an older one, from an index.
        if offer is not None and offer.request.source != job.request.source:
            found.add(offer.number)
    return frozenset(found)
