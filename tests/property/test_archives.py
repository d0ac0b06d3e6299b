"""Thousands of archives, most of which nobody would publish, against the rules and the disk."""

import os
import posixpath
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.arena import Arena
from tests.property.formats import Sketch
from tests.property.model import predict
from tests.property.strategies import sketches
from tests.support.trees import Tree
from wheelforge_isolation import Links
from wheelforge_isolation.errors import ArchiveError

pytestmark = [
    pytest.mark.skipif(
        os.name == "nt" or sys.platform == "darwin", reason="needs a file system of any names"
    ),
    pytest.mark.parametrize(
        "profile",
        [settings.get_current_profile_name(), pytest.param("long", marks=[pytest.mark.stress])],
    ),
]
LINKS = st.sampled_from(Links)


@pytest.fixture
def arena(fast_path: Path) -> Arena:
    return Arena(root=fast_path)


def test_archive__becomes_the_tree_that_the_rules_describe(profile: str, arena: Arena) -> None:
    @settings(settings.get_profile(profile))
    @given(sketches(), LINKS)
    def check(sketch: Sketch, links: Links) -> None:
        expected = predict(sketch, copies_links=links is Links.COPY)

        outcome = arena.unpack(sketch.file_name, sketch.pack(), links)

        assert (outcome.tree if outcome.unpacked else None) == expected, outcome.error
        assert outcome.error is None or isinstance(outcome.error, ArchiveError)

    check()


def test_archive__nothing_outside_the_destination_is_touched(profile: str, arena: Arena) -> None:
    @settings(settings.get_profile(profile))
    @given(sketches(), LINKS)
    def check(sketch: Sketch, links: Links) -> None:
        outcome = arena.unpack(sketch.file_name, sketch.pack(), links)

        assert outcome.is_outside_unchanged
        assert [path for path in outcome.tree if _leads_out(path, outcome.tree)] == []

    check()


def _leads_out(path: str, tree: Tree) -> bool:
    """Return whether ``path`` is a link that leads out of the one top-level directory."""
    target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), tree[path].target))
    return tree[path].kind == "link" and target.split("/")[1] != path.split("/", maxsplit=1)[0]


def test_archive__refusal_leaves_the_destination_as_it_was(profile: str, arena: Arena) -> None:
    @settings(settings.get_profile(profile))
    @given(sketches(), LINKS, st.booleans())
    def check(sketch: Sketch, links: Links, is_made: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
        outcome = arena.unpack(sketch.file_name, sketch.pack(), links, is_made=is_made)

        if outcome.error is not None:
            assert (outcome.is_destination_there, outcome.tree) == (is_made, {})

    check()


def test_archive__messages_are_one_printable_line(profile: str, arena: Arena) -> None:
    @settings(settings.get_profile(profile))
    @given(sketches(), LINKS)
    def check(sketch: Sketch, links: Links) -> None:
        outcome = arena.unpack(sketch.file_name, sketch.pack(), links)

        said = [str(note) for note in outcome.unpacked.notes] if outcome.unpacked else []
        said += [str(outcome.error)] if outcome.error else []
        assert [text for text in said if not text.isprintable() or len(text) > 1000] == []

    check()
