"""Wrong answers of an index, or of a proxy before it, end a build; the next build succeeds.

Every mark in a result tells which bytes have really built it.
"""

import contextlib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.forge import Done, Place
from tests.support.index import (
    File,
    Index,
    Manners,
    Other,
    Project,
    Redirect,
    core_metadata,
    offering_metadata,
    serve,
    sha256,
)
from tests.support.maker import helper, maker, mark_of, thing, write_thing
from wheelforge_isolation import remove_tree

GOOD, EVIL = maker(), maker(mark="evil")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_thing(tmp_path)
    return Place(path=tmp_path, variables={"PIP_RETRIES": "0"})


@contextlib.contextmanager
def offering(*files: File) -> Generator[Index]:
    with serve(Project("maker", *files)) as index:
        yield index


def build(place: Place, index: Index, *words: str | Path) -> Done:
    """Build the sdist with what ``index`` has."""
    source = place.path / "thing-1.0.tar.gz"
    return place.run(source, "-o", place.path / "out", "-i", index.url, *words)


def check_refusal(done: Done, code: str, exit_code: int, place: Place, index: Index) -> None:
    """Check that nothing was made, and that a build has nothing of it once the index is sound."""
    assert (done.error, done.code, done.out) == (code, exit_code, ""), done.err
    assert not (place.path / "out").exists()
    index.projects.clear()
    index.manners = Manners()
    index.put(Project("maker", GOOD))
    assert mark_of(build(place, index)) == "good"


def lose_wheels(place: Place) -> None:
    """Remove everything from the cache but what was resolved."""
    for path in place.layout.root.iterdir():
        if path.is_dir() and path != place.layout.resolutions:
            remove_tree(str(path))


def test_poisoned_index__version_with_other_bytes_than_remembered_is_refused(place: Place) -> None:
    with offering(GOOD) as index:
        build(place, index)
        remove_tree(str(place.path / "out"))
        lose_wheels(place)
        index.put(Project("maker", EVIL))

        check_refusal(build(place, index), "download-mismatch", 5, place, index)


def test_poisoned_index__a_version_with_other_bytes_is_not_even_asked_for_while_the_first_are_here(
    place: Place,
) -> None:
    with offering(GOOD) as index:
        build(place, index)
        index.put(Project("maker", EVIL))
        index.asked.clear()

        assert mark_of(build(place, index)) == "good"
        assert index.asked == []


def test_poisoned_index__a_version_with_other_bytes_than_locked_is_refused(place: Place) -> None:
    lock = place.path / "pylock.build.toml"
    source = place.path / "thing-1.0.tar.gz"
    with offering(GOOD) as index:
        assert place.run("lock", source, "-o", lock, "-i", index.url).code == 0
        remove_tree(str(place.layout.root))
        index.put(Project("maker", EVIL))

        done = build(place, index, "--locked", lock)

        assert not (place.path / "out").exists()
        index.put(Project("maker", GOOD))
        healed = build(place, index, "--locked", lock)
    assert (done.error, done.code, done.out) == ("download-mismatch", 5, "")
    assert mark_of(healed) == "good"


def test_poisoned_index__another_index_with_a_higher_version_is_not_asked(place: Place) -> None:
    with offering(maker("9.0", "evil")) as public, offering(GOOD) as private:
        assert mark_of(build(place, public, "--extra-index-url", private.url)) == "good"
        assert public.asked == []


def test_poisoned_index__a_yanked_version_is_for_who_names_it(place: Place) -> None:
    exact = write_thing(place.path / "exact", "maker==2.0")
    with offering(GOOD, replace(maker("2.0", "yanked"), yanked="broken")) as index:
        any_version = build(place, index)
        that_version = place.run(exact, "-o", place.path / "other", "-i", index.url)

    assert mark_of(any_version) == "good"
    assert mark_of(that_version) == "yanked"
    assert "was yanked: broken" in that_version.err


