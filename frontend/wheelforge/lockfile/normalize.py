"""The form of things in a lock: the same for equal ones, and nothing secret or local."""

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

FORMAT = 1
"""Of the table ``tool.wheelforge``."""
SUBDIRECTORY = "subdirectory="
"""The part of a fragment that says more than the hash does."""


def refer(pin: Pin) -> str:
    """Return the reference to a file in the answers."""
    return f"{pin.file_name}#sha256={pin.sha256}"


def normalize_label(label: str) -> str:
    """Return a name that can be written, whatever the file system made of it."""
    return label.encode("utf-8", "backslashreplace").decode()


def normalize_requirements(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements sorted, in the spelling that equal ones share."""
    return tuple(sorted({_normalize_requirement(text) for text in requirements}))


def _normalize_requirement(text: str) -> str:
    from packaging.utils import canonicalize_name

    plain = normalize_label(" ".join(text.split()))
    requirement = find_requirement(plain)
    if requirement is None:
        return redact(plain)
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    requirement.url = requirement.url and without_secrets(requirement.url)
    return str(requirement)


def normalize_pin(pin: Pin) -> Pin:
    """Return ``pin`` as it is locked."""
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
    """Return whether a requirement named the file itself, and no index lists it."""
    return without_secrets(pin.origin) == without_secrets(pin.url).partition("#")[0]


def is_standard(pin: Pin) -> bool:
    """Return whether a file name states the name and the version in the standard form."""
    try:
        found = (parse_wheel_name if pin.is_wheel else parse_sdist_name)(pin.file_name)
    except FormatError:
        return False
    return (found.name, str(found.version)) == (pin.name, pin.version)
