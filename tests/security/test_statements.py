"""Statements that others have written: whatever is in them, the answer is one sentence."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import Ground, ask, write_sdist
from wheelforge.provenance.options import Provenance
from wheelforge.provenance.policy import Policy
from wheelforge.provenance.statement import reading_facts
from wheelforge.settings import Settings
from wheelforge.verify.check import Verifier
from wheelforge.verify.rebuild import Rebuild

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD: tuple[Any, ...] = (None, [], {}, [[]], {"x": []}, "", "../../x", "\0", -1, 1e400, True)
DEMANDS = Policy(minimum_sandbox="files", allowed_indexes=("https://pypi.org/",))
SHALLOW = {"libraries", "tools", "settings"}
"""Places with hundreds of values of one kind."""


class StoppedError(Exception):
    """The statement is as good as any."""


class Stopped(Rebuild):
    """Comes as far as everything that a statement says was read, and asks no index."""

    def find_source(self, statement: Any, place: Path) -> Path | str:
        with reading_facts(statement.name):
            self._check_possible(statement)
            self._find_source(statement)
        return place

    def run(self, statement: Any, source: Path | str, output: Path) -> Any:
        with reading_facts(statement.name):
            self._prepare(statement, source, output)
        raise StoppedError


def list_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict | list) and not (place and place[-1] in SHALLOW):
        names = value if isinstance(value, dict) else range(len(value))
        for name in names:
            yield from list_places(value[name], (*place, name))


def replaced(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], odd)
    return changed


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_statement__with_anything_in_any_place_is_answered(tmp_path: Path, odd: Any) -> None:
    ground = Ground.make(tmp_path)
    source = write_sdist(tmp_path)
    with ground.forge(provenance=Provenance(statements=True)) as forge:
        outcome = forge.build(ask(source, tmp_path / "out"))
    wheel = outcome.artifacts[0].path
    sidecar = Path(f"{wheel}.provenance.json")
    statement = json.loads(sidecar.read_text(encoding="utf-8"))
    settings: Settings = ground.settings()
    verifiers = [
        Verifier(DEMANDS, log=outcome.log),
        Verifier(rebuild=Stopped(settings, (source,), lambda _: None)),
    ]

    for place in list_places(statement):
        sidecar.write_text(json.dumps(replaced(statement, place, odd)), encoding="utf-8")
        for verifier in verifiers:
            with contextlib.suppress(StoppedError):
                found = verifier.verify(wheel)
                assert found.error is not None
                assert "\n" not in str(found.error)
