"""How things are spelled in a lock: equal ones the same, and nothing secret or local."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from wheelforge._resolve._question import find_local_path, without_secrets
from wheelforge_isolation.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge._resolve import Pin

_SECRET = re.compile(
    r"auth|credential|expires|key|pass|policy|secret|session|sig|token|user", re.IGNORECASE
)
SUBDIRECTORY = "subdirectory="
"""What of a fragment says more than the hash does."""


def spell_label(label: str) -> str:
    """Return a name that can be written, whatever the file system made of it."""
    return label.encode("utf-8", "backslashreplace").decode()


def spell_requirements(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements in the order and the spelling that equal ones share."""
    return tuple(sorted({_spell_requirement(text) for text in requirements}))


def _spell_requirement(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    plain = spell_label(without_secrets(" ".join(text.split())))
    try:
        requirement = Requirement(plain)
    except InvalidRequirement:
        return plain
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    requirement.url = requirement.url and spell_url(requirement.url)
    return str(requirement)


def spell_url(url: str) -> str:
    """Return ``url`` without what lets somebody in."""
    parts = urlsplit(url)
    query = [pair for pair in parts.query.split("&") if not _SECRET.search(pair.partition("=")[0])]
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="&".join(query)).geturl()


def spell_pin(pin: Pin) -> Pin:
    """Return what of ``pin`` is locked."""
    path = find_local_path(pin.url)
    bare, _, fragment = spell_url(pin.url).partition("#")
    inside = [pair for pair in fragment.split("&") if pair.startswith(SUBDIRECTORY)]
    if path is not None:
        bare = Path(path).as_uri()
    is_index = path is None and "://" in pin.origin and not is_direct(pin)
    origin = spell_url(pin.origin) if is_index else ""
    if is_direct(pin) or not (origin or is_standard(pin)):
        origin = bare
    return replace(
        pin,
        url="#".join((bare, *inside[:1])),
        origin=origin,
        requested_by=(),
        accepted=(f"sha256:{pin.sha256}",),
    )


def is_direct(pin: Pin) -> bool:
    """Return whether somebody named the file itself, and no index did."""
    return spell_url(pin.origin) == spell_url(pin.url).partition("#")[0]


def is_standard(pin: Pin) -> bool:
    """Return whether a file name says which name and version it is, as the standard has it."""
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    parse = parse_wheel_filename if pin.is_wheel else parse_sdist_filename
    try:
        name, version, *_ = parse(pin.file_name)
    except (InvalidSdistFilename, InvalidWheelFilename):
        return False
    return (name, str(version)) == (pin.name, pin.version)


def name_in(url: str) -> str:
    """Return the file name in ``url``."""
    return unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
