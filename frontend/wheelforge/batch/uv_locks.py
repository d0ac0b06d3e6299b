"""A `uv.lock` as inputs: what its projects need where they are built, with the group `dev`.

The file is a graph: each package names those that it needs, with markers. It is walked from the
projects of the workspace, as uv does without further options; extras count where asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from wheelforge.batch.locked_inputs import LockedInput
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.requirements import applies, parse_requirement
from wheelforge_isolation.formats.tables import as_table
from wheelforge_isolation.formats.urls import fragment_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wheelforge.batch.locked_inputs import Key, LockedFile

_VERSION = 1
_PROJECTS = ("editable", "virtual", "directory")


def select(file: LockedFile, markers: Mapping[str, str]) -> list[LockedInput]:
    """Return what the lock has for a Python with these ``markers``."""
    version = file.content.get("version")
    if version != _VERSION:
        which = "it states no version" if version is None else f"it is of version {version}"
        raise file.error(f"{which}, and uv's version {_VERSION} is understood", "version")
    file.check_python(str(file.content.get("requires-python", "")), markers)
    graph = _Graph(file, markers)
    found = (_make_input(file, number, graph.packages[number]) for number in graph.walk())
    return [each for each in found if each is not None]


class _Graph:
    """The packages of a lock, as a Python with these ``markers`` needs them."""

    def __init__(self, file: LockedFile, markers: Mapping[str, str]) -> None:
        self._file = file
        self._markers = markers
        self.packages = list(self._read(file.content, ("package",)))
        self._by_name: dict[str, list[int]] = {}
        for number, package in enumerate(self.packages):
            self._by_name.setdefault(package["name"], []).append(number)

    def walk(self) -> list[int]:
        """Return the numbers of all packages that are needed, in the order of the file."""
        seen: set[tuple[int, Key]] = set()
        pending = list(self._list_roots())
        while pending:
            number, section = pending.pop()
            if (number, section) not in seen:
                seen.add((number, section))
                pending += self._follow(self.packages[number], ("package", number), section)
        return sorted({number for number, _ in seen})

    def _list_roots(self) -> Iterator[tuple[int, Key]]:
        manifest = as_table(self._file.content.get("manifest"))
        members: object = manifest.get("members")
        names = cast("list[object]", members) if isinstance(members, list) else None
        for number, package in enumerate(self.packages):
            source = as_table(package.get("source"))
            is_here = any(source.get(kind) == "." for kind in _PROJECTS)
            if is_here if names is None else package["name"] in names:
                yield number, ("dependencies",)
                yield number, ("dev-dependencies", "dev")
        # A script is no package of its lock.
        yield from self._follow(manifest, ("manifest",), ("requirements",))

    def _follow(
        self, table: Mapping[str, Any], place: Key, section: Key
    ) -> Iterator[tuple[int, Key]]:
        """Yield the sections of packages that a section needs."""
        for inner in section[:-1]:
            table = as_table(table.get(str(inner)))
        for number, edge in enumerate(self._read(table, (*place, *section))):
            key = (*place, *section, number)
            if not self._applies(edge, edge.get("marker"), key):
                continue
            extras = edge.get("extra", edge.get("extras"))
            for target in self._find(edge, key):
                yield target, ("dependencies",)
                for extra in cast("list[object]", extras) if isinstance(extras, list) else ():
                    yield target, ("optional-dependencies", str(extra))

    def _find(self, edge: Mapping[str, Any], key: Key) -> list[int]:
        """Return the packages that are meant; which one it is may depend on the Python."""
        stated = {name: edge[name] for name in ("version", "source") if name in edge}
        numbers = [
            number
            for number in self._by_name.get(edge["name"], ())
            if stated.items() <= self.packages[number].items()
        ]
        if not numbers:
            raise self._file.error(f"`{edge['name']}` is not in the lock", *key)
        return [number for number in numbers if self._is_for_this(number)]

    def _is_for_this(self, number: int) -> bool:
        texts: object = self.packages[number].get("resolution-markers")
        if not isinstance(texts, list):
            return True
        package, key = self.packages[number], ("package", number)
        return any(self._applies(package, text, key) for text in cast("list[object]", texts))

    def _applies(self, table: Mapping[str, Any], marker: object, key: Key) -> bool:
        if marker is None:
            return True
        try:
            return applies(parse_requirement(f"{table['name']}; {marker}"), self._markers)
        except FormatError as error:
            raise self._file.error(str(error), *key) from error

    def _read(self, table: Mapping[str, Any], key: Key) -> Iterator[dict[str, Any]]:
        """Yield the tables in an array of them, each of which has a name."""
        found: object = table.get(str(key[-1]), [])
        tables = cast("list[object]", found) if isinstance(found, list) else [None]
        for number, each in enumerate(tables):
            if not isinstance(as_table(each).get("name"), str):
                raise self._file.error(f"`{key[-1]}` is no list of tables with names", *key, number)
            yield as_table(each)


def _make_input(file: LockedFile, number: int, package: Mapping[str, Any]) -> LockedInput | None:
    """Return what a package is built from; nothing for a project that is none."""
    key: Key = ("package", number)
    name = f"{package['name']} {package.get('version', '')}".strip()
    source, sdist = as_table(package.get("source")), as_table(package.get("sdist"))
    kind = next(iter(source), "")
    place, inside = str(source.get(kind, "")), str(source.get("subdirectory") or "")
    hashes = [str(sdist.get("hash", ""))]
    match kind:
        case "virtual":
            return None
        case "editable" | "directory":
            return file.make_directory(key, name, place, inside)
        case "git":
            url, _, commit = place.partition("#")
            url, _, query = url.partition("?")
            inside = fragment_of(f"#{query}").get("subdirectory", "")
            return file.make_checkout(key, name, url, commit, inside)
        case "url" | "path":
            return file.make_archive(key, name, place, hashes, inside)
        case "registry" if sdist:
            found = str(sdist.get("url") or f"{place}/{sdist.get('path')}")
            return file.make_archive((*key, "sdist"), name, found, hashes)
        case "registry":
            return LockedInput(name)
        case _:
            raise file.error(f"`{name}` has no source that is understood: `{kind}`", *key)
