"""The sources of a batch: paths, URLs and requirements, with what is stated for each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.formats import requirements
from wheelforge_isolation.formats.requirements import find_name, find_requirement
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wheelforge.models import BuildRequest
    from wheelforge.resolve import Constraints


class BuildInput(NamedTuple):
    """One source, and how it was written if that was a requirement."""

    request: BuildRequest
    requirement: str = ""
    """As it was spelled, with extras and marker, if it is one."""
    config_settings: Mapping[str, object] = {}
    """For this source alone, besides those of the request."""
    pythons: frozenset[str | None] | None = None
    """Those that it is for, as they were asked for; None: all of them."""

    set_versions: Mapping[str | None, Mapping[str, str]] = {}
    """Those of the lock that it is from, for each Python."""

    @property
    def name(self) -> str:
        """The normalised name that a requirement is about."""
        return find_name(self.requirement)

    @property
    def label(self) -> str:
        """How it was named, for messages."""
        return redact(self.requirement) or self.request.label

    def is_for(self, python: str | None, markers: Mapping[str, str]) -> bool:
        """Return whether it is to be built with ``python``, which has these ``markers``."""
        is_named = self.pythons is None or python in self.pythons
        return is_named and applies(self.requirement, markers)

    def constrain(self, constraints: Constraints, markers: Mapping[str, str]) -> BuildRequest:
        """Return what is to be built, limited by what constraints say of its name."""
        request = self.request
        settings = {**request.config_settings, **self.config_settings}
        request = replace(request, config_settings=settings)
        for text in constraints.texts if self.name else ():
            found, limit = find_requirement(str(request.source)), find_requirement(text)
            is_meant = found and limit and self.name == find_name(text)
            if found and limit and is_meant and not found.url and applies(text, markers):
                found.specifier &= limit.specifier
                hashes = constraints.hashes.get(text, ())
                common = tuple(each for each in request.hashes if each in hashes)
                plain = f"{found.name} @ {limit.url}" if limit.url else str(found)
                request = replace(request, source=plain, hashes=common or request.hashes or hashes)
        return request


def make_input(request: BuildRequest) -> BuildInput:
    """Return the input of ``request``, whose source may be a requirement with all its parts."""
    whole = request.source
    if not isinstance(whole, str) or find_requirement(whole) is None:
        return BuildInput(request=request)
    return BuildInput(request=replace(request, source=strip_requirement(whole)), requirement=whole)


def strip_requirement(text: str) -> str:
    """Return a requirement without its extras and its marker; any other text as it is."""
    found = find_requirement(text)
    if found is None:
        return text
    return f"{found.name} @ {found.url}" if found.url else f"{found.name}{found.specifier}"


def merge(inputs: Sequence[BuildInput]) -> list[BuildInput]:
    """Return each input once, with all the hashes that were stated for it."""
    merged: dict[tuple[object, str], BuildInput] = {}
    for each in inputs:
        key = (each.request.source, each.requirement)
        request = merged[key].request if key in merged else replace(each.request, hashes=())
        hashes = (*request.hashes, *each.request.hashes)
        pythons = each.pythons
        if key in merged and pythons is not None:
            others = merged[key].pythons
            pythons = None if others is None else pythons | others
        merged[key] = each._replace(request=replace(request, hashes=hashes), pythons=pythons)
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


def find_gap(inputs: Sequence[BuildInput], markers: Mapping[str | None, Mapping[str, str]]) -> str:
    """Return that nothing is built, if every input is for other Pythons than those of ``markers``.

    A file of such requirements would be done in silence.
    """
    if not inputs or any(each.is_for(*one) for one in markers.items() for each in inputs):
        return ""
    versions = dict.fromkeys(one["python_full_version"] for one in markers.values())
    return f"nothing to build: the markers of all requirements exclude Python {', '.join(versions)}"


def applies(requirement: str, markers: Mapping[str, str]) -> bool:
    """Return whether the marker of ``requirement`` holds; anything but a requirement applies."""
    found = find_requirement(requirement)
    return found is None or requirements.applies(found, markers)


def read_format_control(
    options: Iterable[tuple[str, str]],
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the normalised names of `--no-binary` and of `--only-binary`, or ``:all:``.

    As with pip the last option that names a project counts; ``:none:`` forgets all before it.
    """
    from packaging.utils import canonicalize_name

    names: dict[str, set[str]] = {"--no-binary": set(), "--only-binary": set()}
    for option, value in options:
        chosen, (other,) = names[option], (names[each] for each in names if each != option)
        before, all_, rest = f",{value},".rpartition(",:all:,")
        if all_:
            chosen.clear()
            other.clear()
            chosen.add(":all:")
        for name in filter(None, map(str.strip, (rest or before).split(","))):
            if name == ":none:":
                chosen.clear()
            elif not (all_ and ":none:" not in rest):
                chosen.add(canonicalize_name(name))
                other.discard(canonicalize_name(name))
    return frozenset(names["--no-binary"]), frozenset(names["--only-binary"])
