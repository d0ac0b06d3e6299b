"""The types of arguments: paths, sizes, times and the like, read from one word each."""

from __future__ import annotations

import os
import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors import SourceError
from wheelforge_isolation.formats import FormatError, amounts
from wheelforge_isolation.formats.text import find_meant

if TYPE_CHECKING:
    import argparse
    import datetime as dt
    from collections.abc import Callable, Collection
    from typing import Any, Protocol

    from wheelforge.batch.shards import Shard
    from wheelforge.service.simple.rules import PolicyRule

    class Options(Protocol):
        """A parser, or a group of its options."""

        def add_argument(self, *names: str, **facts: Any) -> argparse.Action:  # ruff: ignore[any-type]
            """Add one option."""
            ...

        def add_mutually_exclusive_group(self) -> Options:
            """Add a group of which one may be given."""
            ...


_LAST_PORT = 65535
_YES, _NO = {"1", "on", "true", "yes"}, {"", "0", "off", "false", "no"}


def absolute_path(text: str) -> Path:
    """Return an absolute path, without `..`."""
    if not text:  # as of a variable of the shell that is not set; it would be the directory here
        raise ArgumentTypeError("its value is empty")
    if "://" in text:
        from wheelforge_isolation.formats.urls import redact

        raise ArgumentTypeError(f"`{redact(text)}` is a URL, and no path")
    path = Path(text)
    return path.resolve() if ".." in path.parts else path.absolute()


def parse_requirement_file(text: str) -> Path:
    """Return an absolute path, or `-` as it is: standard input."""
    return Path(text) if text == "-" else absolute_path(text)


def parse_output_directory(text: str) -> Path:
    """Return the path of a directory, which need not exist yet."""
    path = absolute_path(text)
    nearest = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not os.path.isdir(nearest):  # ruff: ignore[os-path-isdir]
        found = text if nearest == path else nearest
        raise ArgumentTypeError(f"`{found}` is a file, not a directory")
    return path


def parse_size(text: str) -> int:
    """Return bytes: ``5GB``, ``512MiB``, or a plain number of them."""
    return int(_explain(amounts.parse_size, text))


def parse_count(text: str) -> int:
    """Return a number of things, of which there has to be one."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"`{text}` is not a number from 1 on")
    return int(text)


def parse_rate(text: str) -> float:
    """Return a share of things, between none and all of them: ``0.05`` or ``5%``."""
    bare = text.strip().removesuffix("%")
    try:
        rate = float(bare) / (100 if "%" in text else 1)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ArgumentTypeError(f"`{text}` is not a share, like 0.05 or 5%")
    return rate


def parse_shard(text: str) -> Shard:
    """Return which of how many parts: ``2/5``."""
    from wheelforge.batch.shards import Shard

    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ArgumentTypeError(f"`{text}` is not K/N, like 2/5, with K from 1 to N")
    return Shard(int(number), int(count))


def parse_days(text: str) -> float:
    """Return days: ``30d``, ``12h``, ``2w``, or a plain number of them."""
    seconds = amounts.SECONDS
    days = {"": seconds["d"], **seconds}
    return _explain(amounts.parse_amount, text, days, "an age like 30d") / seconds["d"]


def parse_seconds(text: str) -> float:
    """Return seconds: ``600``, ``10m``, ``2h``."""
    return _explain(amounts.parse_seconds, text)


def parse_remote(text: str) -> str:
    """Return the URL of a remote cache as it is, and the absolute path of a directory."""
    from wheelforge.remote.stores import READ_ONLY, read_location

    found = read_location(text)
    if "://" in text:
        return text
    return f"{absolute_path(found.url)}{READ_ONLY if found.is_read_only else ''}"


def read_source(text: str) -> Path | str:
    """Return a path if something is there; else the name, requirement or URL as it is.

    So a directory `demo` is built, and not the release of that name.
    """
    path = Path(text)
    is_path = os.path.lexists(path) or path.name != text or is_archive_name(text)
    if not is_path or "://" in text:
        return text
    reason = _find_reason_against(text, path)
    if reason:
        raise SourceError("source-invalid", text, reason)
    return absolute_path(text)


def _find_reason_against(text: str, path: Path) -> str:
    """Return what to name in the place of a path that is no source."""
    if not text:
        return "its name is empty"
    if path.name in {"pyproject.toml", "setup.py", "setup.cfg"}:
        return "name the directory of the project"
    if path.suffix == ".txt":
        return f"`-r {text}` builds what a requirements file names"
    if path.is_file() and path.suffix != ".whl" and not is_archive_name(text):
        return "it is neither the directory of a project nor a `.tar.gz` or `.zip` file"
    return ""


def list_sdists(source: Path | str) -> list[Path | str]:
    """Return the sdists in a directory that is no project; any other source as it is."""
    if not isinstance(source, Path) or not source.is_dir():
        return [source]
    if any((source / name).exists() for name in ("pyproject.toml", "setup.py")):
        return [source]
    found = [path for path in sorted(source.iterdir()) if is_archive_name(path.name)]
    if not found:
        reason = "it has neither a `pyproject.toml` nor a `setup.py`, and no sdists"
        raise SourceError("project-invalid", str(source), reason)
    return [*found]


def is_archive_name(text: str) -> bool:
    """Return whether ``text`` ends as the name of an sdist does."""
    from wheelforge_isolation.formats.file_names import OLD_SDIST_SUFFIXES, SDIST_SUFFIXES

    return text.endswith((*SDIST_SUFFIXES, *OLD_SDIST_SUFFIXES))


def parse_python(text: str) -> str:
    """Return a version as it is, and anything that can be a path as an absolute one."""
    return str(absolute_path(text)) if os.sep in text or Path(text).exists() else text


def parse_target(text: str) -> tuple[str, str]:
    """Return a name, and the Python that it means."""
    name, _, python = text.partition("=")
    if not re.fullmatch(r"[\w.-]+", name) or not python:
        raise ArgumentTypeError(f"`{text}` is not like `py312=3.12`")
    return name, parse_python(python)


def parse_sandbox(text: str) -> tuple[str, str]:
    """Return the name of a target, and the sandbox of its builds."""
    name, _, sandbox = text.partition("=")
    if not name or not sandbox:
        raise ArgumentTypeError(f"`{text}` is not like `py312=strict`")
    return name, sandbox


def parse_platform(text: str) -> tuple[str, str]:
    """Return a target or nothing, and the platform that auditwheel makes wheels fit for."""
    from wheelforge.build.repair import PLATFORM, can_repair

    target, _, platform = text.rpartition("=")
    if not PLATFORM.fullmatch(platform):
        raise ArgumentTypeError(f"`{text}` is not like `manylinux_2_28` or `py312=manylinux_2_28`")
    if not can_repair():
        raise ArgumentTypeError("this needs auditwheel, which is not installed beside wheelforge")
    return target, platform


def parse_policy(text: str) -> PolicyRule:
    """Return a policy of the index, and the target and the project that it is for."""
    from wheelforge.service.simple.rules import POLICIES, parse_rule

    rule = parse_rule(text)
    if rule is None:
        known = ", ".join(POLICIES)
        raise ArgumentTypeError(f"`{text}` is not like `latest` or `py312/numpy=source` ({known})")
    return rule


def parse_listener(text: str) -> tuple[str, int]:
    """Return a host and a port to listen on."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ArgumentTypeError(f"`{text}` is not like `127.0.0.1:8765`")
    return host, int(port)


