"""Outcomes as one page for people, which needs nothing but a browser.

Everything that was built is a stranger's: names, messages and logs go into the page as JSON without
any character that means something in HTML, and its script makes text of them, never markup. The
page forbids itself all scripts, styles and connections but its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wheelforge.events import PHASE_WORDS
from wheelforge.report.comparison import HEADINGS
from wheelforge.report.json_report import describe_outcome, describe_run
from wheelforge.report.run import to_inline_json
from wheelforge_isolation import replace_file

if TYPE_CHECKING:
    from wheelforge.report.run import Run

_ROOT = Path("/")
_MARK = re.compile(r"\{\{(\w+)\}\}")
_TAILS_CHARACTERS = 1 << 24
"""For all failures together."""
_TAIL_CHARACTERS = 1 << 12
"""For each, however many there are."""


def write_html_report(run: Run, path: Path, base: str = "") -> None:
    """Put a page about ``run`` into the file ``path``, whose directory will be at ``base``."""
    replace_file(str(path), compose_page(run, path.parent, base).encode())


def compose_page(run: Run, home: Path = _ROOT, base: str = "") -> str:
    """Return the page; its links begin with ``base``, and lead on as from ``home``."""
    style = _read("page.css")
    script = "".join(map(_read, ("page.js", "run.js", "timeline.js", "builds.js")))
    parts = {
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "facts": to_inline_json(_describe(run, home, base)),
    }
    return _MARK.sub(lambda mark: parts[mark[1]], _read("page.html"))


def _describe(run: Run, home: Path, base: str) -> dict[str, object]:
    shown = sum(1 for _, tail in run.told if tail)
    room = max(_TAIL_CHARACTERS, _TAILS_CHARACTERS // max(1, shown))
    builds = [{**describe_outcome(*told), "tail": told[1][-room:]} for told in run.told]
    paths = {artifact.path for one in run.outcomes for artifact in one.artifacts}
    paths |= {one.log for one in run.outcomes if one.log is not None}
    paths |= {one.request.source for one in run.outcomes if isinstance(one.request.source, Path)}
    links = {str(path): _link(path, home, base) for path in paths}
    return {
        **describe_run(run),
        "builds": builds,
        "links": links,
        "words": PHASE_WORDS,
        "headings": HEADINGS,
    }


def _link(path: Path, home: Path, base: str) -> str:
    try:
        way = os.path.relpath(path, home)
    except ValueError:  # another drive
        return path.as_uri()
    # No name of a file becomes a scheme, a query or a fragment.
    address = quote(os.fsencode(way.replace(os.sep, "/")))
    return f"{base.rstrip('/')}/{address}" if base else address


def _read(name: str) -> str:
    from importlib.resources import files

    return files("wheelforge.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return by what a browser knows that part of the page."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
