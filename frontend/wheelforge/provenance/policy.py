"""A policy: what statements have to say of wheels, as a TOML file has it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.errors import ProvenanceError
from wheelforge.provenance.envelope import check_signature, read_public_key
from wheelforge_isolation import Sameness
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wheelforge.provenance.envelope import PublicKey
    from wheelforge.provenance.statement import Statement

_LEVELS = ("none", "files", "tcp-off", "strict")
"""How far a sandbox shuts hooks in."""
_KEYS: dict[str, type] = {
    "trusted-keys": list,
    "minimum-sandbox": str,
    "allowed-indexes": list,
    "unpinned-sources": bool,
    "at-least": str,
}


class Policy(NamedTuple):
    """The demands on statements."""

    trusted_keys: tuple[PublicKey, ...] | None = None
    """A statement has to be signed with one of them."""
    minimum_sandbox: str = "none"
    allowed_indexes: tuple[str, ...] | None = None
    """The URL of every file that was downloaded has to begin with one of them."""
    unpinned_sources: bool = True
    at_least: Sameness = Sameness.SAME_CONTENT
    """How far a wheel that is built again has to be the same."""

    def check(
        self, statement: Statement, signatures: Sequence[tuple[bytes, str]], content: bytes
    ) -> str:
        """Refuse a statement that is not as demanded; return the id of the key that signed it."""
        key = ""
        if self.trusted_keys is not None:
            key = check_signature(statement.name, content, signatures, self.trusted_keys)
        for reason in self._list_objections(statement):
            raise ProvenanceError("provenance-refused", statement.name, reason)
        return key

    def _list_objections(self, statement: Statement) -> Iterator[str]:
        level = as_table(statement.internal.get("sandbox")).get("level", "none")
        if level not in _LEVELS or _LEVELS.index(level) < _LEVELS.index(self.minimum_sandbox):
            yield f"hooks were in a sandbox of level `{level}`, not `{self.minimum_sandbox}`"
        if not self.unpinned_sources and not statement.source.get("digest"):
            yield "the content of its source is not pinned"
        for dependency in statement.dependencies if self.allowed_indexes is not None else ():
            for url in _list_urls(dependency):
                if not any(url.startswith(place) for place in self.allowed_indexes or ()):
                    yield f"`{dependency.get('name')}` came from `{url}`"


def _list_urls(dependency: dict[str, Any]) -> Iterator[str]:
    """Yield where a file came from; of a wheel that has to be known."""
    built = as_table(as_table(dependency.get("annotations")).get("builtFrom"))
    found = [dependency.get("downloadLocation"), built.get("uri")]
    yield from map(str, filter(None, found))
    if not any(found) and str(dependency.get("name")).endswith(".whl"):
        yield "nowhere"


def read_policy(path: Path) -> Policy:
    """Return the policy in a file; paths in it are relative to it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise _invalid(path, f"it is no TOML: {error}") from error
    for key, value in found.items():
        if key not in _KEYS:
            raise _invalid(path, f"there is no key `{key}`; known are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            raise _invalid(path, f"`{key}` has to be a {_KEYS[key].__name__}")
    keys, indexes = found.get("trusted-keys"), found.get("allowed-indexes")
    level = found.get("minimum-sandbox", "none")
    if level not in _LEVELS:
        raise _invalid(path, f"`minimum-sandbox` is one of {', '.join(_LEVELS)}")
    return Policy(
        trusted_keys=None
        if keys is None
        else tuple(read_public_key(path.parent / k) for k in keys),
        minimum_sandbox=level,
        # Without a slash at its end a host could have a name that goes on.
        allowed_indexes=None if indexes is None else tuple(f"{i.rstrip('/')}/" for i in indexes),
        unpinned_sources=found.get("unpinned-sources", True),
        at_least=_read_sameness(path, found.get("at-least", Sameness.SAME_CONTENT.value)),
    )


def _read_sameness(path: Path, text: str) -> Sameness:
    try:
        return Sameness(text)
    except ValueError:
        known = ", ".join(each.value for each in Sameness)
        raise _invalid(path, f"`at-least` is one of {known}") from None


def _invalid(path: Path, reason: str) -> ProvenanceError:
    return ProvenanceError("provenance-invalid", str(path), reason)
