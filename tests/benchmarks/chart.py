"""One picture: everybody's time, where uv's is 1. Written by hand, as SVG is text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import starmap
from xml.sax.saxutils import escape

from tests.benchmarks.figures import Result

WIDTH = 760
_LABEL, _VALUE, _MARGIN = 250, 60, 20
_BAR, _STEP, _HEAD, _TOP = 16, 24, 34, 52
_OURS, _UV, _OTHERS = "#1a7f5a", "#7a5195", "#9aa3ad"
# A ground of its own, and text that is dark enough for it: the page around may be black.
_GROUND, _TEXT, _FAINT = "#f6f7f9", "#24292f", "#57606a"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_LOOK = f'role="img" font-family="{_FONTS}" font-size="13"'


@dataclass(frozen=True, slots=True)
class _Bar:
    name: str
    ratio: float


@dataclass(frozen=True, slots=True)
class _Group:
    title: str
    base: str
    bars: list[_Bar]

    @property
    def height(self) -> int:
        return _HEAD + _STEP * len(self.bars)


def draw(results: Sequence[Result]) -> str:
    """Return the picture of those results that have uv as their 1; shorter is better."""
    groups = [group for result in results if (group := _group(result)) is not None]
    most = max((bar.ratio for group in groups for bar in group.bars), default=1.0)
    height = _TOP + sum(group.height for group in groups) + _MARGIN
    size = f'width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {size} {_LOOK}>',
        "<title>Time in relation to uv</title>",
        f'<rect {size} rx="8" fill="{_GROUND}"/>',
        _text(_MARGIN, 30, "Time, where uv takes 1.0 (shorter is better)", size=15, is_bold=True),
    ]
    top = _TOP
    scale = (WIDTH - _LABEL - _VALUE - _MARGIN) / most
    for group in groups:
        lines += _draw_group(group, top, scale)
        top += group.height
    return "\n".join([*lines, "</svg>", ""])


def _group(result: Result) -> _Group | None:
    bases = {row.base for row in result.rows if row.counts}
    means = result.means()
    if not means or not all("uv" in base.split() for base in bases) or result.name == "memory":
        return None
    bars = sorted(starmap(_Bar, means.items()), key=lambda bar: bar.ratio)
    return _Group(result.title, bases.pop(), bars)


def _draw_group(group: _Group, top: int, scale: float) -> Iterator[str]:
    yield _text(_MARGIN, top + 18, group.title, color=_FAINT, is_bold=True)
    first, last = top + _HEAD - 6, top + group.height - 4
    x = f"{_LABEL + scale:.1f}"
    yield (
        f'<line x1="{x}" x2="{x}" y1="{first}" y2="{last}" stroke="{_TEXT}" '
        'stroke-dasharray="3 3" opacity="0.6"/>'
    )
    for number, bar in enumerate(group.bars):
        is_ours = bar.name.startswith("wheelforge")
        color = _OURS if is_ours else _UV if bar.name == group.base else _OTHERS
        yield from _draw_bar(bar, top + _HEAD + number * _STEP - 4, scale, color)


def _draw_bar(bar: _Bar, top: int, scale: float, color: str) -> Iterator[str]:
    width = max(1.0, bar.ratio * scale)
    yield _text(_LABEL - 8, top + 13, bar.name, anchor="end")
    yield (
        f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{color}"/>'
    )
    yield _text(round(_LABEL + width) + 6, top + 13, f"{bar.ratio:.2f}", color=_FAINT)


def _text(
    x: int, y: int, text: str, *, color: str = _TEXT, anchor: str = "start", **look: int
) -> str:
    weight = ' font-weight="600"' if look.get("is_bold") else ""
    size = f' font-size="{look["size"]}"' if "size" in look else ""
    place = f'x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}"'
    # Its edge is of the ground's color, so that lines behind it do not cross it.
    edge = f'paint-order="stroke" stroke="{_GROUND}" stroke-width="4"'
    return f"<text {place} {edge}{size}{weight}>{escape(text)}</text>"
