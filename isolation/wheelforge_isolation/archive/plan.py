"""From members to a plan: every rule applied, every link settled, nothing written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.links import Copier, LinkMap, map_links, settle_hardlinks
from wheelforge_isolation.archive.members import Kind, Limits, Links, Note, Plan
from wheelforge_isolation.archive.names import judge_names
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.sdist import judge_sdist
from wheelforge_isolation.archive.top_level import find_top
from wheelforge_isolation.archive.tree import Tree, grow_tree
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    from wheelforge_isolation._ground import Ground
    from wheelforge_isolation.archive.members import Contents, Member


class Terms(Value):
    """On what terms an archive is unpacked."""

    stem: str
    """The archive's file name without its suffix."""
    is_zip: bool
    limits: Limits
    ground: Ground
    links: Links | None = None
    """Unless given: kept where the ground has links, copied elsewhere."""


def make_plan(members: list[Member], contents: Contents, terms: Terms) -> Plan:
    """Decide on the whole archive, or refuse it."""
    tree = grow_tree(members, contents, terms.limits)
    top = find_top(tree, terms.stem, is_zip=terms.is_zip)
    tree.notes.extend(judge_names(tree.entries, terms.ground))
    links = map_links(tree.entries, terms.limits)
    settle_hardlinks(tree.entries, links)
    if links.aims and _choose(terms) is Links.COPY:
        _copy_links(tree, links)
    else:
        tree.notes.extend(_describe_dead_links(links))
    plan = _lay_out(tree, top, links)
    refuse_too_much(plan, terms.limits)
    find = partial(_find_file, links)
    plan.notes.extend(judge_sdist(top, terms.stem, find, contents))
    return plan


def _find_file(links: LinkMap, path: str) -> Member | None:
    goal = links.find(path)
    member = links.entries.get(goal.path)
    return member if member and member.kind is Kind.FILE else None


def _choose(terms: Terms) -> Links:
    if terms.links is not None:
        return terms.links
    return Links.KEEP if terms.ground.has_links else Links.COPY


def _copy_links(tree: Tree, links: LinkMap) -> None:
    copier = Copier(links=links)
    copier.copy_all()
    tree.notes.extend(copier.notes)
    for link in links.aims:
        del tree.entries[link]
    tree.entries.update(copier.copied)


def _describe_dead_links(links: LinkMap) -> list[Note]:
    return [
        Note(rule="L4", text=f"{links.entries[link]} {problem}", is_warning=False)
        for link in links.aims
        if (problem := links.goal(link).problem)
    ]


def _lay_out(tree: Tree, top: str, links: LinkMap) -> Plan:
    plan = Plan(top=top, directories={}, files={}, links={}, notes=tree.notes)
    for path, member in tree.entries.items():
        if member.kind is Kind.DIRECTORY:
            plan.directories[path] = member.mtime
        elif member.kind is Kind.FILE:
            plan.files[path] = member
        else:
            plan.links[path] = links.aims[path].text
    return plan


def refuse_too_much(plan: Plan, limits: Limits) -> None:
    """Hold what would be on disk against the limit."""
    total = plan.total_bytes
    if total > limits.total_bytes:
        raise RuleError(
            "X1", f"the archive unpacks to {total:,} bytes (limit {limits.total_bytes:,})"
        )
