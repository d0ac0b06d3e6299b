"""Pages of the Simple API, as JSON and as HTML. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from wheelforge.index.pages import JSON
from wheelforge_isolation.formats.tables import as_table

VERSION, OLD_VERSION = "1.4", "1.0"
"""With the second one a page may list files without a size."""
_ATTRIBUTES = {
    "requires-python": "data-requires-python",
    "core-metadata": "data-core-metadata",
    "dist-info-metadata": "data-dist-info-metadata",
    "yanked": "data-yanked",
    "gpg-sig": "data-gpg-sig",
    "provenance": "data-provenance",
}


class Wheel(NamedTuple):
    """A wheel that was built here from an sdist of an index."""

    target: str
    """The identity of the target."""
    sdist: str
    """The SHA-256 of the sdist, or its URL where the index states none."""
    project: str
    file_name: str
    sha256: str
    size: int
    requires_python: str
    metadata: bytes
    metadata_sha256: str
    run: str
    built: float
    repaired: str = ""
    """The tag of the platform that it was made fit for."""


def describe_wheel(
    wheel: Wheel, sdist: Mapping[str, Any], statement: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the entry of a wheel; ``sdist`` is the one of what it was built from.

    The ``statement`` has the URL of the one about the wheel, and of one in the form of PEP 740.
    """
    told = dict(statement or {})
    digest = {"sha256": wheel.metadata_sha256}
    moment = datetime.fromtimestamp(wheel.built, UTC).isoformat(timespec="seconds")
    # A cut-off by date is about the release: whether the wheel is taken must not hang on today.
    uploaded = {"upload-time": sdist["upload-time"]} if sdist.get("upload-time") else {}
    return {
        "filename": wheel.file_name,
        "url": f"../../files/{wheel.sha256}/{quote(wheel.file_name, safe='')}",
        "hashes": {"sha256": wheel.sha256},
        "size": wheel.size,
        **({"requires-python": wheel.requires_python} if wheel.requires_python else {}),
        "core-metadata": digest,
        "dist-info-metadata": digest,
        "yanked": sdist.get("yanked", False),
        **uploaded,
        **({"provenance": told.pop("provenance")} if "provenance" in told else {}),
        "_wheelforge": {
            "build": wheel.run,
            "built": moment,
            "sdist": wheel.sdist,
            **told,
            **({"repaired": wheel.repaired} if wheel.repaired else {}),
        },
    }


def compose_page(
    name: str, facts: Mapping[str, Any], files: list[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the page of a project; ``facts`` are what the upstream page says besides files."""
    is_whole = "versions" in facts and all(type(file.get("size")) is int for file in files)
    known = as_table(facts.get("meta"))
    version = VERSION if is_whole else OLD_VERSION
    return {**facts, "meta": {**known, "api-version": version}, "name": name, "files": files}


def compose_root(names: Iterable[str]) -> dict[str, Any]:
    """Return the page of all projects."""
    return {"meta": {"api-version": VERSION}, "projects": [{"name": name} for name in names]}


def render(page: Mapping[str, Any], form: str) -> bytes:
    """Return a page in one of its forms."""
    if form == JSON:
        return json.dumps(page).encode()
    rows = map(_link_project, page["projects"]) if "projects" in page else map(_link, page["files"])
    status = as_table(page.get("project-status"))
    metas = [("pypi:repository-version", page["meta"]["api-version"])]
    named = {"status": "pypi:project-status", "reason": "pypi:project-status-reason"}
    metas += [(named[key], str(text)) for key, text in status.items() if key in named]
    title = escape(f"Links for {page['name']}" if "name" in page else "Simple index")
    head = "".join(f'<meta name="{name}" content="{escape(text)}">\n' for name, text in metas)
    text = (
        f"<!DOCTYPE html>\n<html>\n<head>\n{head}<title>{title}</title>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n{''.join(rows)}</body>\n</html>\n"
    )
    return text.encode("ascii", "xmlcharrefreplace")


def _link_project(project: Mapping[str, str]) -> str:
    name = escape(project["name"])
    return f'<a href="{name}/">{name}</a><br>\n'


def _link(file: Mapping[str, Any]) -> str:
    hashes = as_table(file.get("hashes"))
    best = "sha256" if "sha256" in hashes else next(iter(hashes), "")
    fragment = f"#{best}={hashes[best]}" if best else ""
    pairs = {"href": f"{file['url']}{fragment}"}
    for key, attribute in _ATTRIBUTES.items():
        value = _spell(key, file.get(key))
        if value is not None:
            pairs[attribute] = value
    attributes = " ".join(f'{name}="{escape(value)}"' for name, value in pairs.items())
    return f"<a {attributes}>{escape(str(file['filename']))}</a><br>\n"


def _spell(key: str, value: object) -> str | None:
    """Return the value of an attribute; None if there is none."""
    if isinstance(value, dict):
        digest = as_table(cast("object", value)).get("sha256")
        return f"sha256={digest}" if digest else "true"
    if isinstance(value, str):
        return value
    if value is True:
        return "" if key == "yanked" else "true"
    return "false" if value is False and key == "gpg-sig" else None
