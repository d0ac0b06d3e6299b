"""The index at a glance: what was built of each project for each target, and what could not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from wheelforge.service.simple.builds import Target
    from wheelforge.service.simple.site import Site

MOST_ROWS = 100


async def survey_index(site: Site, offset: int) -> dict[str, Any]:
    """Return the targets and, of the projects that there is anything of, so many from there on.

    Those with failures are the first.
    """
    columns, cells = list[dict[str, Any]](), dict[str, dict[str, dict[str, Any]]]()
    for name in site.targets:
        try:
            target = await site.find_target(name)
        except ForgeError as error:
            columns.append({"name": name, "python": None, "error": str(error)})
            continue
        if target is None:
            continue
        columns.append({"name": name, "python": target.interpreter.version, "error": None})
        for project, cell in _survey_target(site, target).items():
            cells.setdefault(project, {})[name] = cell
    failed = {name for name, row in cells.items() if any(cell["failures"] for cell in row.values())}
    ordered = sorted(cells, key=lambda name: (name not in failed, name))
    shown = ordered[offset : offset + MOST_ROWS]
    more = offset + MOST_ROWS
    return {
        "targets": columns,
        "count": len(cells),
        "projects": [{"name": name, "targets": cells[name]} for name in shown],
        "more": more if more < len(cells) else 0,
    }


def _survey_target(site: Site, target: Target) -> dict[str, dict[str, Any]]:
    """Return, by project, the count of wheels, the failures, and whether any is at work."""
    cells = dict[str, dict[str, Any]]()

    def find(project: str) -> dict[str, Any]:
        return cells.setdefault(project, {"wheels": 0, "building": 0, "failures": []})

    for project, count in site.wheels.count_wheels(target.identity).items():
        find(project)["wheels"] = count
    for project, count in site.builds.count_building(target).items():
        find(project)["building"] = count
    for failure in site.wheels.failures(target.identity).values():
        facts = {"file": failure.file_name, "code": failure.code, "message": failure.message}
        find(failure.project)["failures"].append({**facts, "build": failure.run or None})
    return cells
