"""Files that options name: their lines become inputs, their options those of the command line."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.batch import strip_requirement
from wheelforge.batch.locked_inputs import LockedFile, is_locked_file
from wheelforge.build.sources import parse_source
from wheelforge.build.targets import find_layout, find_python
from wheelforge.cli.argument_types import is_archive_name, read_source
from wheelforge.cli.settings import make_places
from wheelforge.errors import SourceError
from wheelforge.resolve.requirement_files import (
    FileOptions,
    RequirementLine,
    read_requirement_files,
)
from wheelforge_isolation.formats.requirements import find_requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wheelforge.batch.locked_inputs import LockedInput
    from wheelforge.cli.command_options import CommandOptions

STANDARD_INPUT = Path("-")
_EXTRAS = re.compile(r"\[[^\[\]]*\]$")


def read_option_files(options: CommandOptions, tell: Callable[[str], None]) -> None:
    """Read the files of `-r` and `--build-constraint` into ``options.file_inputs``.

    As with pip, options in a file add to those of the command line, and an index replaces its.
    """
    ignored: dict[str, None] = {}
    for _ in _read(options, options.build_constraint or (), ignored, is_constraint=True):
        pass  # each environment reads the constraints
    inputs = options.file_inputs
    for path in getattr(options, "requirement", None) or ():
        if is_locked_file(path):
            is_empty = not _read_locked(options, path, tell)
        else:
            found = list(_read(options, (path,), ignored))
            inputs.lines += found
            is_empty = all(line.is_constraint for line in found)
        if is_empty:
            name = "standard input" if path == STANDARD_INPUT else f"`{path}`"
            tell(f"{name} names nothing to build")
    for name in ignored:
        tell(f"`{name}` in a requirements file is ignored: it has no meaning here")


def _read(
    options: CommandOptions,
    paths: Sequence[Path],
    ignored: dict[str, None],
    *,
    is_constraint: bool = False,
) -> Iterator[RequirementLine]:
    for said in read_requirement_files(
        paths, os.environ, read=partial(_read_bytes, options), is_constraint=is_constraint
    ):
        if isinstance(said, FileOptions):
            ignored.update(dict.fromkeys(said.ignored))
            _apply(options, said)
        else:
            yield said


def _read_locked(options: CommandOptions, path: Path, tell: Callable[[str], None]) -> bool:
    """Add what the lock of a project has for each Python; return whether there is anything."""
    settings, file = make_places(options), LockedFile(path)
    found: dict[LockedInput, set[str | None]] = {}
    versions: dict[str | None, dict[str, str]] = {}
    for python in options.pythons or [None]:
        find_markers = options.file_inputs.find_markers
        markers = (
            find_python(settings, find_layout(settings.cache_dir), python).markers
            if find_markers is None
            else find_markers(python)
        )
        for each in file.select(markers):
            found.setdefault(each, set()).add(python)
            name, _, version = each.name.partition(" ")
            versions.setdefault(python, {}).update({name: version} if version else {})
    wheels = sorted(f"`{each.name}`" for each in found if each.source is None)
    if wheels:
        tell(f"`{path}` has nothing but wheels of {', '.join(wheels)}: these are left out")
    inputs = options.file_inputs
    inputs.locked += [(each, frozenset(pythons), versions) for each, pythons in found.items()]
    return len(wheels) < len(found)


def _read_bytes(options: CommandOptions, path: Path) -> bytes:
    if path != STANDARD_INPUT:
        return path.read_bytes()
    known = options.file_inputs.standard_input
    content = sys.stdin.buffer.read() if known is None else known
    options.file_inputs.standard_input = content
    return content


def _apply(options: CommandOptions, said: FileOptions) -> None:
    inputs = options.file_inputs
    if said.index_url is not None:
        options.index_url, options.extra_index_url = said.index_url, []
    if said.require_hashes is not None:
        inputs.requires_hashes = said.require_hashes
    inputs.formats += said.formats
    inputs.trusted_hosts += said.trusted_hosts
    options.no_index = options.no_index or said.no_index
    for name, texts in (
        ("extra_index_url", said.extra_index_urls),
        ("find_links", said.find_links),
    ):
        setattr(options, name, [*(getattr(options, name) or ()), *texts])


def read_line_source(line: RequirementLine) -> Path | str:
    """Return the source that a line names, or the error that names the line."""
    try:
        source = _read_source(line.text)
        if isinstance(source, str):
            parse_source(strip_requirement(source))
    except SourceError as error:
        raise line.make_error(str(error)) from error
    return source


def _read_source(text: str) -> Path | str:
    """Return what the text means to pip: a bare name is never a directory."""
    named = find_requirement(text)
    if named is not None and (named.url or not (is_archive_name(text) and Path(text).exists())):
        return text
    if "://" in text:
        return text
    place = _EXTRAS.sub("", text)  # nothing is installed
    path = read_source(place)
    if isinstance(path, Path) and not path.exists():
        raise SourceError("source-invalid", text, "there is no such file or directory")
    return path
