"""``wheelforge why``: the reason for which a wheel was built, and not used again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.build.cause import compare
from wheelforge.build.targets import find_layout
from wheelforge.errors import UsageError
from wheelforge.models import Cause
from wheelforge_isolation import digest, list_built_wheels
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_sdist_name
from wheelforge_isolation.formats.requirements import find_requirement
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge_isolation import WheelKey

    Build = tuple[WheelKey, dict[str, Any]]

_EXACT = "exact"
_MOST_FOLLOWING = 8


def explain(options: CommandOptions) -> None:
    """Print why the last build of a source was made, or how two builds differ."""
    builds = sorted(
        list_built_wheels(find_layout(options.cache_dir)), key=lambda each: -each[1]["time"]
    )
    wheel, facts = find_build(options.build, builds)
    if options.other:
        before = find_build(options.other, builds)[1]["document"]
        cause = compare(before, facts["document"], facts.get("published", {}))
        shared = 0
    else:
        cause = Cause(**facts["cause"])
        shared = sum(_is_same(cause, each) for _, each in builds) - 1
    show_cause(options, wheel, cause, shared, facts.get("policy", _EXACT))


def show_cause(
    options: CommandOptions, wheel: WheelKey, cause: Cause, shared: int = 0, policy: str = _EXACT
) -> None:
    """Print the cause of a build, which is that of so many others too."""
    if options.json:
        whole = {"wheel": wheel.file_name, "sha256": wheel.sha256, **cause._asdict()}
        more = {"shared_by": shared, "policy": policy}
        sys.stdout.write(f"{json.dumps({**whole, **more}, indent=2)}\n")
        return
    sys.stdout.write(f"{escape_line(wheel.file_name)}: {escape_line(cause.sentence)}\n")
    if cause.follows:
        rest = len(cause.follows) - _MOST_FOLLOWING
        shown = ", ".join(cause.follows[:_MOST_FOLLOWING]) + (
            f" and {rest} more" if rest > 0 else ""
        )
        sys.stdout.write(f"  what differs besides: {escape_line(shown)}\n")
    if shared > 0 and cause.place:
        others = "1 other build" if shared == 1 else f"{shared} other builds"
        sys.stdout.write(f"  the same is new for {others}\n")
    if policy != _EXACT:
        sys.stdout.write(f"  it was built with `--reuse-policy {policy}`\n")


def _is_same(cause: Cause, facts: dict[str, Any]) -> bool:
    other = Cause(**facts["cause"])
    return (cause.place, cause.before, cause.now) == (other.place, other.before, other.now)


def find_build(text: str, builds: Sequence[Build]) -> Build:
    """Return the last build of a source, or the one that has made a wheel."""
    path, name = Path(text), ""
    if path.is_file():
        sha256 = digest(path)
        for wheel, facts in builds:
            if sha256 in {wheel.sha256, facts["document"]["source"].get("sha256")}:
                return wheel, facts
    requirement = find_requirement(text)
    if requirement is not None and not path.exists():
        name = normalize_name(requirement.name)
    else:
        try:
            name = parse_sdist_name(path.name).name
        except FormatError:
            name = ""
    for wheel, facts in builds:
        if wheel.name == name and (
            requirement is None or requirement.specifier.contains(wheel.version, prereleases=True)
        ):
            return wheel, facts
    raise UsageError("option-invalid", text, "no build of it is in this cache")
