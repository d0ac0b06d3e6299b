"""Rows of facts, as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NUMBERS = {"Size"}
_UNBROKEN = {"Size", "Last used"}
_ROOM_FOR_COLUMNS = 72


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print ``rows`` below ``titles``, as wide as the terminal at most.

    In one that is too narrow for columns each fact of a row has a line.
    """
    console = Console()
    if console.width < _ROOM_FOR_COLUMNS:
        for first, *facts in rows:
            lines = (
                f"  {title.lower()}: {fact}" for title, fact in zip(titles[1:], facts, strict=True)
            )
            for line in (first, *lines):
                console.print(Text(line), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(
            title,
            justify="right" if title in _NUMBERS else "left",
            overflow="fold",
            no_wrap=title in _UNBROKEN,
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
