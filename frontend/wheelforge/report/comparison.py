"""The differences between a run and the report of an earlier one."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from wheelforge.errors import UsageError
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Facts: TypeAlias = Mapping[str, Any]
    Pair: TypeAlias = tuple[Facts, Facts]

_SLOWER_SHARE = 1.2
_SLOWER_SECONDS = 1.0
"""A build is slower if it took more of both: what is less comes and goes."""
GOOD = frozenset({"built", "reused", "resumed", "fetched"})
"""The outcomes of builds that went well."""
HEADINGS = {
    "newly_failing": "newly failing",
    "fixed": "fixed",
    "slower": "slower",
    "requirements": "other build requirements",
    "hashes": "other hashes",
    "new": "new",
    "gone": "gone",
}


def read_report(path: Path) -> Facts:
    """Return an earlier report; an error unless it is one."""
    facts: Facts = {}
    try:
        facts = as_table(json.loads(path.read_bytes()))
    except OSError as error:
        reason = f"`{path}` cannot be read: {error.strerror}"
        raise UsageError("option-invalid", "--compare", reason) from error
    except ValueError:
        pass  # it is not JSON
    if facts.get("schema") != 1 or not isinstance(facts.get("builds"), list):
        raise UsageError("option-invalid", "--compare", f"`{path}` is not a report of wheelforge")
    return facts


def compare(old: Facts, builds: Sequence[Facts]) -> dict[str, list[dict[str, object]]]:
    """Return for each kind of difference the builds that have it, by the names in `HEADINGS`."""
    before, now = _index(old["builds"]), _index(builds)
    pairs = [(before[key], build) for key, build in now.items() if key in before]
    finders = {
        "newly_failing": _find_new_failure,
        "fixed": _find_repair,
        "slower": _find_delay,
        "requirements": _find_requirements,
        "hashes": _find_hashes,
    }
    found = {
        name: [_name(pair[1], why) for pair in pairs if (why := find(*pair))]
        for name, find in finders.items()
    }
    found["new"] = [_name(build) for key, build in now.items() if key not in before]
    found["gone"] = [_name(build) for key, build in before.items() if key not in now]
    return found


def _index(builds: Sequence[Facts]) -> dict[tuple[str, str, int], Facts]:
    """Return builds by source and minor version of Python, wherever the source is."""
    counts = Counter[tuple[str, str]]()
    found: dict[tuple[str, str, int], Facts] = {}
    for build in builds:
        key = (str(build["label"]), ".".join(str(build["python"]).split(".")[:2]))
        counts[key] += 1
        found[*key, counts[key]] = build
    return found


def _name(build: Facts, detail: str = "") -> dict[str, object]:
    facts = {name: build.get(name) for name in ("id", "label", "python")}
    return {**facts, "detail": detail}


def _find_new_failure(old: Facts, new: Facts) -> str:
    is_new = new["outcome"] == "failed" and old["outcome"] in GOOD
    return str(new["error"]["code"]) if is_new else ""


def _find_repair(old: Facts, new: Facts) -> str:
    is_fixed = old["outcome"] == "failed" and new["outcome"] in GOOD
    return str(old["error"]["code"]) if is_fixed else ""


def _find_delay(old: Facts, new: Facts) -> str:
    if old["outcome"] != "built" or new["outcome"] != "built":
        return ""
    before, now = old["seconds"] or 0.0, new["seconds"] or 0.0
    is_slower = now > before * _SLOWER_SHARE and now > before + _SLOWER_SECONDS
    return f"{before:.1f} s, now {now:.1f} s" if is_slower else ""


def _find_requirements(old: Facts, new: Facts) -> str:
    if not old["environment"] or not new["environment"]:
        return ""
    before, now = (
        {wheel["name"]: str(wheel["version"]) for wheel in build["environment"]}
        for build in (old, new)
    )
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name, '-')} -> {now.get(name, '-')}" for name in names)


def _find_hashes(old: Facts, new: Facts) -> str:
    before, now = (
        {each["name"]: each["hashes"]["sha256"] for each in build["artifacts"]}
        for build in (old, new)
    )
    return ", ".join(name for name in now if before.get(name, now[name]) != now[name])
