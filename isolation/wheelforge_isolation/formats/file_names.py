"""File names of wheels and sdists, and the versions and tags in them.

`packaging` judges each part of a name. The parts are cut out here, and judged once each: an index
lists thousands of files that share a few versions and tags, and a name of a few kilobytes could
expand to billions of tags.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.formats import FormatError

if TYPE_CHECKING:
    from packaging.version import Version

WHEEL_SUFFIX = ".whl"
SDIST_SUFFIXES = (".tar.gz", ".zip")
OLD_SDIST_SUFFIXES = (".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar.lzma", ".tar.z")
"""Indexes have taken none of these since 2018 (PEP 527), and the sdist format names none.

They are not read: each is another decompressor that hostile archives could aim at.
"""
OLD_SDIST = "only .tar.gz and .zip are read: rename a .tgz, and repack others"
_LONGEST_NAME = 255
"""No file system in wide use stores a longer name; no version or tag in a name is longer."""
_MOST_TAGS = 1000
_CACHED = 1 << 14
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*")
"""Letters of file names that mean the same on every platform, none of them in a path."""
_TAG = r"\w+(?:\.\w+)*"
_WHEEL = re.compile(
    r"(?P<name>[\w.]+)-(?P<version>[\w.!+]+)(?:-(?P<build>[0-9][\w.]*))?"
    rf"-(?P<tags>{_TAG}-{_TAG}-{_TAG})\.whl",
    re.ASCII,
)


class VersionError(FormatError):
    """A version is not one, or is too long to be one."""


class WheelName(NamedTuple):
    """The parts of the file name of a wheel."""

    file_name: str
    name: str
    """In normal form."""
    version: Version
    build: str
    """As the file name has it; empty for nearly every wheel."""
    tags: tuple[str, ...]
    """Every interpreter, ABI and platform that the wheel is for, sorted: ``py3-none-any``."""

    @property
    def build_order(self) -> tuple[int, str]:
        """The build tag in the form in which the higher one is preferred."""
        rest = self.build.lstrip(string.digits)
        return int(self.build.removesuffix(rest) or -1), rest

    def is_release(self, name: str, version: str) -> bool:
        """Return whether ``name`` and ``version``, however spelled, are those of this wheel."""
        try:
            return parse_version(version) == self.version and normalize_name(name) == self.name
        except FormatError:
            return False


class SdistName(NamedTuple):
    """The parts of the file name of an sdist."""

    file_name: str
    name: str
    """In normal form."""
    version: Version


def is_plain_file_name(text: str) -> bool:
    """Return whether ``text`` is a file name on every platform, and never a path."""
    return len(text) <= _LONGEST_NAME and _PLAIN.fullmatch(text) is not None


@lru_cache(_CACHED)
def normalize_name(name: str) -> str:
    """Return the name of a project in the form that all its spellings share."""
    from packaging.utils import canonicalize_name

    if len(name) > _LONGEST_NAME:
        raise FormatError("the name of the project is too long")
    try:
        return canonicalize_name(name, validate=True)
    except ValueError as error:
        raise FormatError("the name of the project is not valid") from error


@lru_cache(_CACHED)
def parse_version(text: str) -> Version:
    """Return a version; no number of thousands of digits is converted."""
    from packaging.version import Version

    if len(text) > _LONGEST_NAME:
        raise VersionError("the version is too long")
    try:
        return Version(text)
    except ValueError as error:
        raise VersionError("the version is not valid") from error


@lru_cache(_CACHED)
def expand_tags(compressed: str) -> tuple[str, ...]:
    """Return the tags that a compressed tag, such as ``py2.py3-none-any``, stands for, sorted."""
    from packaging.tags import TooManyTagsError, parse_tag

    if len(compressed) > _LONGEST_NAME:
        raise FormatError("a tag is too long")
    try:
        return tuple(sorted(map(str, parse_tag(compressed, limit=_MOST_TAGS))))
    except TooManyTagsError as error:
        raise FormatError(f"it stands for more than {_MOST_TAGS} tags") from error
    except ValueError as error:
        raise FormatError("a tag is not valid") from error


def parse_wheel_name(file_name: str) -> WheelName:
    """Return what the file name of a wheel says."""
    found = _WHEEL.fullmatch(file_name) if is_plain_file_name(file_name) else None
    if found is None:
        raise FormatError("the file is not called name-version-python-abi-platform.whl")
    name, version, build, tags = found.group("name", "version", "build", "tags")
    if "__" in name:
        raise FormatError("the name of the project has two underscores in a row")
    return WheelName(
        file_name, normalize_name(name), parse_version(version), build or "", expand_tags(tags)
    )


def parse_sdist_name(file_name: str, project: str = "") -> SdistName:
    """Return what the file name of an sdist says.

    In old names the version has hyphens too: these are read where the ``project`` is known.
    """
    suffix = next(filter(file_name.endswith, SDIST_SUFFIXES), "")
    if not suffix or not is_plain_file_name(file_name):
        raise FormatError("the file is not called name-version.tar.gz")
    found = [
        SdistName(file_name, *release)
        for release in read_releases(file_name.removesuffix(suffix))
        if project in {"", release[0]}
    ]
    if not found:
        raise VersionError("the file name has no valid version")
    return found[0] if project else found[-1]


def parse_file_name(file_name: str) -> WheelName | SdistName:
    """Return what the file name of a wheel or an sdist says."""
    is_wheel = file_name.endswith(WHEEL_SUFFIX)
    return parse_wheel_name(file_name) if is_wheel else parse_sdist_name(file_name)


def read_releases(stem: str) -> Iterator[tuple[str, Version]]:
    """Yield each name and version that ``stem`` can mean: both may have hyphens."""
    pieces = stem.split("-") if len(stem) <= _LONGEST_NAME else ()
    for count in range(1, len(pieces)):
        try:
            version = parse_version("-".join(pieces[count:]))
            yield normalize_name("-".join(pieces[:count])), version
        except FormatError:
            continue


def find_rank(tags: Iterable[str], ranks: Mapping[str, int]) -> int | None:
    """Return the rank of the best of ``tags``, the smaller the better, if there is one."""
    return min((ranks[tag] for tag in tags if tag in ranks), default=None)
