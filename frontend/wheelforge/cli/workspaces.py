"""Workspaces: the members that `--all-packages` and `--package` name, as sources.

Read are uv's table, `[tool.uv.workspace]`, and that of hatch's default environment,
`[tool.hatch.envs.default.workspace]`. As with uv the root is a member too if it is a project, the
workspace is looked for in the directories above, and all results go to the `dist` of its root.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wheelforge.cli.argument_types import suggest
from wheelforge.errors import UsageError
from wheelforge.overrides.toml_file import TomlFile
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge.cli.command_options import CommandOptions

    Key = tuple[str, ...]

_TABLES: tuple[Key, ...] = (
    ("tool", "uv", "workspace"),
    ("tool", "hatch", "envs", "default", "workspace"),
)


class _Member(NamedTuple):
    name: str
    path: Path
    is_package: bool
    """Whether it says how it is built; there are members that are no more than a list of needs."""


def choose_members(options: CommandOptions) -> None:
    """Make the members of a workspace that are named, or all of them, the sources."""
    option = "--all-packages" if options.all_packages else "--package"
    start = options.sources[0] if options.sources else Path.cwd()
    if len(options.sources) > 1 or not (isinstance(start, Path) and start.is_dir()):
        reason = "name the directory of one workspace, or nothing for the one that this is in"
        raise UsageError("option-invalid", option, reason)
    file, key = _find_workspace(start, option)
    root = file.path.parent
    members = _name_members(file, key)
    chosen = [each.path for each in members.values() if each.is_package]
    if options.package:
        chosen = [_find(text, members, root).path for text in dict.fromkeys(options.package)]
    if not chosen:
        raise UsageError("option-invalid", option, f"the workspace `{root}` has no packages")
    options.sources = chosen
    options.outdir = options.outdir or root / "dist"


def _find_workspace(start: Path, option: str) -> tuple[TomlFile, Key]:
    """Return the next file that has a workspace, and the key of the table."""
    for directory in (start, *start.parents):
        path = directory / "pyproject.toml"
        if path.is_file():
            file = TomlFile(path)
            for key in _TABLES:
                if _get(file.content, key):
                    return file, key
    names = " or ".join(f"`[{'.'.join(key)}]`" for key in _TABLES)
    reason = f"no pyproject.toml in `{start}` or above it has a table {names}"
    raise UsageError("option-invalid", option, reason)


def _get(table: dict[str, Any], key: Key) -> dict[str, Any]:
    for name in key:
        table = as_table(table.get(name))
    return table


def _list_members(file: TomlFile, key: Key) -> Iterator[_Member]:
    excluded = set(_expand(file, (*key, "exclude")))
    root = file.path.parent
    if "project" in file.content:
        yield _read_member(file)
    for path in dict.fromkeys(_expand(file, (*key, "members"))):
        project = path / "pyproject.toml"
        if path not in {root, *excluded} and project.is_file():
            yield _read_member(TomlFile(project))


def _name_members(file: TomlFile, key: Key) -> dict[str, _Member]:
    members: dict[str, _Member] = {}
    for each in _list_members(file, key):
        other = members.setdefault(each.name, each)
        if other is not each:
            places = " and ".join(f"`{one.path}`" for one in (other, each))
            raise file.error(f"two members are called `{each.name}`: {places}", *key)
    return members


def _expand(file: TomlFile, key: Key) -> Iterator[Path]:
    """Yield the directories that a list of patterns names."""
    patterns: object = _get(file.content, key[:-1]).get(key[-1], [])
    for each in cast("list[object]", patterns) if isinstance(patterns, list) else [None]:
        pattern = as_table(each).get("path", each)
        try:
            found = sorted(file.path.parent.glob(pattern)) if isinstance(pattern, str) else None
        except (ValueError, NotImplementedError) as error:
            raise file.error(f"`{pattern}` is no pattern: {error}", *key) from error
        if found is None:
            raise file.error(f"`{key[-1]}` is no list of patterns", *key)
        yield from (path.resolve() for path in found if path.is_dir())


def _read_member(file: TomlFile) -> _Member:
    content, directory = file.content, file.path.parent
    name = str(as_table(content.get("project")).get("name") or directory.name)
    is_package = "build-system" in content or (directory / "setup.py").is_file()
    stated = _get(content, ("tool", "uv")).get("package", is_package)
    return _Member(_normalize(name), directory, bool(stated))


def _normalize(name: str) -> str:
    """Return a name as others may spell it; as it is if it is none, as that of a directory."""
    try:
        return normalize_name(name)
    except FormatError:
        return name


def _find(text: str, members: dict[str, _Member], root: Path) -> _Member:
    name = _normalize(text)
    if name not in members:
        meant = suggest(name, members, f"its members are {', '.join(sorted(members))}")
        reason = f"`{text}` is no member of the workspace `{root}`; {meant}"
        raise UsageError("option-invalid", "--package", reason)
    return members[name]
