"""From members to a plan: every rule applied, every link settled, nothing written.

The last to judge is the data filter of tarfile, which may only agree: no rule rests on it, as
releases of Python differ in what their filter lets pass. An objection means that a rule has a hole.
"""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive.links import LinkExpander, LinkMap, map_links, resolve_hardlinks
from wheelforge_isolation.archive.members import Kind, Limits, Links, Member, Note, Plan, RuleError
from wheelforge_isolation.archive.tree import Tree, build_tree, check_names, find_top
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.files.fs import new_name
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version, read_releases
from wheelforge_isolation.formats.metadata import Fields, all_values, first_value, parse_fields

if TYPE_CHECKING:
    from wheelforge_isolation.archive.spool import Contents
    from wheelforge_isolation.files.capabilities import FilesystemCapabilities

    Find = Callable[[str], Member | None]

_LONGEST_VERSION = 100
_SINCE_EXACT, _SINCE_LICENSES = (2, 2), (2, 4)
_WRONG_ABOUT_LINKS = (3, 11, 4)
"""The release whose filter takes targets from the root instead of from the link's directory."""


class PlanOptions(NamedTuple):
    """How an archive is unpacked."""

    stem: str
    """The archive's file name without its suffix."""
    is_zip: bool
    limits: Limits
    capabilities: FilesystemCapabilities
    links: Links | None = None
    """Unless given: kept where the file system has links, copied elsewhere."""


def make_plan(members: list[Member], contents: Contents, options: PlanOptions) -> Plan:
    """Decide on the whole archive, or refuse it."""
    tree = build_tree(members, contents, options.limits)
    top = find_top(tree, options.stem, is_zip=options.is_zip)
    tree.notes.extend(check_names(tree.entries, options.capabilities))
    links = map_links(tree.entries, options.limits)
    resolve_hardlinks(tree.entries, links)
    is_copied = options.links is Links.COPY
    if links.targets and (is_copied or not (options.links or options.capabilities.has_links)):
        expander = LinkExpander(links)
        expander.expand_all()
        tree.notes.extend(expander.notes)
        for link in links.targets:
            del tree.entries[link]
        tree.entries.update(expander.copied)
    else:
        for link in links.targets:
            if problem := links.resolve(link).problem:
                text = f"{links.entries[link]} {problem}"
                tree.notes.append(Note(rule="L4", text=text, is_warning=False))
    plan = lay_out(tree, options.limits, top, links)
    plan.notes.extend(_check_project(top, options.stem, partial(_find_file, links), contents))
    ask_data_filter(plan)
    return plan


def lay_out(tree: Tree, limits: Limits, top: str = "", links: LinkMap | None = None) -> Plan:
    """Return the plan of ``tree``, which has to fit into the limits as a whole."""
    plan = Plan(top=top, directories={}, files={}, links={}, notes=tree.notes)
    for path, member in tree.entries.items():
        if member.kind is Kind.DIRECTORY:
            plan.directories[path] = member.mtime
        elif links is None or member.kind is Kind.FILE:
            plan.files[path] = member
        else:
            plan.links[path] = links.targets[path].text
    total, limit = plan.total_bytes, limits.total_bytes
    if total > limit:
        raise RuleError("X1", f"the archive unpacks to {total:,} bytes (limit {limit:,})")
    return plan


# The project: an sdist's name, directory and metadata, held against each other


def _find_file(links: LinkMap, path: str) -> Member | None:
    member = links.entries.get(links.find(path).path)
    return member if member and member.kind is Kind.FILE else None


def _check_project(top: str, stem: str, find: Find, contents: Contents) -> Iterator[Note]:
    if top != stem and set(read_releases(top)).isdisjoint(read_releases(stem)):
        yield Note(rule="Y3", text=f"the top-level directory is {quoted(top)}, not {quoted(stem)}")
    has_project = any(find(f"{top}/{name}") for name in ("pyproject.toml", "setup.py"))
    member = find(f"{top}/PKG-INFO")
    if member is None:
        yield Note(rule="Y5", text="the archive has no PKG-INFO")
    if not has_project:
        text = f"no pyproject.toml or setup.py in {quoted(top)}"
        if member is not None:
            raise RuleError("Y6", text)
        yield Note(rule="Y6", text=text)
    if member is not None:
        # The first piece holds all the fields that are looked at, if the file is any PKG-INFO.
        fields = parse_fields(next(contents.chunks(member), b""))
        yield from _check_metadata(top, stem, find, fields)


def _check_metadata(top: str, stem: str, find: Find, fields: Fields) -> Iterator[Note]:
    text = first_value(fields, "Metadata-Version")[:_LONGEST_VERSION]
    standard = tuple(int(part) for part in text.split(".") if part.isdecimal())
    releases = set(read_releases(stem))
    name, version = first_value(fields, "Name"), first_value(fields, "Version")
    try:
        is_right = (normalize_name(name), parse_version(version)) in releases
    except FormatError:
        is_right = False
    if name and version and releases and not is_right:
        text = f"PKG-INFO is about {quoted(f'{name} {version}')}"
        if standard >= _SINCE_EXACT:
            raise RuleError("Y4", text)
        yield Note(rule="Y4", text=text)
    for path in all_values(fields, "License-File") if standard >= _SINCE_LICENSES else ():
        if not find(f"{top}/{path}"):
            yield Note(rule="Y8", text=f"the licence file {quoted(path)} is missing")


def ask_data_filter(plan: Plan) -> None:
    """Raise an error if this Python has the filter and it objects to a part of ``plan``."""
    data_filter = getattr(tarfile, "data_filter", None)
    if data_filter is None:
        return
    infos = [tarfile.TarInfo(path) for path in (*plan.directories, *plan.files)]
    for path, text in plan.links.items() if sys.version_info[:3] != _WRONG_ABOUT_LINKS else ():
        info = tarfile.TarInfo(path)
        info.type, info.linkname = tarfile.SYMTYPE, text
        infos.append(info)
    # The filter looks at the disk. In a place that does not exist, names alone decide.
    nowhere = os.path.abspath(os.sep) + new_name()
    for info in infos:
        try:
            data_filter(info, nowhere)
        except tarfile.FilterError as error:
            reason = f"{quoted(info.name)} is refused by tarfile ({type(error).__name__})"
            raise RuleError("F23", reason) from None
