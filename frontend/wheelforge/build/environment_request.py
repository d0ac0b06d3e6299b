"""From a build to the environment that it runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.models import EnvironmentRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wheelforge.models import BuildRequest
    from wheelforge.overrides.model import Override


def make_environment_request(
    request: BuildRequest, requirements: Iterable[str], override: Override | None, sha256: str
) -> EnvironmentRequest:
    """Return the request for an environment with ``requirements``, for a source of that digest."""
    return EnvironmentRequest(
        requirements=tuple(sorted(requirements)),
        label=request.label,
        sha256=sha256,
        chain=request.chain,
        cutoff=request.cutoff,
        python=request.python,
        constraints=request.constraints,
        variables=request.variables or {},
        set_versions=request.set_versions,
        replacements=_list_replacements(override, request.set_versions) if override else (),
        excluded=override.texts("build-requires", "remove") if override else (),
        overrides=override.list_applied() if override else (),
    )


def _list_replacements(override: Override, versions: Mapping[str, str]) -> tuple[str, ...]:
    return (*override.texts("build-requires", "replace"), *override.match(versions))
