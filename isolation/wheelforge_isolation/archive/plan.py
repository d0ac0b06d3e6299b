"""From members to a plan: every rule applied, every link settled, nothing written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive.links import LinkExpander, LinkMap, map_links, resolve_hardlinks
from wheelforge_isolation.archive.members import Kind, Limits, Links, Note, Plan
from wheelforge_isolation.archive.names import check_names
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.sdist import check_sdist
from wheelforge_isolation.archive.top_level import find_top
from wheelforge_isolation.archive.tree import Tree, build_tree

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Contents, Member
    from wheelforge_isolation.files.capabilities import FilesystemCapabilities


class PlanOptions(NamedTuple):
    """How an archive is unpacked."""

    stem: str
    """The archive's file name without its suffix."""
    is_zip: bool
    limits: Limits
    ground: FilesystemCapabilities
    links: Links | None = None
    """Unless given: kept where the ground has links, copied elsewhere."""


def make_plan(members: list[Member], contents: Contents, options: PlanOptions) -> Plan:
    """Decide on the whole archive, or refuse it."""
    tree = build_tree(members, contents, options.limits)
    top = find_top(tree, options.stem, is_zip=options.is_zip)
    tree.notes.extend(check_names(tree.entries, options.ground))
    links = map_links(tree.entries, options.limits)
    resolve_hardlinks(tree.entries, links)
    if links.targets and _choose(options) is Links.COPY:
        _copy_links(tree, links)
    else:
        tree.notes.extend(_describe_dead_links(links))
    plan = _lay_out(tree, top, links)
    raise_if_too_large(plan, options.limits)
    find = partial(_find_file, links)
    plan.notes.extend(check_sdist(top, options.stem, find, contents))
    return plan


def _find_file(links: LinkMap, path: str) -> Member | None:
    member = links.entries.get(links.find(path).path)
    return member if member and member.kind is Kind.FILE else None


def _choose(options: PlanOptions) -> Links:
    if options.links is not None:
        return options.links
    return Links.KEEP if options.ground.has_links else Links.COPY


def _copy_links(tree: Tree, links: LinkMap) -> None:
    expander = LinkExpander(links)
    expander.expand_all()
    tree.notes.extend(expander.notes)
    for link in links.targets:
        del tree.entries[link]
    tree.entries.update(expander.copied)


def _describe_dead_links(links: LinkMap) -> list[Note]:
    return [
        Note(rule="L4", text=f"{links.entries[link]} {problem}", is_warning=False)
        for link in links.targets
        if (problem := links.resolve(link).problem)
    ]


def _lay_out(tree: Tree, top: str, links: LinkMap) -> Plan:
    plan = Plan(top=top, directories={}, files={}, links={}, notes=tree.notes)
    for path, member in tree.entries.items():
        if member.kind is Kind.DIRECTORY:
            plan.directories[path] = member.mtime
        elif member.kind is Kind.FILE:
            plan.files[path] = member
        else:
            plan.links[path] = links.targets[path].text
    return plan


def raise_if_too_large(plan: Plan, limits: Limits) -> None:
    """Hold what would be on disk against the limit."""
    total = plan.total_bytes
    if total > limits.total_bytes:
        raise RuleError(
            "X1", f"the archive unpacks to {total:,} bytes (limit {limits.total_bytes:,})"
        )
