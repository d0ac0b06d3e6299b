"""A list of what is in a wheel, as CycloneDX 1.6: a function of the bytes of the wheel alone.

The project itself, shared libraries that were put beside it, and distributions that it carries
inside of its own packages. So the list is the same however often it is made.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from wheelforge.provenance.elf import Library, read_library
from wheelforge.provenance.statement import make_purl
from wheelforge.version import VERSION
from wheelforge_isolation import UNLIMITED, open_wheel_zip
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version
from wheelforge_isolation.formats.metadata import first_value, parse_fields
from wheelforge_isolation.formats.requirements import find_requirement, is_exact

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    Facts = dict[str, Any]

EMBEDDED = "sboms/wheelforge.cdx.json"
"""Where the list is in the .dist-info directory of a wheel."""
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_LIBRARY = re.compile(r"(?P<name>.+?)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>[0-9][\w.]*))?")
"""auditwheel puts part of a digest into the names of libraries."""
_SHARED = re.compile(r".+\.so(\.[0-9][\w.]*)?")
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_FIRST_MOMENT = 315532800
"""1980, where the time of zip files begins."""
_METADATA = re.compile(r"(?P<place>.+)/[^/]+\.dist-info/METADATA")
_LIST = re.compile(r"(?P<place>.+)/(vendor|vendored)\.txt")
_GRAFTS = (".libs", "_libs")
"""Directories of libraries that were put into a wheel for others in it."""
_MOST_LIBRARY_BYTES, _MOST_TEXT_BYTES = 1 << 30, 16 << 20


class WheelContent(NamedTuple):
    """The files of a wheel, for what is listed of them."""

    dist_info: str
    paths: tuple[str, ...]
    read: Callable[[str, int], bytes]
    """Returns the content of a file, or nothing if it has more than that many bytes."""
    digest: Callable[[str], str]
    newest: float
    """The time of the newest file."""


@contextlib.contextmanager
def open_content(path: Path) -> Generator[WheelContent]:
    """Yield the content of a wheel that was found to be sound."""
    with open_wheel_zip(path, UNLIMITED) as archive:
        files = archive.files

        def read(name: str, most: int) -> bytes:
            return archive.read(name, most) if files[name].size <= most else b""

        def digest(name: str) -> str:
            return archive.contents.digest(files[name]).hex()

        (record,) = (name for name in files if _RECORD.fullmatch(name))
        yield WheelContent(
            dist_info=record.removesuffix("/RECORD"),
            paths=tuple(sorted(files)),
            read=read,
            digest=digest,
            newest=max(member.mtime or _FIRST_MOMENT for member in files.values()),
        )


def make_sbom(wheel: WheelContent, sha256: str = "") -> Facts:
    """Return the list of what is in a wheel, which has this digest if the list is not in it."""
    libraries = dict(_list_libraries(wheel))
    grafted = _find_grafted(libraries)
    main = _describe_project(wheel, sha256) | _list_needs(libraries, grafted)
    project = main["bom-ref"]
    parts = [*_describe_vendored(wheel), *_describe_libraries(wheel, grafted)]
    components = {each["bom-ref"]: each for each in parts if each["bom-ref"] != project}
    record = wheel.digest(f"{wheel.dist_info}/RECORD")
    moment = datetime.fromtimestamp(wheel.newest, UTC)
    return {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"{project}#{record}").urn,
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {
                "components": [{"type": "application", "name": "wheelforge", "version": VERSION}]
            },
            "component": main,
        },
        "components": [components[reference] for reference in sorted(components)],
        "dependencies": list(_link(project, components, grafted)),
        **_refer_to_others(wheel),
    }


def _describe_project(wheel: WheelContent, sha256: str) -> Facts:
    fields = parse_fields(wheel.read(f"{wheel.dist_info}/METADATA", _MOST_TEXT_BYTES))
    name = normalize_name(first_value(fields, "Name"))
    version = str(parse_version(first_value(fields, "Version")))
    license_ = first_value(fields, "License-Expression")
    return {
        "type": "library",
        "bom-ref": make_purl(name, version),
        "name": name,
        "version": version,
        "purl": make_purl(name, version),
        **({"hashes": [_hash(sha256)]} if sha256 else {}),
        **({"licenses": [{"expression": license_}]} if license_ else {}),
    }


def _find_grafted(libraries: Mapping[str, Library]) -> dict[str, Library]:
    """Return the libraries that were put into the wheel for others in it."""
    needed = {name for each in libraries.values() for name in each.needed}
    return {
        path: each
        for path, each in libraries.items()
        if needed & _names(path, each) or PurePosixPath(path).parent.name.endswith(_GRAFTS)
    }


def find_place(wheel: WheelContent) -> str:
    """Return the name for the list in the .dist-info directory; lists that are there stay."""
    number, name = 1, EMBEDDED
    while f"{wheel.dist_info}/{name}" in wheel.paths:
        number += 1
        name = EMBEDDED.replace("wheelforge", f"wheelforge-{number}")
    return name


def encode(sbom: Facts) -> bytes:
    """Return a list as it is written."""
    return json.dumps(sbom, indent=1, ensure_ascii=False).encode() + b"\n"


def _list_libraries(wheel: WheelContent) -> Iterator[tuple[str, Library]]:
    """Yield every shared library and module of the wheel."""
    for path in wheel.paths:
        if _SHARED.fullmatch(path):
            found = read_library(wheel.read(path, _MOST_LIBRARY_BYTES))
            if found is not None:
                yield path, found


def _describe_libraries(wheel: WheelContent, grafted: Mapping[str, Library]) -> Iterator[Facts]:
    for path, library in grafted.items():
        match = _LIBRARY.fullmatch(PurePosixPath(path).name)
        name = match["name"] if match else PurePosixPath(path).name
        version = match["version"] if match else None
        purl = f"pkg:generic/{quote(name, safe='')}"
        purl += f"@{quote(version, safe='')}" if version else ""
        yield {
            "type": "library",
            "bom-ref": path,
            "name": name,
            **({"version": version} if version else {}),
            "purl": purl,
            "hashes": [_hash(wheel.digest(path))],
            "properties": [
                {"name": "wheelforge:path", "value": path},
                {"name": "wheelforge:elf:soname", "value": library.soname},
                *({"name": "wheelforge:elf:needed", "value": each} for each in library.needed),
            ],
        }


def _describe_vendored(wheel: WheelContent) -> Iterator[Facts]:
    """Yield the distributions inside of packages, known by metadata or by a list of them."""
    for path in wheel.paths:
        if path.startswith(f"{wheel.dist_info}/"):
            continue
        if match := _METADATA.fullmatch(path):
            fields = parse_fields(wheel.read(path, _MOST_TEXT_BYTES))
            release = (first_value(fields, "Name"), first_value(fields, "Version"))
            yield from _describe_release(*release, match["place"])
        elif match := _LIST.fullmatch(path):
            for line in wheel.read(path, _MOST_TEXT_BYTES).decode("utf-8", "replace").splitlines():
                requirement = find_requirement(line.partition("#")[0].strip())
                if requirement is not None and is_exact(requirement.specifier):
                    (pinned,) = requirement.specifier
                    yield from _describe_release(requirement.name, pinned.version, match["place"])


def _describe_release(name: str, version: str, place: str) -> Iterator[Facts]:
    try:
        release = (normalize_name(name), str(parse_version(version)))
    except FormatError:
        return
    purl = make_purl(*release)
    yield {
        "type": "library",
        "bom-ref": purl,
        "name": release[0],
        "version": release[1],
        "purl": purl,
        "properties": [{"name": "wheelforge:path", "value": place}],
    }


def _list_needs(libraries: Mapping[str, Library], grafted: Mapping[str, Library]) -> Facts:
    """Return the libraries that a machine has to have for the wheel."""
    inside = {name for path, each in grafted.items() for name in _names(path, each)}
    needed = {name for each in libraries.values() for name in each.needed} - inside
    properties = [{"name": "wheelforge:elf:needed", "value": name} for name in sorted(needed)]
    return {"properties": properties} if properties else {}


def _link(
    project: str, components: Iterable[str], grafted: Mapping[str, Library]
) -> Iterator[Facts]:
    """Yield what depends on what: every component is reached from the project."""
    homes = {name: path for path, each in grafted.items() for name in _names(path, each)}
    yield {"ref": project, "dependsOn": sorted(components)}
    for reference in sorted(components):
        needed = grafted[reference].needed if reference in grafted else ()
        inside = sorted({homes[name] for name in needed if name in homes} - {reference})
        yield {"ref": reference, **({"dependsOn": inside} if inside else {})}


def _hash(sha256: str) -> Facts:
    return {"alg": "SHA-256", "content": sha256}


def _names(path: str, library: Library) -> set[str]:
    return {PurePosixPath(path).name, library.soname} - {""}


def _refer_to_others(wheel: WheelContent) -> Facts:
    """Return references to the lists that are in the wheel already, each with its digest."""
    place = f"{wheel.dist_info}/sboms/"
    found = [
        {
            "type": "bom",
            "url": quote(path),
            "hashes": [_hash(wheel.digest(path))],
        }
        for path in wheel.paths
        if path.startswith(place)
    ]
    return {"externalReferences": found} if found else {}
