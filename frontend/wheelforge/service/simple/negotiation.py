"""Which form of a page a client gets, and whether packed, by its headers. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.index.pages import HTML, JSON

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT_HTML = "text/html"
_LATEST = {
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
}
FORMS = (JSON, HTML, TEXT_HTML)
"""The better ones first."""
_MOST_KNOWN = 128
"""Headers that are remembered: most clients say one of a few."""


class _Range(NamedTuple):
    kind: str
    quality: float

    def fit(self, form: str) -> int:
        """Return how closely it names a form; 0: not at all."""
        if self.kind == form:
            return 3
        if self.kind == f"{form.partition('/')[0]}/*":
            return 2
        return 1 if self.kind == "*/*" else 0


@lru_cache(_MOST_KNOWN)
def choose_form(accept: str) -> str | None:
    """Return the content type for a client that says this; None if none is acceptable to it."""
    ranges = [found for part in accept.split(",") if (found := _read_range(part)) is not None]
    if not ranges:
        return TEXT_HTML
    best: tuple[float, bool, int] = (0.0, False, 0)
    chosen = None
    for place, form in enumerate(FORMS):
        fit, quality = max(((each.fit(form), each.quality) for each in ranges), default=(0, 0.0))
        # Of those that a wildcard stands for, a person wants to read the page.
        rank = (quality, fit > 2, -place if fit > 2 else place)  # ruff: ignore[magic-value-comparison]
        if fit and quality and (chosen is None or rank > best):
            best, chosen = rank, form
    return chosen


@lru_cache(_MOST_KNOWN)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client that says this takes gzip as gladly as bytes that are not packed."""
    parts = (part.split(";") for part in accept_encoding.lower().split(","))
    found = {name.strip(): _read_quality(parameters) or 0.0 for name, *parameters in parts}
    packed = found.get("gzip", found.get("x-gzip", found.get("*", 0.0)))
    return packed > 0 and packed >= found.get("identity", 0.0)


def _read_range(part: str) -> _Range | None:
    kind, *parameters = (each.strip().lower() for each in part.split(";"))
    quality = _read_quality(parameters)
    if "/" not in kind or quality is None:
        return None
    return _Range(_LATEST.get(kind, kind), quality)


def _read_quality(parameters: Iterable[str]) -> float | None:
    """Return the quality that parameters give, 1 if they give none; None if it is no number."""
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                return None
    return quality
