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


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print ``rows`` below ``titles``, as wide as the terminal at most."""
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
    Console().print(table)