def parse_server(text: str) -> str:
    """Return the address of a server as it is."""
    from wheelforge_isolation.formats import urls

    scheme, _, path = text.partition(":")
    if scheme == "unix" and path:
        return text
    if scheme not in {"http", "https"} or not urls.is_url(text):
        raise ArgumentTypeError(
            f"`{urls.redact(text)}` is not like `unix:PATH` or `http://HOST:PORT`"
        )
    try:
        urls.check_url(text)
    except ValueError as error:
        raise ArgumentTypeError(f"`{urls.redact(text)}` is not a URL: {error}") from error
    return text


def parse_place(text: str) -> str:
    """Return a URL as it is, and the absolute path of a file or directory that there is."""
    from wheelforge_isolation.formats import urls

    if urls.is_url(text):
        shown = urls.redact(text)
        if urls.scheme_of(text) not in urls.FETCHED_SCHEMES:
            raise ArgumentTypeError(f"`{shown}` is none of `https:`, `http:` and `file:`")
        try:
            urls.check_url(text)
        except ValueError as error:
            raise ArgumentTypeError(f"`{shown}` is not a URL: {error}") from error
        return text
    path = absolute_path(text)
    if not path.exists():
        raise ArgumentTypeError(f"`{text}` is neither a URL nor a file or directory")
    return str(path)


def parse_time(text: str) -> dt.datetime:
    """Return the time that ``text`` means."""
    import datetime as dt

    from wheelforge.resolve import parse_cutoff

    return parse_cutoff(text, dt.datetime.now(dt.UTC))


def suggest(
    word: str, known: Collection[str], otherwise: str, *, alike: float = 0.6, prefix: str = ""
) -> str:
    """Return a question for the ``known`` word that is meant, or ``otherwise`` if none is alike."""
    meant = find_meant(word, known, alike)
    return f"did you mean `{prefix}{meant}`?" if meant else otherwise


def parse_flag(text: str) -> bool:
    """Return whether a variable that stands for a switch turns it on."""
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise ArgumentTypeError(f"`{text}` is neither yes nor no")
    return word in _YES


def split_words(text: str) -> list[str]:
    """Return the values in a variable: blanks part them, unless quotes hold them together."""
    import shlex

    words = shlex.shlex(text, posix=True)
    words.whitespace_split, words.commenters = True, ""
    words.escape = ""  # paths on Windows
    return list(words)


def _explain(parse: Callable[..., float], *facts: object) -> float:
    try:
        return parse(*facts)
    except FormatError as error:
        raise ArgumentTypeError(str(error)) from error


def describe_size(size_bytes: float) -> str:
    """Return a size as people read it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:  # ruff: ignore[magic-value-comparison]
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"
