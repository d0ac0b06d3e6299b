"""The table that ``tests/README.md`` shows of ``tests/trust.json``."""

from typing import Any

HEAD = """\
| what | how often | violations | rules broken on purpose, found out | minutes | on |
|---|---|---|---|---|---|
"""
_TEXTS = {
    "kill sweep": (
        """every process of {scenarios} commands killed before each call that changes something;
        then the same command again, `cache verify` and `cache gc`""",
        "{points:,} kills",
    ),
    "reuse sweep": (
        "the same of {scenarios} commands that keep, use, compare and collect built wheels",
        "{points:,} kills",
    ),
    "fault sweep": (
        """the calls of the same commands fail, in every way that a system knows: no room, no right,
        no handle, no lock, another device, an interruption ...""",
        "{points:,} failures",
    ),
    "model": (
        """builders, users and collectors on a file system that is made up, in another order each
        time, with {kills:,} kills and {cuts:,} losses of power""",
        "{plays:,} plays, {runs:,} of them different",
    ),
    "storm": (
        "builders, collectors, a killer, a deleter and a flipper of bits on one cache",
        "{kills:,} kills, {done:,} uses",
    ),
    "power cuts": (
        "the power fails while a cache is filled and wheels are delivered, on ext4, XFS and btrfs",
        "{runs:,} cuts",
    ),
}


def make_table(record: dict[str, dict[str, Any]]) -> str:
    """Return the rows of all sections that there are figures of."""
    rows = [_make_row(name, record[name]) for name in _TEXTS if name in record]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _make_row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    what, count = _TEXTS[name]
    return (
        " ".join(what.format(**figures).split()),
        count.format(**figures),
        str(figures["violations"]),
        f"{figures['controls_found']} of {figures['controls']}" if "controls" in figures else "",
        str(round(figures["seconds"] / 60)),
        figures["date"].partition("T")[0],
    )
