"""The L rules: where every link leads, decided in the tree and never on disk.

A symbolic link is taken relative to its own directory and may lead anywhere below the one top-level
directory. Kept links are written last and with a text that means the same on every platform; copied
ones become what they lead to, whole, or are left out with a warning that names them.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Kind, Member, Note
from wheelforge_isolation.archive.names import clean_parts, refuse_lengths, refuse_unsafe_text
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.values import State, Value, field, replace

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Limits

NOWHERE = "leads nowhere"
TO_ITSELF = "leads back to itself"
TO_ANCESTOR = "leads to a directory that holds it"


class Aim(Value):
    """Where a symbolic link leads."""

    text: str
    """The link's text in canonical form."""
    next: str
    """The path that the text names, other links on the way not yet followed."""


class Goal(Value):
    """What is found when a path is followed to its end: a path, or the reason why there is none."""

    path: str = ""
    problem: str = ""
    hops: int = 0


class LinkMap(State):
    """All symbolic links of a tree, and where each of them ends."""

    entries: dict[str, Member]
    limits: Limits
    aims: dict[str, Aim] = field(default_factory=dict[str, Aim])
    _goals: dict[str, Goal] = field(default_factory=dict[str, Goal])

    def goal(self, link: str, before: int = 0) -> Goal:
        """Follow ``link``, met after ``before`` others, to what is really there."""
        if link not in self._goals:
            self._refuse_long_chain(link, before)
            self._goals[link] = Goal(problem=TO_ITSELF)  # what a link finds that meets itself
            goal = self.find(self.aims[link].next, before + 1)
            self._goals[link] = replace(goal, hops=goal.hops + 1)
            self._refuse_long_chain(link, goal.hops + 1)
        return self._goals[link]

    def find(self, path: str, before: int = 0) -> Goal:
        """Walk ``path`` from the top, going where the links on the way lead."""
        here, hops = "", 0
        for part in path.split("/"):
            here = f"{here}/{part}" if here else part
            entry = self.entries.get(here)
            if entry is None:
                return Goal(problem=NOWHERE, hops=hops)
            if entry.kind is Kind.SYMLINK:
                goal = self.goal(here, before + hops)
                hops += goal.hops
                if goal.problem:
                    return replace(goal, hops=hops)
                here = goal.path
        return Goal(path=here, hops=hops)

    def _refuse_long_chain(self, link: str, hops: int) -> None:
        if hops > self.limits.link_hops:
            raise RuleError(
                "L2", f"goes through more than {self.limits.link_hops} links", self.entries[link]
            )


def map_links(entries: dict[str, Member], limits: Limits) -> LinkMap:
    """Judge every symbolic link; the same links are refused whether they are kept or copied."""
    links = LinkMap(entries=entries, limits=limits)
    for path, member in entries.items():
        if member.kind is Kind.SYMLINK:
            links.aims[path] = _aim(path, member, entries, limits)
    for link in links.aims:
        links.goal(link)
    return links


def _aim(path: str, member: Member, entries: dict[str, Member], limits: Limits) -> Aim:
    _refuse_bad_target(member, limits)
    here = posixpath.dirname(path)
    is_directory = True
    for part in member.target.split("/"):
        if part in {"", "."}:
            continue
        if part == "..":
            if not is_directory:
                raise RuleError(
                    "L9", f"is a link to {quoted(member.target)}, which turns back halfway", member
                )
            here = posixpath.dirname(here)
        else:
            here = f"{here}/{part}"
            is_directory = here in entries and entries[here].kind is Kind.DIRECTORY
        if not here:
            raise RuleError(
                "L6", f"is a link to {quoted(member.target)}, outside the archive", member
            )
    return Aim(text=posixpath.normpath(member.target), next=here)


def _refuse_bad_target(member: Member, limits: Limits) -> None:
    if not member.target:
        raise RuleError("L5", "is a link without a target", member)
    if member.target.startswith("/"):
        raise RuleError("L7", f"is a link to the absolute path {quoted(member.target)}", member)
    refuse_unsafe_text(member, member.target, "target")
    refuse_lengths(member, clean_parts(member.target), limits, "L19")


def settle_hardlinks(entries: dict[str, Member], links: LinkMap) -> None:
    """Turn every hard link to a symbolic link into a copy of the file at the end of it."""
    for path, member in entries.items():
        if member.kind is Kind.HARDLINK:
            end = _find_file(path, entries, links)
            entries[path] = replace(end, index=member.index, name=member.name)


def _find_file(path: str, entries: dict[str, Member], links: LinkMap) -> Member:
    """Follow the hard link ``path`` through whatever links to a regular file."""
    seen: set[str] = set()
    member = end = entries[path]
    while end.kind is Kind.HARDLINK and end.target not in seen:
        seen.add(end.target)
        end = entries.get(links.find(end.target).path, end)
    if end.kind is not Kind.FILE:
        target = quoted(member.target)
        raise RuleError("L15", f"is a hard link to {target}, which leads to no file", member)
    return end


class Copier(State):
    """Grows copies where the links of a tree stood."""

    links: LinkMap
    copied: dict[str, Member] = field(default_factory=dict[str, Member])
    notes: list[Note] = field(default_factory=list[Note])
    _children: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _count: int = 0

    def copy_all(self) -> None:
        """Replace every link by what it leads to."""
        for path in self.links.entries:
            self._children.setdefault(posixpath.dirname(path), []).append(path)
        for link in self.links.aims:
            self._copy_link(link, link, [posixpath.dirname(link)])

    def _copy_link(self, link: str, place: str, inside: list[str]) -> None:
        """Copy what ``link`` leads to, to ``place``, while copying the directories ``inside``."""
        goal = self.links.goal(link)
        problem = goal.problem
        if not problem and any(_holds(goal.path, directory) for directory in inside):
            problem = TO_ANCESTOR
        if problem:
            self._leave_out(link, place, problem)
        else:
            self._copy(goal.path, place, inside)

    def _leave_out(self, link: str, place: str, problem: str) -> None:
        self._spend(link)
        rule = "L4" if problem is NOWHERE else "L10" if problem is TO_ANCESTOR else "L3"
        aim = quoted(self.links.aims[link].text)
        text = f"{quoted(place)}, a link to {aim}, {problem} and cannot be copied; it is left out"
        self.notes.append(Note(rule=rule, text=text))

    def _copy(self, source: str, place: str, inside: list[str]) -> None:
        member = self.links.entries[source]
        self._spend(place)
        refuse_lengths(member, place.split("/"), self.links.limits)
        self.copied[place] = member
        if member.kind is Kind.DIRECTORY:
            self._copy_children(source, place, [*inside, source])

    def _copy_children(self, source: str, place: str, inside: list[str]) -> None:
        for child in self._children.get(source, ()):
            there = f"{place}/{posixpath.basename(child)}"
            if child in self.links.aims:
                self._copy_link(child, there, inside)
            else:
                self._copy(child, there, inside)

    def _spend(self, place: str) -> None:
        self._count += 1
        if self._count > self.links.limits.link_copies:
            limit = f"{self.links.limits.link_copies:,}"
            raise RuleError(
                "X6", f"copying links makes more than {limit} entries, the last {quoted(place)}"
            )


def _holds(directory: str, path: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")
