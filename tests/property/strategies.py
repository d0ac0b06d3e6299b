"""Archives that a program wrote, that an old program wrote, and that nobody wrote in good faith."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.property.formats import Entry, Form, Kind, Sketch

TOP = "p-1.0"
_TAME = ["a", "b", "d", "l"]
_LEAVES = ["a", "b", "l", "m", "n", "setup.py", "pyproject.toml", "PKG-INFO", "\u00e9", "\udcff"]
_ODD = ["A", "L", "\u00e9", "e\u0301", "\u00df", "SS", "setup.py", "pyproject.toml", "PKG-INFO",
        "a.", "con", "a:b", " ", "x" * 255, "\U0001f40d", "\udcff"]  # fmt: skip
_EVIL = ["..", ".", "", "n\0m", "a\\b", "C:", "c:x", "\n", "\x7f", "\x9b", "\u202e", "\u2028",
         "\u200f", "y" * 256, "/".join("z" * 61), "/".join(["w" * 250] * 4)]  # fmt: skip
_TOPS = [TOP, TOP, "", "/", ".", "q", "__MACOSX", "._p", "..", "../..", "../../..", "../../../..",
         "C:", "./C:", "\\\\host", "/..", TOP.upper(), f"../{TOP}", ".lock", ".kept"]  # fmt: skip
_STRANGE = [*_TOPS, *[f"{top}/a" for top in _TOPS], *[f"{TOP}/{part}" for part in _ODD + _EVIL],
            *[f"{TOP}/{part}/a" for part in _ODD + _EVIL]]  # fmt: skip
_STRANGERS = [Kind.FILE, Kind.DIRECTORY, *[Kind.SYMLINK] * 3, *[Kind.HARDLINK] * 3, Kind.FIFO]
_NEW = st.just(f"{TOP}/new")
_TARGETS = ["", "/", "/etc/passwd", "../..", "../../..", "../../outside", "..\\outside", "C:/x",
            "a\0b", "a\nb", "./a", "a/", "d//.", "d/../a", "l/../a", "a/../b", "none/../a",
            "self/self", "v" * 1025, "u" * 256]  # fmt: skip
_PLACES = [".", "..", "d", "d/d", "e", "../d", "../e", "d/../a", "none", "l", "m/l"]
_LITTER = ["PKG-INFO", "pyproject.toml", "a/b", "__MACOSX/a", "._a", "__MACOSX", "d/l"]
_STEM = st.just(TOP)
_STEMS = [TOP, TOP, TOP, TOP, "q", "..", ".", "C:x", "a\\b", "a\nb", "t" * 200]
_KINDS = [Kind.FILE] * 4 + [Kind.DIRECTORY] * 2 + [Kind.SYMLINK] * 3 + [Kind.HARDLINK] * 2
_METADATA = b"Metadata-Version: %b\nName: %b\nVersion: 1.0\n"
_CONTENTS = [b"", b"", b"x", b"yy" * 400, _METADATA % (b"2.1", b"q"), _METADATA % (b"2.2", b"q"),
             _METADATA % (b"2.2", b"p")]  # fmt: skip


def _names(pool: list[str]) -> SearchStrategy[str]:
    parts = st.lists(st.sampled_from(pool), min_size=0, max_size=3)
    ends = st.sampled_from(["", "", "", "", "", "", "/"])
    return st.builds(lambda parts, end: "/".join([TOP, *parts]) + end, parts, ends)


def _targets(pool: list[str]) -> SearchStrategy[str]:
    return st.lists(st.sampled_from(["..", "..", ".", *pool]), min_size=1, max_size=4).map("/".join)


def _near(leaves: list[str]) -> SearchStrategy[str]:
    """Return targets that are mostly there."""
    ways = st.sampled_from(["", "", "", "../", "d/", "../d/", "../e/", "./", "l/", "m/"])
    return st.builds("{}{}".format, ways, st.sampled_from(leaves)) | st.sampled_from(_PLACES)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """Choices for the members of one sort of archive."""

    names: SearchStrategy[str]
    directories: SearchStrategy[str]
    targets: SearchStrategy[str]
    stems: SearchStrategy[str] = _STEM
    most: int = 9


@st.composite
def _sketches(draw: st.DrawFn, style: _Style) -> Sketch:
    form = draw(st.sampled_from(Form))
    known = st.sampled_from([kind for kind in _KINDS if kind in form.kinds])
    entries: list[Entry] = []
    for _ in range(draw(st.integers(0, style.most))):
        kind, target, content = draw(known), "", b""
        others = [entry.name for entry in entries if entry.kind is not Kind.DIRECTORY]
        if kind is Kind.HARDLINK and not others:
            kind = Kind.FILE
        name = draw(style.directories if kind is Kind.DIRECTORY else style.names)
        if kind is Kind.SYMLINK:
            target = draw(style.targets)
        elif kind is Kind.HARDLINK:
            target = draw(st.sampled_from(others))
        elif kind is Kind.FILE or draw(st.integers(0, 50)) == 50:
            content = draw(st.sampled_from(_CONTENTS))
        mode = draw(st.sampled_from([0o644, 0o755, 0, 0o4711, 0o601]))
        entry = Entry(kind=kind, name=name, content=content, target=target, mode=mode)
        entries.append(entry)
    return Sketch(form=form, entries=entries, stem=draw(style.stems))


def sketches() -> SearchStrategy[Sketch]:
    """Return archives of every sort; more than a third of them are sound."""
    sorts = [_tame(), _project(), _littered(), _odd(), _flat(), _spoiled(), _chains()]
    return st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 4, *[5] * 7, 6]).flatmap(sorts.__getitem__)


def _tame() -> SearchStrategy[Sketch]:
    """Return archives that a program made: what is a directory once is one always."""
    return _tidy([TOP, f"{TOP}/d", f"{TOP}/d", f"{TOP}/d/d", f"{TOP}/e"], _LEAVES)


def _project() -> SearchStrategy[Sketch]:
    """Return archives whose files that matter may be links."""
    return _tidy([TOP], ["setup.py", "pyproject.toml", "PKG-INFO", "a", "l"], most=5)


def _littered() -> SearchStrategy[Sketch]:
    return _tidy([TOP, f"{TOP}/d", "__MACOSX", "__MACOSX", "._p"], ["a", "b", "l"])


def _tidy(directories: list[str], leaves: list[str], most: int = 9) -> SearchStrategy[Sketch]:
    places = st.sampled_from(directories)
    names = st.builds("{}/{}".format, places, st.sampled_from(leaves))
    return _sketches(_Style(names=names, directories=places, targets=_near(leaves), most=most))


def _odd() -> SearchStrategy[Sketch]:
    names = _names([*_TAME * 3, *_ODD])
    return _sketches(_Style(names=names, directories=names, targets=_targets(_TAME)))


def _flat() -> SearchStrategy[Sketch]:
    """Return archives without a top-level directory, as old ones are."""
    names = st.sampled_from(["setup.py", "setup.py", *_LITTER, *_TAME])
    stems = st.sampled_from(_STEMS)
    return _sketches(_Style(names=names, directories=names, targets=_near(_TAME), stems=stems))


def _twin(name: str) -> str:
    """Return another name, which is the same one to some file systems."""
    directory, _, last = name.rpartition("/")
    return f"{directory}/{last.upper()}"


@st.composite
def _spoiled(draw: st.DrawFn) -> Sketch:
    """Return archives that a program made, with one more member that somebody else added."""
    sketch = draw(_tidy([TOP, f"{TOP}/d"], _LEAVES, most=5))
    known = [entry.name for entry in sketch.entries] or [TOP]
    twists = st.sampled_from(["{}", "{}/x", "{}/x/y", "{}/", "./{}", "//{}", "{}/..", "x/../{}"])
    near = st.builds(str.format, twists, st.sampled_from([*known, *map(_twin, known)]))
    kind = draw(st.sampled_from([kind for kind in _STRANGERS if kind in sketch.form.kinds]))
    names, target = near | st.sampled_from(_STRANGE), ""
    if kind is Kind.SYMLINK:
        names, target = names | _NEW | _NEW, draw(st.sampled_from(_TARGETS))
    elif kind is Kind.HARDLINK:
        names, target = names | _NEW | _NEW, draw(near | st.sampled_from(_TARGETS + known))
    content = draw(st.sampled_from([b"x", b""] if kind is Kind.FILE else [b""] * 9 + [b"x"]))
    stranger = Entry(kind=kind, name=draw(names), content=content, target=target)
    position = draw(st.integers(0, len(sketch.entries)))
    sketch.entries.insert(position, stranger)
    return sketch


def _chains() -> SearchStrategy[Sketch]:
    """Return links that lead to links, about as many as may be followed."""
    return st.builds(_chain, st.integers(37, 43), st.booleans(), st.sampled_from(["", "/a"]))


def _chain(length: int, is_reversed: bool, below: str) -> Sketch:  # ruff: ignore[boolean-type-hint-positional-argument]
    targets = [*map(str, range(1, length)), f"d{below}"]
    entries = [
        Entry(kind=Kind.SYMLINK, name=f"{TOP}/{number}", target=target)
        for number, target in enumerate(targets)
    ]
    entries.append(Entry(kind=Kind.FILE, name=f"{TOP}/d/a"))
    return Sketch(form=Form.GNU, entries=entries[::-1] if is_reversed else entries)
