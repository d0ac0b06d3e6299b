"""How things are spelled in a lock: equal ones the same, and nothing secret or local."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_sdist_name, parse_wheel_name
from wheelforge_isolation.formats.requirements import find_requirement
from wheelforge_isolation.formats.urls import local_path, redact, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.resolve import Pin

SUBDIRECTORY = "subdirectory="
"""What of a fragment says more than the hash does."""


def spell_label(label: str) -> str:
    """Return a name that can be written, whatever the file system made of it."""
    return label.encode("utf-8", "backslashreplace").decode()


def spell_requirements(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements in the order and the spelling that equal ones share."""
    return tuple(sorted({_spell_requirement(text) for text in requirements}))


def _spell_requirement(text: str) -> str:
    from packaging.utils import canonicalize_name

    plain = spell_label(" ".join(text.split()))
    requirement = find_requirement(plain)
    if requirement is None:
        return redact(plain)
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    requirement.url = requirement.url and without_secrets(requirement.url)
    return str(requirement)


def spell_pin(pin: Pin) -> Pin:
    """Return what of ``pin`` is locked."""
    path = local_path(pin.url)
    bare, _, fragment = without_secrets(pin.url).partition("#")
    inside = [pair for pair in fragment.split("&") if pair.startswith(SUBDIRECTORY)]
    if path is not None:
        bare = Path(path).as_uri()
    is_index = path is None and "://" in pin.origin and not is_direct(pin)
    origin = without_secrets(pin.origin) if is_index else ""
    if is_direct(pin) or not (origin or is_standard(pin)):
        origin = bare
    return pin._replace(
        url="#".join((bare, *inside[:1])),
        origin=origin,
        requested_by=(),
        accepted=(f"sha256:{pin.sha256}",),
    )


def is_direct(pin: Pin) -> bool:
    """Return whether somebody named the file itself, and no index did."""
    return without_secrets(pin.origin) == without_secrets(pin.url).partition("#")[0]


def is_standard(pin: Pin) -> bool:
    """Return whether a file name says which name and version it is, as the standard has it."""
    try:
        found = (parse_wheel_name if pin.is_wheel else parse_sdist_name)(pin.file_name)
    except FormatError:
        return False
    return (found.name, str(found.version)) == (pin.name, pin.version)
