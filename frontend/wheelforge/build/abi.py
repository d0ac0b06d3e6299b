"""The reuse policy `abi`: of the wheels that a wheel was built with, only some count.

A build requirement counts if the wheel requires it at run time too, as an extension for numpy or
torch does: it is compiled against that release. So does one that `build-requires.abi` of an
override names, such as a library of headers. All others may be other releases, more or fewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelforge.build.cause import compare
from wheelforge.build.key_document import MARKS
from wheelforge_isolation import WheelKey
from wheelforge_isolation.formats.requirements import find_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from wheelforge.models import Cause
    from wheelforge.overrides.model import Override

    Document = dict[str, Any]

ABI = "abi"


def list_counting(facts: Mapping[str, Any], override: Override | None) -> set[str]:
    """Return the names of the build requirements that count, of a wheel with those ``facts``."""
    marked = override.texts(*MARKS) if override else ()
    return {*facts["requires"], *marked}


def keep_counting(document: Document, names: Container[str]) -> Document:
    """Return the document without the build requirements that do not count."""
    closure = document["closure"]
    kept = {
        **_reduce(closure, names),
        "constraints": [text for text in closure["constraints"] if find_name(text) in names],
    }
    if "before" in closure:
        kept["before"] = [_reduce(each, names) for each in closure["before"]]
    return {**document, "closure": kept}


def _reduce(environment: Document, names: Container[str]) -> Document:
    wheels = {name: each for name, each in environment["wheels"].items() if name in names}
    return {**environment, "wheels": wheels}


def find_passed(before: Document, now: Document, names: Container[str]) -> Cause | None:
    """Return the difference that the policy lets pass; nothing if there is one that counts."""
    if keep_counting(before, names) != keep_counting(now, names):
        return None
    found = compare(before, now, {})
    sentence = f"the wheel of an earlier build is used although {found.sentence} (abi)"
    return found._replace(code=ABI, sentence=sentence)


def list_wheels(document: Document) -> Iterator[WheelKey]:
    """Yield the wheels of a document, those of its last environment first."""
    closure = document["closure"]
    for environment in (closure, *closure.get("before", ())):
        for name, wheel in environment["wheels"].items():
            version, file, sha256 = (wheel[key] for key in ("version", "file", "sha256"))
            yield WheelKey(name=name, version=version, file_name=file, sha256=sha256)
