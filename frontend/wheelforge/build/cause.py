"""Why a wheel was built and not used again: the first difference from the nearest earlier build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wheelforge.build.key_document import CONCEALED, list_leaves
from wheelforge.models import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Document = dict[str, Any]
    Place = tuple[str, ...]
    Leaves = dict[Place, str]

FIRST = Cause("first", "no earlier build of it is in this cache")
ASKED = Cause("asked", "built anew, as was asked for")
COLLECTED = Cause("collected", "the wheel of the same build is no longer in the cache")
DAMAGED = Cause("damaged", "the wheel of the same build was damaged in the cache")
_NONE = "nothing"
_MARK = re.compile(r"NOW|BEFORE")
_MACHINE = {"interpreter", "platform"}
_THINGS = {("closure", "wheels"), ("toolchain", "tools")}
_SENTENCES = {
    "source.sha256": "the sdist has other bytes",
    "source.git.commit": "the commit is NOW, was BEFORE",
    "source.git.branch": "the branch is NOW, was BEFORE",
    "source.git.tags": "the repository has other tags",
    "source.git.tracked": "other files are tracked by git",
    "source.git.changed": "other tracked files are changed",
    "source.git.ignored": "other files are ignored by git",
    "interpreter.version": "Python is NOW, was BEFORE",
    "interpreter.identity": "the Python was built or installed anew",
    "platform.cpu": "the processor is another one",
    "platform.release": "the kernel is NOW, was BEFORE",
    "platform.distribution": "the system is NOW, was BEFORE",
    "platform.libc": "the C library is NOW, was BEFORE",
    "policy.era": "it is built with what there was on NOW, was BEFORE",
    "policy.umask": "the umask is NOW, was BEFORE",
    "policy.wheelforge": "wheelforge is NOW, was BEFORE",
    "closure.constraints": "constraints on build requirements are NOW, were BEFORE",
    "closure.requires": "build requirements are NOW, were BEFORE",
}
_KINDS = {
    ("source", "files"): "`NAME` has other bytes or another mode",
    ("environment",): "the variable `NAME` is NOW, was BEFORE",
    ("request", "config_settings"): "the config setting `NAME` is NOW, was BEFORE",
    ("overrides",): "the override `NAME` is NOW, was BEFORE",
    ("toolchain", "tools"): "the tool `NAME` is another one",
    ("toolchain", "libraries"): "the package `NAME` is NOW, was BEFORE",
    ("toolchain", "settings"): "the file `NAME` is another one",
}


def find_cause(now: Document, earlier: Iterable[Document], dates: Mapping[str, str]) -> Cause:
    """Return the first difference of ``now`` from the nearest of earlier documents.

    The ``dates`` are the days on which files were published, by their hashes.
    """
    compared = [compare(before, now, dates) for before in earlier]
    return min(compared, key=lambda cause: len(cause.follows), default=FIRST)


def compare(before: Document, now: Document, dates: Mapping[str, str]) -> Cause:
    """Return the first difference between two documents, and the places of those that follow."""
    old, new = list_leaves(before), list_leaves(now)
    sections = list(dict.fromkeys(place[0] for place in (*new, *old)))
    places = [place for place in {**new, **old} if new.get(place) != old.get(place)]
    if not places:
        return Cause("same", "nothing has changed")
    first, *others = sorted(places, key=lambda place: sections.index(place[0]))
    values = old.get(first, ""), new.get(first, "")
    # Version, file and hash of one wheel, or path and digest of one tool, are one difference.
    same = first[:3] if first[:2] in _THINGS else first
    follows = tuple(".".join(place) for place in others if place[: len(same)] != same)
    sentence = _describe(first, old, new) + _date(first, old, new, dates)
    code = "changed"
    if first[0] in _MACHINE and any(place[0] == "platform" for place in places):
        code, sentence = "other-machine", f"it is of another machine or image: {sentence}"
    return Cause(code, sentence, ".".join(first), *values, follows)


def _date(place: Place, old: Leaves, new: Leaves, dates: Mapping[str, str]) -> str:
    """Return when the file of another version of a wheel was published, if that is known."""
    if place[:2] != ("closure", "wheels"):
        return ""
    version, sha256 = ((*place[:3], name) for name in ("version", "sha256"))
    date = dates.get(new.get(sha256, ""), "")
    return f" (published {date})" if date and old.get(version) != new.get(version) else ""


def _describe(place: Place, old: Leaves, new: Leaves) -> str:
    before, now = (_show(leaves.get(place, "")) for leaves in (old, new))
    if place[:2] == ("closure", "wheels"):
        # Of a wheel version, file and hash are told apart; the version says most.
        version = (*place[:3], "version")
        before, now = (_show(leaves.get(version, "")) for leaves in (old, new))
        if before == now:
            return f"`{place[2]}` {now} is a file with other bytes"
        return f"`{place[2]}` is {now}, was {before}"
    if any(value.startswith(CONCEALED) for value in (before, now)):
        how = {before: "is set", now: "is not set"}.get(_NONE, "is another one")
        what = "variable" if place[0] == "environment" else "config setting"
        return f"the {what} `{place[-1]}` {how}"
    known = _SENTENCES.get(".".join(place))
    for kind, sentence in _KINDS.items():
        if place[: len(kind)] == kind and len(place) > len(kind):
            known = sentence.replace("NAME", place[len(kind)])
    if place[:2] == ("source", "files") and _NONE in {before, now}:
        known = f"`{place[2]}` is {'new' if before == _NONE else 'gone'}"
    known = known or f"`{'.'.join(place)}` is NOW, was BEFORE"
    return _MARK.sub(lambda mark: now if mark[0] == "NOW" else before, known)


def _show(value: str) -> str:
    return value if value not in {"", "{}", "[]"} else _NONE
