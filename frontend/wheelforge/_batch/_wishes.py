"""What somebody wants built: sources as they were named, and what files of requirements say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge._resolve import parse_constraints, read_constraints_file
from wheelforge.errors import ConstraintsInvalidError
from wheelforge_isolation.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from wheelforge._models import BuildRequest
    from wheelforge._resolve import Constraints

_CONSTRAINT = ("-c", "--constraint")


class Wish(Value):
    """One source, and on which terms."""

    request: BuildRequest
    accepted: tuple[str, ...] = ()
    """The hashes that were stated for it, as ``sha256:...``."""
    requirement: str = ""
    """As it was spelled, with extras and marker, if it is one."""


def read_requirements(paths: Iterable[Path]) -> Constraints:
    """Return what files of requirements say together."""
    return parse_constraints(paths, _read)


def make_wish(request: BuildRequest, accepted: tuple[str, ...] = ()) -> Wish:
    """Return the wish for ``request``, whose source may be a requirement with all its parts."""
    found = _parse(request.source) if isinstance(request.source, str) else None
    if found is None:
        return Wish(request=request, accepted=accepted)
    plain = f"{found.name} @ {found.url}" if found.url else f"{found.name}{found.specifier}"
    whole = str(request.source)
    return Wish(request=replace(request, source=plain), accepted=accepted, requirement=whole)


def merge(wishes: Sequence[Wish]) -> list[Wish]:
    """Return each wish once, with all the hashes that were stated for it."""
    merged: dict[tuple[object, str], Wish] = {}
    for wish in wishes:
        key = (wish.request.source, wish.requirement)
        known = merged.get(key, replace(wish, accepted=()))
        merged[key] = replace(known, accepted=(*known.accepted, *wish.accepted))
    return list(merged.values())


def list_requirements(wishes: Sequence[Wish]) -> tuple[dict[str, tuple[str, ...]], list[Wish]]:
    """Return the hashes of each requirement among ``wishes``, and what is none."""
    stated: dict[str, tuple[str, ...]] = {}
    others: list[Wish] = []
    for wish in wishes:
        if wish.requirement:
            stated[wish.requirement] = (*stated.get(wish.requirement, ()), *wish.accepted)
        else:
            others.append(wish)
    return stated, others


def applies(requirement: str, markers: Mapping[str, str]) -> bool:
    """Return whether it is one for a Python with these ``markers``, as is what is none at all."""
    found = _parse(requirement)
    return found is None or found.marker is None or found.marker.evaluate(dict(markers))


def _parse(text: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _read(path: Path) -> str:
    text = read_constraints_file(path)
    for number, line in enumerate(text.splitlines(), 1):
        # It would be built like everything else.
        if line.lstrip().startswith(_CONSTRAINT):
            raise ConstraintsInvalidError(str(path), number, "constraints have no meaning here")
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
