"""Builds with a file of overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builds import Ground, ask
from tests.support.index import core_metadata
from wheelforge.errors import UsageError
from wheelforge.overrides.model import Overrides, read_overrides

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.models import Outcome


def read(path: Path, text: str, *others: Path) -> Overrides | None:
    path.write_text(text, encoding="utf-8")
    return read_overrides((), (*others, path))


def entry(*lines: str, name: str = "demo", reason: str = "it is old") -> str:
    return "\n".join(["[[package]]", f'name = "{name}"', f'reason = "{reason}"', *lines, ""])


def add(ground: Ground, name: str, version: str, requirement: str) -> None:
    """Add a wheel that requires something."""
    metadata = core_metadata(name, version, requirement)
    ground.stock.add(name, version, {"INFO/METADATA": metadata})


def build(ground: Ground, source: Path, text: str, **facts: object) -> Outcome:
    overrides = read(ground.links.parent / "overrides.toml", text)
    with ground.forge(overrides=overrides) as forge:
        return forge.try_build(ask(source, ground.links.parent / "out", **facts))


def refuse(ground: Ground, source: Path, text: str) -> str:
    error = build(ground, source, text).error
    assert isinstance(error, UsageError), error
    assert error.code == "override-failed"
    return f"{error.line}: {error.reason}"


def names(outcome: Outcome) -> set[str]:
    assert outcome.error is None, outcome.error
    return {wheel.name for wheel in outcome.wheels}
