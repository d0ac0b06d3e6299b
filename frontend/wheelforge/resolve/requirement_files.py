"""Files of requirements and of constraints, read as pip reads them.

A line is a requirement with options of its own, or it has options for everything that is built.
Relative paths of included files are relative to the file that includes them, those of
requirements to the working directory.
"""

from __future__ import annotations

import codecs
import locale
import optparse
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, cast

from wheelforge.errors import UsageError
from wheelforge_isolation.formats.file_names import SDIST_SUFFIXES, WHEEL_SUFFIX
from wheelforge_isolation.formats.urls import is_url, local_place, redact

if TYPE_CHECKING:
    Read = Callable[[Path], bytes]

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_ENCODING = re.compile(rb"#.*?coding[:=]\s*([-\w.]+)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)
_HEX = re.compile(r"[0-9a-f]*")
_HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_LISTS = {
    "requirements": ("-r", "--requirement"),
    "constraints": ("-c", "--constraint"),
    "editables": ("-e", "--editable"),
    "hashes": ("--hash",),
    "config_settings": ("-C", "--config-settings", "--config-setting"),
    "extra_index_urls": ("--extra-index-url",),
    "find_links": ("-f", "--find-links"),
    "trusted_hosts": ("--trusted-host",),
    "all_releases": ("--all-releases",),
    "only_final": ("--only-final",),
    "use_feature": ("--use-feature",),
}
_FLAGS = ("no_index", "require_hashes", "no_require_hashes", "pre", "prefer_binary")
_IGNORED = ("pre", "prefer_binary", "all_releases", "only_final", "use_feature")


class RequirementLine(NamedTuple):
    """A requirement or constraint of a file, and where it stands."""

    text: str
    path: str
    number: int
    hashes: tuple[str, ...] = ()
    """Those that are accepted, as ``sha256:...``."""
    config_settings: Mapping[str, object] = {}
    is_editable: bool = False
    is_constraint: bool = False

    def make_error(self, reason: str) -> UsageError:
        """Return the error that names the line."""
        code = "constraints-invalid" if self.is_constraint else "requirement-file-invalid"
        return UsageError(code, self.path, self.number, reason)


class FileOptions(NamedTuple):
    """The options of one line that are for all of a run."""

    index_url: str | None
    extra_index_urls: tuple[str, ...]
    find_links: tuple[str, ...]
    formats: tuple[tuple[str, str], ...]
    """The options `--no-binary` and `--only-binary` with their values: the last one counts."""
    trusted_hosts: tuple[str, ...]
    no_index: bool
    require_hashes: bool | None
    """None: the line says nothing of it."""
    ignored: tuple[str, ...]
    """Options of pip that mean nothing here."""


def read_requirement_files(
    paths: Iterable[Path],
    variables: Mapping[str, str],
    *,
    read: Read = Path.read_bytes,
    is_constraint: bool = False,
) -> Iterator[RequirementLine | FileOptions]:
    """Yield what the lines of all files say, in their order."""
    for path in paths:
        reader = _Reader(variables, read)
        yield from reader.parse(path, (), is_constraint=is_constraint)


class _Include(NamedTuple):
    path: Path
    is_constraint: bool


class _Reader(NamedTuple):
    variables: Mapping[str, str]
    read: Read

    def parse(
        self, path: Path, outer: tuple[Path, ...], *, is_constraint: bool
    ) -> Iterator[RequirementLine | FileOptions]:
        outer = (*outer, Path(os.path.normpath(path)))
        whole = RequirementLine("", str(path), 0, is_constraint=is_constraint)
        for number, line in _join_lines(self._decode(path, whole).splitlines()):
            text = self._expand(_COMMENT.sub("", line).strip())
            place = whole._replace(number=number)
            try:
                said = _read_line(text, place, outer) if text else None
            except ValueError as error:
                raise place.make_error(str(error)) from error
            if isinstance(said, _Include):
                yield from self.parse(said.path, outer, is_constraint=said.is_constraint)
            elif said is not None:
                yield said

    def _decode(self, path: Path, whole: RequirementLine) -> str:
        try:
            return _decode(self.read(path))
        except UnicodeDecodeError as error:
            reason = "it is not UTF-8"
            if path.name.endswith((*SDIST_SUFFIXES, WHEEL_SUFFIX)):
                reason = "it is an archive, and no requirements file"
            raise whole.make_error(reason) from error
        except IsADirectoryError as error:
            raise whole.make_error("it is a directory, and no requirements file") from error
        except LookupError as error:
            raise whole.make_error(str(error)) from error
        except OSError as error:
            raise whole.make_error(error.strerror or str(error)) from error

    def _expand(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.variables.get(found[1]) or found[0], text)


def _decode(content: bytes) -> str:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.removeprefix(mark).decode(encoding)
    for line in content.split(b"\n", 2)[:2]:
        stated = _ENCODING.match(line)
        if stated:
            return content.decode(stated[1].decode())
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(locale.getencoding())


def _join_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines with the numbers they begin at, continued ones joined."""
    start, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        start = start if parts else number
        # In a comment line a backslash continues nothing, or the next one would be lost in it.
        is_comment = _COMMENT.match(line) is not None
        is_continued = line.endswith("\\") and not is_comment
        parts.append(line.strip("\\") if is_continued else f" {line}" if is_comment else line)
        if not is_continued:
            yield start, "".join(parts)
            parts = []
    if parts:
        yield start, "".join(parts)


# One line


def _read_line(
    text: str, place: RequirementLine, outer: tuple[Path, ...]
) -> RequirementLine | FileOptions | _Include:
    requirement, options = _split(text)
    config_settings = _read_config_settings(options.config_settings or ())
    if requirement:
        return place._replace(
            text=requirement,
            hashes=tuple(map(_check_hash, options.hashes or ())),
            config_settings=config_settings,
            is_editable=bool(options.editables),
        )
    if options.requirements or options.constraints:
        return _Include(_find_include(options, outer), is_constraint=not options.requirements)
    return _read_options(options, outer[-1].parent)


class _LineParser(optparse.OptionParser):
    """Raises what is wrong with a line."""

    def error(self, msg: str) -> NoReturn:
        raise ValueError(msg)


def _add_format(_: object, name: str, value: str, parser: optparse.OptionParser) -> None:
    if value.startswith("-"):
        raise ValueError(f"{name} option requires 1 argument")
    cast("optparse.Values", parser.values).ensure_value("formats", []).append((name, value))


@lru_cache(maxsize=1)
def _line_parser() -> _LineParser:
    parser = _LineParser(add_help_option=False)
    parser.add_option("-i", "--index-url", "--pypi-url", dest="index_url")
    for dest, names in _LISTS.items():
        parser.add_option(*names, dest=dest, action="append")
    for name in ("--no-binary", "--only-binary"):
        parser.add_option(
            *(name,), dest="formats", action="callback", type="string", callback=_add_format
        )
    for dest in _FLAGS:
        parser.add_option(f"--{dest.replace('_', '-')}", dest=dest, action="store_true")
    return parser


def _split(line: str) -> tuple[str, optparse.Values]:
    """Return the requirement of a line, if it has one, and its options.

    The requirement is no word of a shell: in a marker quotes have to stay.
    """
    words = line.split(" ")
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    options, _ = _line_parser().parse_args(shlex.split(" ".join(words[first:])))
    text = " ".join(words[:first]).strip()
    return text or (options.editables[0] if options.editables else ""), options


def _find_include(options: optparse.Values, outer: tuple[Path, ...]) -> Path:
    """Return the file that a line includes; ``outer`` ends with its own."""
    name: str = (options.requirements or options.constraints)[0]
    place = local_place(name)
    if place is None:
        raise ValueError(f"`{redact(name)}` is no local file")
    inner = Path(os.path.normpath(outer[-1].parent / place))
    if inner in outer:
        raise ValueError(f"the file includes itself through `{name}`")
    return inner


def _check_hash(text: str) -> str:
    algorithm, _, digest = text.lower().partition(":")
    if _HEX_LENGTHS.get(algorithm) != len(digest) or not _HEX.fullmatch(digest):
        raise ValueError(f"`--hash={text}` is no SHA-256, SHA-384 or SHA-512")
    return f"{algorithm}:{digest}"


def _read_config_settings(texts: Collection[str]) -> dict[str, object]:
    for text in texts:
        if not re.match(r"[^=]+=", text):
            raise ValueError(f"`--config-settings {text}` has to be KEY=VALUE")
    return group_settings(texts)


def group_settings(texts: Iterable[str]) -> dict[str, object]:
    """Return the values of ``KEY=VALUE`` by key; those of a key that is repeated as a list."""
    settings: dict[str, list[str]] = {}
    for text in texts:
        key, _, value = text.partition("=")
        settings.setdefault(key, []).append(value)
    return {key: values if values[1:] else values[0] for key, values in settings.items()}


def _read_options(options: optparse.Values, directory: Path) -> FileOptions:
    def find(place: str) -> str:
        beside = directory / place
        return place if is_url(place) or not beside.exists() else str(beside)

    is_strict = True if options.require_hashes else False if options.no_require_hashes else None
    return FileOptions(
        index_url=options.index_url,
        extra_index_urls=tuple(options.extra_index_urls or ()),
        find_links=tuple(map(find, options.find_links or ())),
        formats=tuple(options.formats or ()),
        trusted_hosts=tuple(options.trusted_hosts or ()),
        no_index=bool(options.no_index),
        require_hashes=is_strict,
        ignored=tuple(f"--{name.replace('_', '-')}" for name in _IGNORED if getattr(options, name)),
    )
