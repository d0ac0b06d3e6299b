"""The L rules: where every link leads, decided in the tree and never on disk.

A symbolic link is taken relative to its own directory and may lead anywhere below the one top-level
directory. Kept links are written last and with a text that means the same on every platform; copied
ones become what they lead to, whole, or are left out with a warning that names them.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from wheelforge_isolation.archive.members import Kind, Limits, Member, Note, RuleError
from wheelforge_isolation.archive.tree import clean_parts, raise_if_too_long, raise_if_unsafe_text
from wheelforge_isolation.errors import quoted

NOWHERE = "leads nowhere"
TO_ITSELF = "leads back to itself"
TO_ANCESTOR = "leads to a directory that holds it"


class LinkTarget(NamedTuple):
    """Where a symbolic link leads."""

    text: str
    """The link's text in canonical form."""
    next: str
    """The path that the text names, other links on the way not yet followed."""


class ResolvedLink(NamedTuple):
    """The end of a path that was followed: another path, or the reason why there is none."""

    path: str = ""
    problem: str = ""
    hops: int = 0


class LinkMap:
    """All symbolic links of a tree, and where each of them ends."""

    def __init__(self, entries: dict[str, Member], limits: Limits) -> None:
        self.entries = entries
        self.limits = limits
        self.targets: dict[str, LinkTarget] = {}
        self._resolved: dict[str, ResolvedLink] = {}

    def resolve(self, link: str, before: int = 0) -> ResolvedLink:
        """Follow ``link``, met after ``before`` others, to what is really there."""
        if link not in self._resolved:
            self._raise_if_long_chain(link, before)
            self._resolved[link] = ResolvedLink(problem=TO_ITSELF)  # found if the link meets itself
            found = self.find(self.targets[link].next, before + 1)
            self._resolved[link] = found._replace(hops=found.hops + 1)
            self._raise_if_long_chain(link, found.hops + 1)
        return self._resolved[link]

    def find(self, path: str, before: int = 0) -> ResolvedLink:
        """Walk ``path`` from the top, going where the links on the way lead."""
        here, hops = "", 0
        for part in path.split("/"):
            here = f"{here}/{part}" if here else part
            entry = self.entries.get(here)
            if entry is None:
                return ResolvedLink(problem=NOWHERE, hops=hops)
            if entry.kind is Kind.SYMLINK:
                found = self.resolve(here, before + hops)
                hops += found.hops
                if found.problem:
                    return found._replace(hops=hops)
                here = found.path
        return ResolvedLink(path=here, hops=hops)

    def _raise_if_long_chain(self, link: str, hops: int) -> None:
        if hops > self.limits.link_hops:
            raise RuleError(
                "L2", f"goes through more than {self.limits.link_hops} links", self.entries[link]
            )


def map_links(entries: dict[str, Member], limits: Limits) -> LinkMap:
    """Judge every symbolic link; the same links are refused whether they are kept or copied."""
    links = LinkMap(entries, limits)
    for path, member in entries.items():
        if member.kind is Kind.SYMLINK:
            links.targets[path] = _read_target(path, member, entries, limits)
    for link in links.targets:
        links.resolve(link)
    return links


def _read_target(
    path: str, member: Member, entries: dict[str, Member], limits: Limits
) -> LinkTarget:
    if not member.target:
        raise RuleError("L5", "is a link without a target", member)
    shown = f"is a link to {quoted(member.target)}"
    if member.target.startswith("/"):
        raise RuleError("L7", f"is a link to the absolute path {quoted(member.target)}", member)
    raise_if_unsafe_text(member, member.target, "target")
    parts = clean_parts(member.target)
    raise_if_too_long(member, parts, limits, "L19")
    here = posixpath.dirname(path)
    is_directory = True
    for part in parts:
        if part != "..":
            here = f"{here}/{part}"
            is_directory = here in entries and entries[here].kind is Kind.DIRECTORY
        elif is_directory:
            here = posixpath.dirname(here)
        else:
            raise RuleError("L9", f"{shown}, which turns back halfway", member)
        if not here:
            raise RuleError("L6", f"{shown}, outside the archive", member)
    return LinkTarget(text=posixpath.normpath(member.target), next=here)


def resolve_hardlinks(entries: dict[str, Member], links: LinkMap) -> None:
    """Turn every hard link to a symbolic link into a copy of the file at the end of it."""
    for path, member in entries.items():
        if member.kind is not Kind.HARDLINK:
            continue
        seen: set[str] = set()
        end = member
        while end.kind is Kind.HARDLINK and end.target not in seen:
            seen.add(end.target)
            end = entries.get(links.find(end.target).path, end)
        if end.kind is not Kind.FILE:
            target = quoted(member.target)
            raise RuleError("L15", f"is a hard link to {target}, which leads to no file", member)
        entries[path] = end._replace(number=member.number, name=member.name)


class LinkExpander:
    """Puts copies where the links of a tree are."""

    def __init__(self, links: LinkMap) -> None:
        self._links = links
        self.copied: dict[str, Member] = {}
        self.notes: list[Note] = []
        self._children: dict[str, list[str]] = {}
        self._count = 0

    def expand_all(self) -> None:
        """Replace every link by what it leads to."""
        for path in self._links.entries:
            self._children.setdefault(posixpath.dirname(path), []).append(path)
        for link in self._links.targets:
            self._copy_link(link, link, [posixpath.dirname(link)])

    def _copy_link(self, link: str, place: str, inside: list[str]) -> None:
        """Copy what ``link`` leads to, to ``place``, while copying the directories ``inside``."""
        found = self._links.resolve(link)
        problem = found.problem
        if not problem and any(f"{each}/".startswith(f"{found.path}/") for each in inside):
            problem = TO_ANCESTOR
        if not problem:
            self._copy(found.path, place, inside)
            return
        self._spend(link)
        rule = "L4" if problem is NOWHERE else "L10" if problem is TO_ANCESTOR else "L3"
        target = quoted(self._links.targets[link].text)
        text = f"{quoted(place)}, a link to {target}, {problem} and cannot be copied"
        self.notes.append(Note(rule=rule, text=f"{text}; it is left out"))

    def _copy(self, source: str, place: str, inside: list[str]) -> None:
        member = self._links.entries[source]
        self._spend(place)
        raise_if_too_long(member, place.split("/"), self._links.limits)
        self.copied[place] = member
        if member.kind is not Kind.DIRECTORY:
            return
        for child in self._children.get(source, ()):
            copy = self._copy_link if child in self._links.targets else self._copy
            copy(child, f"{place}/{posixpath.basename(child)}", [*inside, source])

    def _spend(self, place: str) -> None:
        self._count += 1
        if self._count > self._links.limits.link_copies:
            limit = f"{self._links.limits.link_copies:,}"
            raise RuleError(
                "X6", f"copying links makes more than {limit} entries, the last {quoted(place)}"
            )
