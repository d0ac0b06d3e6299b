"""One wheel after another: is it the one that its statement is about, and can it be built again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import ProvenanceError
from wheelforge.provenance.options import STATEMENT
from wheelforge.provenance.policy import Policy
from wheelforge.provenance.statement import Statement, reading_facts
from wheelforge.verify.attestations import Attested, check_attestations
from wheelforge_isolation import (
    ForgeError,
    Sameness,
    compare_archives,
    digest,
    raising_file_errors,
    temporary_directory,
)
from wheelforge_isolation.errors import FileMissingError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_file_name
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge.index import Index
    from wheelforge.verify.rebuild import Rebuild
    from wheelforge_isolation import Comparison

_CIRCUMSTANCES = ("interpreter", "platform", "toolchain", "variables", "policy", "sandbox")


class Verification(NamedTuple):
    """The verdict on one wheel."""

    wheel: Path
    comparison: Comparison | None = None
    """With what was built again, or is on the index; nothing if neither was asked for."""
    key: str = ""
    """The id of the trusted key that has signed the statement."""
    circumstances: tuple[str, ...] = ()
    """Places in the statement that are other ones now."""
    attested: Attested = Attested()
    """The attestations of the file on the index, or else of the sdist that it was built from."""
    error: ForgeError | None = None

    @property
    def verdict(self) -> str:
        """How it ended, in a word or two."""
        if self.error is not None:
            return "failed"
        return "checked" if self.comparison is None else self.comparison.sameness.value

    def exit_code(self, at_least: Sameness) -> int:
        """Return 0 if all is well, 1 if the wheel differs more than is allowed."""
        if self.error is not None:
            return self.error.exit_code
        order = list(Sameness)
        sameness = self.comparison.sameness if self.comparison else Sameness.IDENTICAL
        return int(order.index(sameness) > order.index(at_least))


class Verifier:
    """Verifies wheels: by their statements, a policy, and a rebuild or the file of an index."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        rebuild: Rebuild | None = None,
        index: Index | None = None,
        log: Path | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self._is_demanded = policy is not None or rebuild is not None or log is not None
        self._rebuild = rebuild
        self._index = index
        self._log = log

    def verify(self, wheel: Path) -> Verification:
        """Return the verdict on a wheel; an error is part of it."""
        try:
            return self._verify(wheel)
        except ForgeError as error:
            return Verification(wheel, error=error)

    def _verify(self, wheel: Path) -> Verification:
        sidecar = wheel.with_name(f"{wheel.name}{STATEMENT}")
        found = Verification(wheel)
        if self._is_demanded or self._index is None or sidecar.exists():
            statement, key = self._check_statement(wheel, sidecar)
            found = found._replace(key=key)
            if self._rebuild is not None:
                return self._build_again(self._rebuild, statement, found)
        if self._index is not None:
            comparison, attested = _compare_with_index(wheel, self._index)
            return found._replace(comparison=comparison, attested=attested)
        return found

    def _check_statement(self, wheel: Path, sidecar: Path) -> tuple[Statement, str]:
        from wheelforge.provenance.envelope import open_envelope

        if not os.path.lexists(wheel):
            raise FileMissingError("read", str(wheel), "there is no such file")
        with raising_file_errors("read", str(wheel)):
            sha256 = digest(wheel)
        if not sidecar.exists():
            raise ProvenanceError("provenance-missing", wheel.name)
        with raising_file_errors("read", str(sidecar)):
            content = sidecar.read_bytes()
        payload, signatures = open_envelope(sidecar.name, content)
        statement = Statement(sidecar.name, payload)
        name, expected = statement.subject
        if name != wheel.name:
            reason = f"it is about `{name}`"
            raise ProvenanceError("provenance-invalid", sidecar.name, reason)
        if sha256 != expected:
            raise ProvenanceError("provenance-mismatch", wheel.name, expected, sha256)
        with reading_facts(sidecar.name):
            if self._log is not None:
                _check_log(statement, self._log)
            return statement, self.policy.check(statement, signatures, payload)

    def _build_again(
        self, rebuild: Rebuild, statement: Statement, found: Verification
    ) -> Verification:
        with temporary_directory() as place:
            source = rebuild.find_source(statement, Path(place, "source"))
            attested = rebuild.check_source(statement, source)  # before its code is run
            made = rebuild.run(statement, source, Path(place)).path
            content = made.with_name(f"{made.name}{STATEMENT}").read_bytes()
            return found._replace(
                comparison=compare_archives(found.wheel, made),
                circumstances=tuple(_list_changes(statement, Statement(made.name, content))),
                attested=attested,
            )


def _check_log(statement: Statement, path: Path) -> None:
    """Refuse a log that does not begin with what was written until the wheel was delivered."""
    (log,) = (each for each in statement.byproducts if each.get("mediaType") == "text/plain")
    try:
        content = path.read_bytes()[: int(log["annotations"]["bytes"])]
    except OSError as error:
        raise ProvenanceError("provenance-invalid", str(path), str(error.strerror)) from error
    found, expected = hashlib.sha256(content).hexdigest(), log["digest"]["sha256"]
    if found != expected:
        raise ProvenanceError("provenance-mismatch", path.name, expected, found)


def _compare_with_index(wheel: Path, index: Index) -> tuple[Comparison, Attested]:
    name = _name_project(wheel.name)
    found = index.find(name)
    same = [each for each in (*found.usable, *found.late) if each.file_name == wheel.name]
    if not same:
        reason = "no index has a file of its name"
        raise ProvenanceError("comparison-impossible", wheel.name, reason)
    with temporary_directory() as place:
        path = Path(place, wheel.name)
        index.fetch(same[0], str(path))
        return compare_archives(wheel, path), check_attestations(path, name, index.settings)


def _name_project(file_name: str) -> str:
    """Return the project that a wheel or an sdist is of."""
    try:
        return parse_file_name(file_name).name
    except FormatError as error:
        raise ProvenanceError("comparison-impossible", file_name, str(error)) from error


def _list_changes(before: Statement, now: Statement) -> Iterator[str]:
    """Yield the places of circumstances that are other ones than when the wheel was built."""
    one, other = (
        {name: each.internal.get(name) for name in _CIRCUMSTANCES} for each in (before, now)
    )
    first, second = dict(_list_leaves(one)), dict(_list_leaves(other))
    yield from sorted(place for place in {*first, *second} if first.get(place) != second.get(place))


def _list_leaves(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    table = as_table(value)
    for name, each in table.items():
        yield from _list_leaves(each, f"{place}.{name}" if place else name)
    if not table:
        yield place, json.dumps(value)
