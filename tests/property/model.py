"""The tree that an archive should become, written down once more and as plainly as possible.

It knows nothing of the package under test: a list of members goes in, and out comes the tree that
should be on disk, or nothing where the archive should be refused. It is about a file system that
takes every name and has links. Slow and short, so that it can be held against the rules by eye.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import NoReturn, TypeAlias

from tests.property.formats import Entry, Form, Kind, Sketch, raw
from tests.support.trees import Node, Tree

Place: TypeAlias = tuple[str, ...]
_NAMELESS_CONTROLS = "\u061c\u200e\u200f"
_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_DECISIVE = {"PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg"}
_PROJECT = {"pyproject.toml", "setup.py"}
_HOPS, _DEPTH, _COMPONENT, _PATH = 40, 64, 255, 1024


class _RefusedError(Exception):
    """A rule is broken."""


def _refuse(rule: str) -> NoReturn:
    raise _RefusedError(rule)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    is_program: bool


@dataclass(frozen=True, slots=True)
class _Directory:
    pass


@dataclass(frozen=True, slots=True)
class _Link:
    target: str


@dataclass(frozen=True, slots=True)
class _Twin:
    """A hard link to a symbolic link, which is settled when the tree is whole."""

    target: Place


_Thing: TypeAlias = _File | _Directory | _Link | _Twin
_Things: TypeAlias = dict[Place, _Thing]


def predict(sketch: Sketch, *, copies_links: bool) -> Tree | None:
    """Return the tree that ``sketch`` should become, or nothing where it should be refused."""
    try:
        things = _collect(sketch)
        tree = _Tree(_settle_top(things, sketch))
        tree.check()
        _judge_sdist(tree, sketch)
        return _describe(dict(tree.copy((), (), ())) if copies_links else tree.kept())
    except _RefusedError:
        return None


# Names


def _read_name(entry: Entry, form: Form) -> str:
    """Return the name that a reader sees in the archive."""
    name = entry.name
    if form.is_zip:
        try:
            name = raw(name).decode()
        except UnicodeDecodeError:
            name = raw(name).decode("cp437")
    if form is Form.DOS_ZIP:  # which tells a directory by nothing but its name
        name = name.replace("\\", "/") + "/" * (entry.kind is Kind.DIRECTORY)
    return name


def _split(name: str) -> Place:
    return tuple(part for part in name.split("/") if part not in {"", "."})


def _judge_text(text: str) -> None:
    for character in text:
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            _refuse("N6, N7")
        if unicodedata.bidirectional(character) in _CONTROLS or character in _NAMELESS_CONTROLS:
            _refuse("N7")
    start = text.lstrip("/")[:2]
    if "\\" in text or (start[:1].isascii() and start[:1].isalpha() and start[1:] == ":"):
        _refuse("N4, N5")


def _judge_length(place: Place) -> None:
    if len(place) > _DEPTH or len(raw("/".join(place))) > _PATH:
        _refuse("N15")
    if any(len(raw(part)) > _COMPONENT for part in place):
        _refuse("N15")


# From members to a tree


def _collect(sketch: Sketch) -> _Things:
    things: _Things = {}
    for entry in sketch.entries:
        _add(things, entry, _read_name(entry, sketch.form), sketch.form)
    return things


def _add(things: _Things, entry: Entry, name: str, form: Form) -> None:
    place = _split(name)
    _judge_text(name)
    _judge_text("/".join(place))
    _judge_length(place)
    kind = _find_kind(entry, name, form)
    if not name or ".." in place or (not place and kind is not Kind.DIRECTORY):
        _refuse("N2, N3, N8, N9")
    for length in range(1, len(place)):
        if not isinstance(things.setdefault(place[:length], _Directory()), _Directory):
            _refuse("L11, D4")
    if place:
        is_program = bool(entry.mode & 0o111) and form is not Form.DOS_ZIP
        _put(things, place, _make(things, place, kind, entry, is_program=is_program))


def _find_kind(entry: Entry, name: str, form: Form) -> Kind:
    if form.is_zip and entry.kind is Kind.SYMLINK and len(raw(entry.target)) > _PATH:
        _refuse("Z13")
    # In a field of tar it is seen before a later member can take the link's place.
    is_field = form is not Form.PAX or (len(raw(entry.target)) <= 100 and entry.target.isascii())
    has_nul = entry.kind is Kind.SYMLINK and "\0" in entry.target
    if has_nul and is_field and not form.is_zip:
        _refuse("N6")
    if entry.kind is Kind.FIFO:
        _refuse("S1")
    has_content = bool(entry.content) and not (form.is_zip and entry.kind is Kind.SYMLINK)
    is_file = entry.kind is Kind.FILE and not name.endswith("/")
    if has_content and not is_file:
        _refuse("L18, S5, N10, Z16")
    if entry.kind is Kind.FILE and not is_file:
        return Kind.DIRECTORY
    return entry.kind


def _make(things: _Things, place: Place, kind: Kind, entry: Entry, *, is_program: bool) -> _Thing:
    if kind is Kind.DIRECTORY:
        return _Directory()
    if kind is Kind.SYMLINK:
        return _Link(entry.target)
    if kind is Kind.HARDLINK:
        return _link_hard(things, place, entry.target)
    return _File(entry.content, is_program)


def _link_hard(things: _Things, place: Place, text: str) -> _Thing:
    _judge_text(text)
    target = _split(text)
    _judge_length(target)
    thing = things.get(target)
    if text.startswith("/") or thing is None or target == place or isinstance(thing, _Directory):
        _refuse("L14, L16, L17")
    return thing if isinstance(thing, _File) else _Twin(target)


def _put(things: _Things, place: Place, thing: _Thing) -> None:
    there = things.get(place)
    if there is not None and isinstance(there, _Directory) is not isinstance(thing, _Directory):
        _refuse("D2, D3, D5")
    is_decisive = len(place) <= 2 and place[-1] in _DECISIVE
    if is_decisive and there is not None and not _is_same(there, thing):
        _refuse("D1")
    things[place] = thing


def _is_same(one: _Thing, other: _Thing) -> bool:
    if isinstance(one, _File) and isinstance(other, _File):
        return one.content == other.content
    return one == other


def _settle_top(things: _Things, sketch: Sketch) -> _Things:
    """Return the tree with its one top-level directory, made where an old archive has none."""
    tops = {place[0] for place in things}
    if len(tops) > 1:
        tops = {top for top in tops if top != "__MACOSX" and not top.startswith("._")}
        things = {place: thing for place, thing in things.items() if place[0] in tops}
    if len(tops) == 1 and isinstance(things[*tops,], _Directory):
        return things
    is_old = sketch.form.is_zip or ("pyproject.toml",) not in things
    if not is_old or not isinstance(things.get(("setup.py",)), _File):
        _refuse("Y1, Y2, L8")
    _judge_text(sketch.stem)
    if not _split(sketch.stem) or sketch.stem == "..":
        _refuse("N2, N8")
    lowered = {(sketch.stem, *place): _lower(thing, sketch.stem) for place, thing in things.items()}
    return {(sketch.stem,): _Directory(), **lowered}


def _lower(thing: _Thing, stem: str) -> _Thing:
    return _Twin((stem, *thing.target)) if isinstance(thing, _Twin) else thing


# Links


@dataclass(slots=True)
class _Tree:
    things: _Things
    aims: dict[Place, tuple[Place, str]] = field(default_factory=dict[Place, tuple[Place, str]])
    """Where every symbolic link points, and its text without detours."""
    ends: dict[Place, tuple[Place | None, int]] = field(
        default_factory=dict[Place, tuple[Place | None, int]]
    )
    """The end of every symbolic link, if there is one, and how many were followed."""

    def check(self) -> None:
        self._judge_twins()
        for place, thing in self.things.items():
            if isinstance(thing, _Link):
                self.aims[place] = self._aim(place, thing.target)
        for place in self.aims:
            if self.follow(place, ())[1] > _HOPS:
                _refuse("L2")
        for place, thing in list(self.things.items()):
            if isinstance(thing, _Twin):
                self.things[place] = self._settle(thing, ())

    def _judge_twins(self) -> None:
        """Refuse names that only some file systems tell apart, unless both are plain files."""
        seen: dict[str, Place] = {}
        for place in self.things:
            twin = seen.setdefault(unicodedata.normalize("NFC", "/".join(place)).casefold(), place)
            are_files = isinstance(self.things[place], _File) and isinstance(
                self.things[twin], _File
            )
            if twin != place and not are_files:
                _refuse("N13")

    def _aim(self, link: Place, text: str) -> tuple[Place, str]:
        _judge_text(text)
        if not text or text.startswith("/") or len(raw(text)) > _PATH:
            _refuse("L5, L7, L19")
        _judge_length(_split(text))
        here, steps = link[:-1], list[str]()
        for part in _split(text):
            if part != "..":
                here, steps = (*here, part), [*steps, part]
                continue
            if not isinstance(self.things.get(here), _Directory):
                _refuse("L9")
            here = here[:-1]
            steps = steps[:-1] if steps and steps[-1] != ".." else [*steps, ".."]
            if not here:
                _refuse("L6")
        return here, "/".join(steps) or "."

    def follow(self, link: Place, before: tuple[Place, ...]) -> tuple[Place | None, int]:
        """Return what is at the end of ``link``, if anything, and how many links were followed."""
        if link in before:
            return None, 0
        if link not in self.ends:
            self.ends[link] = self._follow(link, (*before, link))
        return self.ends[link]

    def _follow(self, link: Place, before: tuple[Place, ...]) -> tuple[Place | None, int]:
        here: Place = ()
        hops = 1
        for part in self.aims[link][0]:
            here = (*here, part)
            if here not in self.things:
                return None, hops
            if isinstance(self.things[here], _Link):
                end, more = self.follow(here, before)
                hops += more
                if end is None:
                    return None, hops
                here = end
        return here, hops

    def _settle(self, twin: _Twin, before: tuple[Place, ...]) -> _File:
        """Return the regular file at the end of a hard link to a symbolic link."""
        end: Place | None = twin.target
        if end in self.aims:
            end = self.follow(twin.target, ())[0]
        thing = self.things.get(end) if end else None
        if isinstance(thing, _Twin) and thing.target not in before:
            return self._settle(thing, (*before, twin.target))
        if not isinstance(thing, _File):
            _refuse("L15")
        return thing

    def find_file(self, place: Place) -> _File | None:
        """Return the regular file at ``place``, or at the end of the link there."""
        end = self.follow(place, ())[0] if place in self.aims else place
        thing = self.things.get(end) if end else None
        return thing if isinstance(thing, _File) else None

    def kept(self) -> _Things:
        return {
            place: _Link(self.aims[place][1]) if isinstance(thing, _Link) else thing
            for place, thing in self.things.items()
        }

    def copy(
        self, source: Place, place: Place, inside: tuple[Place, ...]
    ) -> Iterator[tuple[Place, _Thing]]:
        """Yield all below ``source`` as it is found at ``place``, links replaced."""
        inside = (*inside, source)
        for child in self.things:
            if child[:-1] != source:
                continue
            there = (*place, child[-1])
            end = self.follow(child, ())[0] if child in self.aims else child
            if end is None or (end != child and any(one[: len(end)] == end for one in inside)):
                continue
            _judge_length(there)
            yield there, self.things[end]
            if isinstance(self.things[end], _Directory):
                yield from self.copy(end, there, inside)


# Contents


def _judge_sdist(tree: _Tree, sketch: Sketch) -> None:
    top = next(iter(tree.things))[:1]
    metadata = tree.find_file((*top, "PKG-INFO"))
    if metadata is None:
        return
    if not any(tree.find_file((*top, name)) for name in _PROJECT):
        _refuse("Y6")
    fields = message_from_bytes(metadata.content)
    is_new = fields.get("Metadata-Version", "") >= "2.2"
    if sketch.stem == "p-1.0" and is_new and (fields["Name"], fields["Version"]) != ("p", "1.0"):
        _refuse("Y4")


def _describe(things: _Things) -> Tree:
    return {"/".join(place): _describe_thing(thing) for place, thing in things.items()}


def _describe_thing(thing: _Thing) -> Node:
    match thing:
        case _File(content, is_program):
            return Node("file", 0o755 if is_program else 0o644, content)
        case _Link(target):
            return Node("link", target=target)
        case _:
            return Node("directory", 0o755)
