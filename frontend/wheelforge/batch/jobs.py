"""One source and one Python, and the order in which such pairs are built.

A project of the same run that another one requires for its build is built before it, and offered to
it.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.project import read_project
from wheelforge.errors import RequirementsError
from wheelforge.models import Kind
from wheelforge_isolation import ForgeError, unpack
from wheelforge_isolation.formats.requirements import find_requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wheelforge.build.project import Project
    from wheelforge.models import BuildRequest

    Make = Callable[[Path], Path]


class Job(NamedTuple):
    """One source, to be built with one Python."""

    number: int
    request: BuildRequest
    python: str | None = None
    """As it was asked for."""
    make: Make | None = None
    """Puts a wheel that is there already into a directory; nothing where one is to be built."""
    sha256: str = ""
    """Of the sdist that such a wheel was built of."""
    needs: frozenset[int] = frozenset()
    """The jobs whose wheels it is built with."""
    level: int = 0
    """How many builds there are before it in the longest row of such needs."""


def arrange(jobs: Sequence[Job], place: Path) -> list[Job]:
    """Return ``jobs`` with their needs among each other; ``place`` takes what is looked at."""
    projects = dict(_read_projects(jobs, place))
    arranged: list[Job] = []
    for python in dict.fromkeys(job.python for job in jobs):
        own = [job for job in jobs if job.python == python]
        arranged += _arrange(own, projects)
    return sorted(arranged, key=lambda job: job.number)


def _read_projects(jobs: Sequence[Job], place: Path) -> Iterator[tuple[Path, Project]]:
    """Yield what each source is; nothing of what only its build can say."""
    sources = dict.fromkeys(job.request.source for job in jobs if job.make is None)
    paths = [source for source in sources if isinstance(source, Path)]
    if len(sources) < 2 or not any(path.is_dir() for path in paths):  # ruff: ignore[magic-value-comparison]
        return
    for number, path in enumerate(paths):
        try:
            root = path if path.is_dir() else unpack(path, place / str(number)).root
            yield path, read_project(root)
        except ForgeError:
            continue  # which its build will say


def _arrange(jobs: list[Job], projects: Mapping[Path, Project]) -> list[Job]:
    offers = {name: job for job in jobs if (name := _name_of(job, projects))}
    needs = {job.number: _find_needs(job, projects, offers) for job in jobs}
    levels: dict[int, int] = {}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        labels = {job.number: job.request.label for job in jobs}
        ring = [labels[number] for number in reversed(error.args[1])]
        raise RequirementsError("build-cycle", tuple(ring)) from error
    for number in order:
        levels[number] = max((levels[need] + 1 for need in needs[number]), default=0)
    return [job._replace(needs=needs[job.number], level=levels[job.number]) for job in jobs]


def _name_of(job: Job, projects: Mapping[Path, Project]) -> str:
    """Return the name under which others can require what a job makes, or nothing."""
    from packaging.utils import canonicalize_name

    project, kinds = _find_project(job, projects), job.request.kinds
    makes_wheel = not kinds or Kind.WHEEL in kinds
    if project is None or not makes_wheel or not Path(job.request.source).is_dir():
        return ""
    return canonicalize_name(project.name)


def _find_needs(
    job: Job, projects: Mapping[Path, Project], offers: Mapping[str, Job]
) -> frozenset[int]:
    from packaging.utils import canonicalize_name

    project = _find_project(job, projects)
    found = set[int]()
    for text in project.requires if project else ():
        requirement = find_requirement(text)
        # If it is no project, its build will say so.
        offer = offers.get(canonicalize_name(requirement.name)) if requirement else None
        # Who requires itself wants an older one, from an index.
        if offer is not None and offer.request.source != job.request.source:
            found.add(offer.number)
    return frozenset(found)


def _find_project(job: Job, projects: Mapping[Path, Project]) -> Project | None:
    """Return what was read of the source that ``job`` builds, if something was."""
    source = job.request.source
    return projects.get(source) if isinstance(source, Path) and not job.make else None
