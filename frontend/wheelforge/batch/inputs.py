"""The sources of a batch: paths, URLs and requirements, from words and from requirement files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import UsageError
from wheelforge.resolve import read_constraints, read_constraints_file
from wheelforge_isolation.formats import requirements
from wheelforge_isolation.formats.requirements import find_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelforge.models import BuildRequest
    from wheelforge.resolve import Constraints

_CONSTRAINT = ("-c", "--constraint")


class BuildInput(NamedTuple):
    """One source, and how it was written if that was a requirement."""

    request: BuildRequest
    requirement: str = ""
    """As it was spelled, with extras and marker, if it is one."""


def read_requirements(paths: Iterable[Path]) -> Constraints:
    """Return what files of requirements say together."""
    return read_constraints(paths, _read, lambda _: None)  # sources may be paths, too


def make_input(request: BuildRequest) -> BuildInput:
    """Return the input of ``request``, whose source may be a requirement with all its parts."""
    found = find_requirement(request.source) if isinstance(request.source, str) else None
    if found is None:
        return BuildInput(request=request)
    plain = f"{found.name} @ {found.url}" if found.url else f"{found.name}{found.specifier}"
    whole = str(request.source)
    return BuildInput(request=replace(request, source=plain), requirement=whole)


def merge(inputs: Sequence[BuildInput]) -> list[BuildInput]:
    """Return each input once, with all the hashes that were stated for it."""
    merged: dict[tuple[object, str], BuildInput] = {}
    for each in inputs:
        key = (each.request.source, each.requirement)
        request = merged[key].request if key in merged else replace(each.request, hashes=())
        hashes = (*request.hashes, *each.request.hashes)
        merged[key] = each._replace(request=replace(request, hashes=hashes))
    return list(merged.values())


def list_requirements(
    inputs: Sequence[BuildInput],
) -> tuple[dict[str, tuple[str, ...]], list[BuildInput]]:
    """Return the hashes of each requirement, and the inputs that are no requirements."""
    stated: dict[str, tuple[str, ...]] = {}
    others: list[BuildInput] = []
    for each in inputs:
        if each.requirement:
            stated[each.requirement] = (*stated.get(each.requirement, ()), *each.request.hashes)
        else:
            others.append(each)
    return stated, others


def applies(requirement: str, markers: Mapping[str, str]) -> bool:
    """Return whether the marker of ``requirement`` holds; anything but a requirement applies."""
    found = find_requirement(requirement)
    return found is None or requirements.applies(found, markers)


def _read(path: Path) -> str:
    text = read_constraints_file(path)
    for number, line in enumerate(text.splitlines(), 1):
        # It would be built like everything else.
        if line.lstrip().startswith(_CONSTRAINT):
            raise UsageError(
                "constraints-invalid", str(path), number, "constraints have no meaning here"
            )
    return text


def parse_names(texts: Iterable[str]) -> frozenset[str]:
    """Return the normalised names in lists of them; ``:none:`` forgets those before it."""
    from packaging.utils import canonicalize_name

    names = set[str]()
    for name in (name.strip() for text in texts for name in text.split(",")):
        if name == ":none:":
            names.clear()
        elif name:
            names.add(name if name == ":all:" else canonicalize_name(name))
    return frozenset(names)
