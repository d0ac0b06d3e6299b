"""The sources on a command line: those that cannot be built are told before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import list_sdists, read_source
from wheelforge.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def read_sources(texts: Iterable[str], *, expands: bool) -> list[Path | str]:
    """Return the paths, requirements and URLs that are named.

    If it ``expands``, a directory of sdists counts as all of them.
    """
    texts = list(texts)
    found: list[Path | str] = []
    try:
        for source in map(read_source, texts):
            found += list_sdists(source) if expands else [source]
    except SourceError:
        check_sources(texts)  # there may be more that are wrong
        raise
    return found


def check_sources(sources: Sequence[Path | str]) -> None:
    """Refuse several sources if any of them is wrong; a single one is judged by its build."""
    errors: list[SourceError] = []
    for source in sources if len(sources) > 1 else ():
        try:
            _check(str(source))
        except SourceError as error:
            errors.append(error)
    if len(errors) > 1:
        reasons = tuple(f"`{error.source}`: {error.reason}" for error in errors)
        raise SourceError("sources-invalid", reasons)
    if errors:
        raise errors[0]


def _check(text: str) -> None:
    """Refuse a path that leads nowhere, and a text that is no requirement and no usable URL."""
    from wheelforge.batch.inputs import strip_requirement
    from wheelforge.build.sources import check_path, parse_source

    source = read_source(text)
    if isinstance(source, Path):
        check_path(source)
        list_sdists(source)
    else:
        parse_source(strip_requirement(source))
