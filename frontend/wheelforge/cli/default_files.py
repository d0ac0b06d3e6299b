"""Files with defaults of options: which there are, and what holds of all that they say.

A variable wins over the project's file, and that over the user's. The value of a higher level
replaces that of a lower one, a list as a whole. The command line is above all of them, and is no
matter of this module.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.cli.defaults import list_rivals

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from wheelforge.cli.defaults import Default

_FILE = "wheelforge.toml"
_IS_LINUX = sys.platform == "linux"
_WHICH = ("config", "no_config")
"""The values that say which files are read."""
_OF_USER = ("sandbox", "require_sandbox", "remote_key")
"""Values of the user's file that the project's does not replace: it may be one of what is built."""


def find_defaults(
    command: str,
    parser: argparse.ArgumentParser,
    files: list[Path],
    variables: dict[str, Default],
) -> dict[str, Default]:
    """Return all defaults of a command, by the names of its values: ``variables``, and files'."""
    if not files:
        return variables
    found: dict[str, Default] = {}
    for level in (*(_read_file(path, command) for path in files), variables):
        if level is not variables:
            level |= {dest: found[dest] for dest in _OF_USER if dest in found}
        rivals = set[str]().union(*(list_rivals(parser, dest) for dest in level))
        kept = {dest: default for dest, default in found.items() if dest not in rivals}
        found = {**kept, **level}
    return found


def _read_file(path: Path, command: str) -> dict[str, Default]:
    """Return the defaults in a file; a project does not say whose wheels get into the cache."""
    from wheelforge.cli.config_files import read_defaults

    found = read_defaults(path, command)
    if "remote_trust" in found and _is_of_project(path):
        from wheelforge.errors import UsageError

        reason = "a project may not say `remote-trust`; your own file, a variable or an option may"
        raise UsageError("config-invalid", str(path), 0, reason)
    return found


def _is_of_project(path: Path) -> bool:
    here = Path.cwd()
    is_found = path.parent in {here, *here.parents} and path.name in {_FILE, "pyproject.toml"}
    return is_found and path != _find_user_file()


def list_files(
    parser: argparse.ArgumentParser, words: list[str], variables: Mapping[str, Default]
) -> list[Path]:
    """Return the files with defaults, the user's first."""
    said = [word for word in words if word.startswith(("--config", "--no-config"))]
    given = {name: variables[name].value for name in _WHICH if name in variables}
    if said:
        asked, _ = parser.parse_known_intermixed_args(words)
        on_line = {name: value for name in _WHICH if (value := getattr(asked, name))}
        given = on_line or given
    if given.get("no_config"):
        return []
    named = given.get("config")
    if isinstance(named, Path):
        return [named]
    found = [_find_user_file(), _find_project_file(parser, words)]
    return [path for path in found if path is not None]


def find_user_directory() -> Path:
    """Return the directory of what the user has configured, which need not be there."""
    import platformdirs

    return platformdirs.user_config_path("wheelforge", appauthor=False)


def _find_user_file() -> Path | None:
    place = os.environ.get("XDG_CONFIG_HOME", "").strip() or "~/.config"
    # Nearly nobody has one, and the library takes longer to be imported than all that is here.
    if _IS_LINUX and not Path(place, "wheelforge").expanduser().exists():
        return None
    path = find_user_directory() / _FILE
    return path if path.is_file() else None


def _find_project_file(parser: argparse.ArgumentParser, words: list[str]) -> Path | None:
    """Return the file of the working directory, or of the next one above that has any.

    A directory above is left out if it is a source: what is built says nothing about how.
    """
    here = Path.cwd()
    for directory in (here, *here.parents):
        for name in (_FILE, "pyproject.toml"):
            path = directory / name
            if path.exists() and (name == _FILE or _has_table(path)):
                if directory != here and directory in _list_sources(parser, words):
                    return None
                check_owner(path, here)
                return path
    return None


def _has_table(path: Path) -> bool:
    """Return whether a pyproject.toml has a table of ours; most need not be parsed to know."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    if b"wheelforge" not in content:
        return False
    import tomllib

    from wheelforge_isolation.formats.tables import as_table

    try:
        tables: dict[str, Any] = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return False  # the build of it, if there is one, will say so
    return "wheelforge" in as_table(tables.get("tool"))


def _list_sources(parser: argparse.ArgumentParser, words: list[str]) -> Iterable[Path]:
    asked, _ = parser.parse_known_intermixed_args(words)
    sources: list[Path | str] = getattr(asked, "sources", [])
    return [source for source in sources if isinstance(source, Path)]


def check_owner(path: Path, here: Path) -> None:
    """Refuse a file by which another user could decide what is run, as in a shared `/tmp`."""
    if not hasattr(os, "geteuid"):
        return
    owner = path.stat().st_uid
    if owner not in {0, os.geteuid(), here.stat().st_uid}:
        from wheelforge.errors import UsageError

        reason = "it is another user's; `--config` reads it all the same, `--no-config` never"
        raise UsageError("config-invalid", str(path), 0, reason)
