"""Locks that nobody would think of: whatever was recorded comes back, and nothing else gets in."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import default_environment
from packaging.pylock import Pylock
from packaging.tags import parse_tag

from tests.support.lockfiles import (
    SIX,
    answer_with,
    load,
    lock_one,
    make_pin,
    make_python,
    make_wheel,
    save,
)
from tests.support.universe import PYTHON
from wheelforge.errors import LockError
from wheelforge.lockfile import Recorder, Source, read_lock
from wheelforge.lockfile.reading import parse
from wheelforge.resolve import Pin
from wheelforge_isolation import Interpreter

PYTHONS = (PYTHON, make_python(12), make_python(13), make_python(13, abi="cp313t"))
LABELS = st.one_of(st.sampled_from(("a-1.0", "a-1-0", "a.1.0-2", "A_1_0")), st.text(max_size=8))
ORIGINS = ("https://index.test/simple", "https://u:hunter2@other.test/simple?token=hunter2")
REQUIREMENTS = st.lists(
    st.one_of(st.sampled_from(("a", "b>=1", "B >=1", "c[x]; python_version > '3'")), st.text()),
    max_size=4,
).map(tuple)


@st.composite
def wheels(draw: st.DrawFn, name: str) -> Pin:
    version = draw(st.sampled_from(("1.0", "2.0")))
    tag = draw(st.sampled_from(("py3-none-any", "py2.py3-none-any")))
    file_name = f"{name}-{version}-{tag}.whl"
    base = draw(st.sampled_from(("https://u:hunter2@x.test/a b", "file:///wheels", "")))
    sha256 = draw(st.sampled_from(("1", "2"))) * 64
    url = base and f"{base}/{file_name}"
    origin = draw(st.sampled_from((*ORIGINS, *([url] if url else []))))
    return make_pin(file_name, url=url, sha256=sha256, origin=origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Something that is recorded."""

    source: Source
    python: Interpreter
    requirements: tuple[str, ...]
    pins: tuple[Pin, ...]


@st.composite
def builds(draw: st.DrawFn) -> Build:
    names = draw(st.lists(st.sampled_from("abc"), unique=True))
    sha256 = draw(st.sampled_from(("", "5" * 64, "6" * 64)))
    return Build(
        source=Source(label=draw(LABELS), sha256=sha256),
        python=draw(st.sampled_from(PYTHONS)),
        requirements=draw(REQUIREMENTS),
        pins=tuple(draw(wheels(name)) for name in names),
    )


def record(builds: list[Build]) -> Recorder:
    recorder = Recorder()
    for build in builds:
        answer = answer_with(*build.pins)
        recorder.record(build.source, build.python, build.requirements, answer)
    return recorder


def files_of(pins: tuple[Pin, ...]) -> set[tuple[str, str]]:
    return {(pin.file_name, pin.sha256) for pin in pins}


def select(path: Path, group: str, python: Interpreter) -> Iterator[tuple[str, str]]:
    """Yield name and hash of each file that any installer takes for ``group``."""
    environment = default_environment()
    environment.update(python.markers)  # type: ignore[typeddict-item]
    tags = [tag for text in python.tags for tag in parse_tag(text)]
    pylock = Pylock.from_dict(load(path))
    chosen = pylock.select(environment=environment, tags=tags, dependency_groups=[group])
    for package, file in chosen:
        yield package.name, file.hashes["sha256"]  # type: ignore[union-attr]


@given(st.lists(builds(), max_size=6))
def test_lock__what_was_recorded_is_read_again_and_given_for_the_same_question(
    recorded: list[Build],
) -> None:
    lock = record(recorded).lock()
    with tempfile.TemporaryDirectory() as directory:
        path = save(lock, Path(directory))
        content = path.read_bytes()
        again = read_lock(path)
        repeated = save(again, Path(directory)).read_bytes()

    assert again == lock
    assert repeated == content
    assert b"hunter2" not in content
    for build in recorded:
        answer = again.answer(build.source, build.requirements, build.python)
        assert files_of(answer.pins) in [
            files_of(other.pins)
            for other in recorded
            if (other.source, other.python) == (build.source, build.python)
        ]


@given(st.lists(builds(), max_size=5, unique_by=lambda build: build.source))
def test_lock__any_installer_that_knows_the_standard_takes_the_same_files(
    recorded: list[Build],
) -> None:
    lock = record(recorded).lock()
    with tempfile.TemporaryDirectory() as directory:
        path = save(lock, Path(directory))
        groups = {
            (source["name"], source.get("sha256", "")): source["answers"][0]["group"]
            for source in load(path)["tool"]["wheelforge"]["sources"]
        }
        for build in recorded:
            group = groups[build.source.label, build.source.sha256]
            chosen = sorted(select(path, group, build.python))
            assert chosen == sorted((pin.name, pin.sha256) for pin in build.pins)


@given(st.lists(builds(), max_size=6, unique_by=lambda build: build.source))
def test_lock__the_order_in_which_builds_end_changes_no_byte(recorded: list[Build]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        first = save(record(recorded).lock(), Path(directory)).read_bytes()
        second = save(record(recorded[::-1]).lock(), Path(directory)).read_bytes()

    assert first == second


WORDS = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.just("https://[")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.data())
def test_lock__whatever_is_changed_in_a_lock_it_is_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = save(lock_one(make_wheel("a"), make_wheel("b")), Path(directory))
        document = load(path)
    table, key = data.draw(st.sampled_from(list(list_spots(document))))
    table[key] = data.draw(WORDS)

    with suppress(LockError):
        parse(document, path)


def list_spots(value: object) -> Iterator[tuple[dict[str, object], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from list_spots(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from list_spots(inner)


@given(st.data())
def test_lock__whatever_is_done_to_the_bytes_of_a_lock_it_is_read_or_refused(
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = save(lock_one(make_wheel("a"), source=SIX._replace(label="x")), Path(directory))
        content = path.read_bytes()
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 40)))
        path.write_bytes(content[:start] + data.draw(st.binary(max_size=6)) + content[end:])

        with suppress(LockError):
            read_lock(path)
