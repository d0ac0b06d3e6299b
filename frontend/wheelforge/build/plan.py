"""The plan of one build: all that is known before a hook runs, by the code of the build itself."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelforge.build.environments import EnvironmentManager, forbid_build
from wheelforge.build.session import BuildSession
from wheelforge.errors import RequirementsError
from wheelforge.overrides.apply import identify
from wheelforge_isolation import ForgeError, open_stage, stage_name
from wheelforge_isolation.formats.requirements import find_name
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Collection

    from wheelforge.build.attempt import Attempt
    from wheelforge.build.context import BuildContext
    from wheelforge.build.environments import PlannedEnvironment
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import BuildRequest, Kind


@dataclass(kw_only=True, slots=True)
class BuildPlan:
    """One build as it would begin; filled in as far as that is known."""

    request: BuildRequest
    python: str = ""
    sha256: str = ""
    """Of the source, if it is a file."""
    kinds: tuple[Kind, ...] = ()
    name: str = ""
    version: str = ""
    is_reused: bool = False
    """Whether the wheel is one of an earlier build, so that nothing runs."""
    backend: str = ""
    requires: tuple[str, ...] = ()
    """As the project and overrides have them, without credentials."""
    environment: PlannedEnvironment | None = None
    """Nothing if it is not known, or if there will be none of its own."""
    notes: tuple[str, ...] = ()
    unknown: str = ""
    """Why the environment is not known."""
    error: ForgeError | None = None
    """With which the build would end."""

    def fail(self, error: ForgeError) -> BuildPlan:
        """Take note of an error, which may say that only a build could tell."""
        if isinstance(error, RequirementsError) and error.code == "needs-build":
            self.unknown = f"{error}, to know what it requires"
        else:
            self.error = error
        return self


def plan_build(
    context: BuildContext, request: BuildRequest, offered: Collection[str] = ()
) -> BuildPlan:
    """Return the plan of a build that is offered wheels of these names by other builds."""
    found = BuildPlan(request=request)
    if request.tree is not None:  # which is the build's to fill
        request = replace(request, tree=None, kinds=())
    session = BuildSession(context, request)
    try:
        found.python = context.targets.find(request.python).python.version
        _look_at_source(found, session, offered)
    except ForgeError as error:
        found.fail(error)
    found.notes = tuple(session.events.notes)
    return found


def _look_at_source(found: BuildPlan, session: BuildSession, offered: Collection[str]) -> None:
    context, request = session.context, session.request
    name = stage_name(f"plan-{request.label}", str(request.source))
    with open_stage(context.layout.stages, name) as stage:
        fetched = session.fetch(stage.path)
        found.sha256 = fetched.sha256
        found.is_reused, reused_notes = _look_at_reuse(context, request, fetched)
        session.events.note(*reused_notes)
        tree = session.lay_out(fetched, stage.path)
        attempt = session.open_attempt(tree, stage.path, io.BytesIO())
        _fill(found, attempt, context, offered)


def _look_at_reuse(
    context: BuildContext, request: BuildRequest, fetched: FetchedSource
) -> tuple[bool, list[str]]:
    """Return whether the wheel of an earlier build is delivered, and what is to be said of that."""
    wheel = context.reuse and context.reuse.open(request, fetched)
    found = wheel and wheel.look_for(forbid_build)
    if not found:
        return False, []
    notes = [] if found.cause is None else [found.cause.sentence]
    rate = context.settings.policy.verify_reuse
    if rate:
        share = "it is" if rate == 1 else f"{rate:.0%} of such wheels are"
        notes.append(f"its wheel is in the cache; {share} built again, and compared")
    return rate < 1, notes


def _fill(
    found: BuildPlan, attempt: Attempt, context: BuildContext, offered: Collection[str]
) -> None:
    tree = attempt.tree
    found.kinds = found.request.kinds or attempt.list_kinds()
    found.name, found.version = identify(tree.root, tree.metadata)
    project = attempt.read_project(tree)
    found.backend = project.backend
    required = attempt.list_required(project)
    found.requires = tuple(sorted(map(redact, required)))
    own = frozenset(text for text in required if find_name(text) not in offered)
    wanted, provider = attempt.request_environment(own), context.provider
    if isinstance(provider, EnvironmentManager):
        found.environment = provider.preview(wanted)
    else:
        provider.prepare(wanted, forbid_build)
        found.unknown = "none is made: the build has the Python's own"