LIE = core_metadata("maker", "1.0", "helper")
LYING = offering_metadata(GOOD, LIE)
IMPOSTOR = maker(mark="evil", inside="other")
CONFLICT = ("requirements-conflict", 3)
REFUSED = {
    "a version that is yanked": (replace(EVIL, yanked="broken"), *CONFLICT, "yanked: broken"),
    "a wrong hash on the page": (
        replace(EVIL, hashes={"sha256": sha256(b"other")}),
        *("download-mismatch", 5, ""),
    ),
    "metadata changed beside their wheel": (
        replace(offering_metadata(EVIL, LIE), metadata_hash=sha256(b"other")),
        *("download-mismatch", 5, ""),
    ),
    "metadata beside a wheel with other requirements": (LYING, "metadata-invalid", 3, ""),
    "the same without a hash": (replace(LYING, hashes={}), "metadata-invalid", 3, ""),
    "metadata beside a wheel of another project": (
        offering_metadata(EVIL, core_metadata("other", "1.0")),
        *(*CONFLICT, "its metadata are of `other 1.0`"),
    ),
    "metadata beside a wheel of a project whose name begins alike": (
        offering_metadata(EVIL, core_metadata("maker2", "1.0")),
        *(*CONFLICT, "its metadata are of `maker2 1.0`"),
    ),
    "metadata of another project": (IMPOSTOR, *CONFLICT, "its metadata are of `other 1.0`"),
    "metadata with another name than those beside their wheel": (
        offering_metadata(IMPOSTOR, core_metadata("maker", "1.0")),
        *("metadata-invalid", 3, ""),
    ),
    "a file of another project": (replace(EVIL, name="other-1.0-py3-none-any.whl"), *CONFLICT, ""),
    "a file of another project under the right name": (
        replace(maker("1.0", "evil", name="other"), name=GOOD.name),
        *(*CONFLICT, ""),
    ),
}


@pytest.mark.parametrize(("file", "code", "exit_code", "words"), REFUSED.values(), ids=REFUSED)
def test_poisoned_index__is_refused_with(
    place: Place, file: File, code: str, exit_code: int, words: str
) -> None:
    with serve(Project("maker", file), Project("helper", helper("evil"))) as index:
        done = build(place, index)

        assert words in done.err
        check_refusal(done, code, exit_code, place, index)


def test_poisoned_index__a_file_that_changes_between_page_and_download_is_refused(
    place: Place,
) -> None:
    beside = offering_metadata(GOOD, core_metadata("maker", "1.0"))
    with offering(replace(beside, faults=(Other(content=EVIL.content),))) as index:
        done = build(place, index)

        assert index.count("/files/maker-1.0-py3-none-any.whl") == 2
        check_refusal(done, "download-mismatch", 5, place, index)


def test_poisoned_index__what_is_no_index_is_refused(place: Place) -> None:
    page = Other(content=b"<html>please log in</html>", kind="application/xhtml+xml")
    with serve(Project("maker", faults=[page])) as index:
        check_refusal(build(place, index), "index-page-invalid", 5, place, index)


def test_poisoned_index__another_host_is_not_told_who_we_are(place: Place) -> None:
    with offering(GOOD) as mirror:
        elsewhere = mirror.origin.replace("127.0.0.1", "localhost")
        moved = replace(GOOD, faults=(Redirect(to=f"{elsewhere}{{here}}"),) * 9)
        with serve(Project("maker", moved), manners=Manners(login=("me", "secret"))) as index:
            done = place.run(
                *(place.path / "thing-1.0.tar.gz", "-o", place.path / "out"),
                *("-i", index.url_as("me", "secret")),
            )

            assert mark_of(done) == "good"
            assert all("authorization" in asked.headers for asked in index.asked)
        assert mirror.asked != []
        assert all("authorization" not in asked.headers for asked in mirror.asked)
    written = [path.read_bytes() for path in place.layout.root.rglob("*") if path.is_file()]
    assert not [content for content in written if b"secret" in content]


def test_poisoned_index__another_host_that_wants_to_know_who_we_are_is_refused(
    place: Place,
) -> None:
    with serve(Project("maker", EVIL), manners=Manners(login=("me", "secret"))) as mirror:
        elsewhere = mirror.origin.replace("127.0.0.1", "localhost")
        moved = replace(EVIL, faults=(Redirect(to=f"{elsewhere}{{here}}"),) * 9)
        with serve(Project("maker", moved), manners=Manners(login=("me", "secret"))) as index:
            done = place.run(
                *(place.path / "thing-1.0.tar.gz", "-o", place.path / "out"),
                *("-i", index.url_as("me", "secret")),
            )

            assert "secret" not in done.err
            check_refusal(done, "index-refused", 5, place, index)


def test_poisoned_index__an_sdist_that_changes_after_its_page_is_not_built(place: Place) -> None:
    content = thing(name="thing")
    changed = File(name="thing-1.0.tar.gz", content=content, faults=(Other(content=content[:-8]),))
    with serve(Project("maker", GOOD), Project("thing", changed)) as index:
        words = ("thing==1.0", "-o", str(place.path / "out"), "-i", index.url)
        done = place.run(*words)
        healed = place.run(*words)

    assert (done.error, done.code, done.out) == ("download-mismatch", 5, "")
    assert mark_of(healed) == "good"
