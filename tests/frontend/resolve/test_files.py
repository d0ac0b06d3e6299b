"""The file chosen of a version: wheels and sdists, URLs and paths, cut-off and hashes."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.universe import PYTHON, Universe, ask, sha256_of
from wheelforge.errors import RequirementInvalidError, UsageError
from wheelforge.index import Candidate
from wheelforge.resolve import resolve

EARLY, LATE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
CUTOFF = datetime(2022, 1, 1, tzinfo=UTC)


# Which files


def test_resolver__the_wheel_that_fits_best_is_taken(universe: Universe) -> None:
    universe.add("a", "1.0", tag="py3-none-any")
    universe.add("a", "1.0", tag="cp311-cp311-manylinux1_x86_64.linux_x86_64")
    universe.add("a", "1.0", tag="cp312-cp312-linux_x86_64")
    universe.add("a", "1.0", tag="cp38.cp311-abi3-linux_x86_64")

    (file_name,) = universe.files_of("a")

    assert file_name == "a-1.0-cp311-cp311-manylinux1_x86_64.linux_x86_64.whl"


def test_resolver__of_two_builds_the_later_is_taken(universe: Universe) -> None:
    for build in ("2", "10", "10a"):
        universe.add("a", "1.0", tag=f"{build}-py3-none-any")

    assert universe.files_of("a") == ["a-1.0-10a-py3-none-any.whl"]


def test_resolver__a_wheel_is_preferred_to_the_sdist_of_its_version(universe: Universe) -> None:
    universe.add("a", "1.0", is_sdist=True)
    universe.add("a", "1.0")

    assert universe.files_of("a", build=True) == ["a-1.0-py3-none-any.whl"]
    assert universe.built == []


def test_resolver__a_newer_sdist_is_preferred_to_an_older_wheel(universe: Universe) -> None:
    universe.add("a", "2.0", is_sdist=True)
    universe.add("a", "2.0", tag="cp312-cp312-linux_x86_64")
    universe.add("a", "1.0")

    assert universe.files_of("a", build=True) == ["a-2.0.tar.gz"]


def test_resolver__an_sdist_is_nothing_where_nothing_is_built(universe: Universe) -> None:
    universe.add("a", "2.0", is_sdist=True)
    universe.add("a", "1.0")

    assert universe.pins("a") == ["a 1.0"]


def test_resolver__what_an_sdist_needs_is_known_once_it_is_built(universe: Universe) -> None:
    universe.add("a", "1.0", "b", is_sdist=True)
    universe.add("b", "1.0")

    (pin, _) = universe.resolve("a", build=True).pins

    assert universe.built == ["a-1.0.tar.gz"]
    assert (pin.file_name, pin.is_wheel) == ("a-1.0.tar.gz", False)


def test_resolver__an_sdist_that_builds_something_else_is_passed_over(universe: Universe) -> None:
    universe.add("a", "2.0", is_sdist=True)
    universe.add("a", "1.0")

    def build(candidate: Candidate) -> Path:
        return universe.build(replace(candidate, file_name="b-2.0.tar.gz"))

    resolution = resolve(ask("a"), universe, build)

    assert [pin.version for pin in resolution.pins] == ["1.0"]
    assert "what is built of it is `b-2.0-py3-none-any.whl`" in resolution.notes[0]


def test_resolver__a_ring_of_sdists_is_shown(universe: Universe) -> None:
    """The builder resolves what the sdist's own build needs, as the real one does."""
    universe.add("a", "1.0", is_sdist=True)
    universe.add("b", "1.0", is_sdist=True)
    needs = {"a": "b", "b": "a"}

    def resolve_inside(need: str, chain: tuple[str, ...]) -> None:
        def build(candidate: Candidate) -> Path:
            resolve_inside(needs[candidate.name], (*chain, candidate.name))
            return universe.build(candidate)

        resolve(ask(need, chain=chain), universe, build)

    with raises("build-cycle") as caught:
        resolve_inside("a", ("demo",))

    assert caught.value.ring == ("a", "b", "a")
    assert str(caught.value) == "`a` needs `b` needs `a` to be built"


# URLs and paths


def test_resolver__a_path_is_where_the_file_is(universe: Universe, tmp_path: Path) -> None:
    url = universe.put(tmp_path, "a", "0.5", "b")
    universe.add_many("a", "1.0")
    universe.add_many("b", "1.0")

    resolution = universe.resolve(f"a @ {url}", "a>0.1")

    assert [(pin.name, pin.version) for pin in resolution.pins] == [("a", "0.5"), ("b", "1.0")]
    assert resolution.pins[0].url == url


def test_resolver__url_deep_inside_counts_for_everybody(universe: Universe, tmp_path: Path) -> None:
    url = universe.put(tmp_path, "a", "0.5")
    local = universe.put(tmp_path, "b", "1.0", f"a @ {url}")
    universe.add_many("a", "1.0")

    assert universe.pins("a", f"b @ {local}") == ["a 0.5", "b 1.0"]


def test_resolver__a_file_from_a_server_cannot_name_one_of_this_machine(
    universe: Universe, tmp_path: Path
) -> None:
    url = universe.put(tmp_path, "a", "0.5")
    universe.add("b", "1.0", f"a @ {url}")

    assert "it comes from a server and asks for a local file" in str(universe.refuse("b"))


def test_resolver__url_in_a_constraint_says_where_from(universe: Universe, tmp_path: Path) -> None:
    url = universe.put(tmp_path, "a", "0.5")
    universe.add_many("a", "1.0")

    assert universe.pins("a", constraints=(f"a @ {url}",)) == ["a 0.5"]


def test_resolver__a_url_may_name_extras_and_a_hash(universe: Universe, tmp_path: Path) -> None:
    url = universe.put(tmp_path, "a", "0.5", "b; extra == 'x'")
    universe.add_many("b", "1.0")

    resolution = universe.resolve(f"a[x] @ {url}#sha256={'AB' * 32}")

    assert [pin.name for pin in resolution.pins] == ["a", "b"]
    assert resolution.pins[0].sha256 == "ab" * 32


def test_resolver__a_wheel_on_a_server_is_taken_from_there(
    universe: Universe, tmp_path: Path
) -> None:
    universe.put(tmp_path, "a", "0.5")
    url = "https://user:secret@files.test/a-0.5-py3-none-any.whl"

    (pin,) = universe.resolve(f"a @ {url}").pins

    assert pin.url == url
    assert pin.requested_by == ("a @ https://files.test/a-0.5-py3-none-any.whl",)


def test_resolver__a_directory_is_built(universe: Universe, tmp_path: Path) -> None:
    universe.add("a", "0.5")
    source = tmp_path / "a-0.5"
    source.mkdir()

    (pin,) = universe.resolve(f"a @ {source.as_uri()}", build=True).pins

    assert universe.built == ["a-0.5"]
    assert (pin.version, pin.is_wheel, pin.url) == ("0.5", False, source.as_uri())


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("a >> b", "Expected"),
        ("a @ git+https://host/a", "only `https:`, `http:` and `file:` URLs are"),
        ("a @ file:///nowhere/a-1.0-py3-none-any.whl", "there is no `/nowhere/a-1.0-py3"),
        ("a; python_version ~= 'nonsense'", "nonsense"),
    ],
)
def test_resolver__what_is_no_requirement_is_refused_in_its_authors_name(
    universe: Universe, requirement: str, reason: str
) -> None:
    error = universe.refuse(requirement, subject="`demo 1.0`")

    assert isinstance(error, RequirementInvalidError)
    assert error.whose == "`demo 1.0`"
    assert reason in error.reason


def test_resolver__a_constraint_with_extras_is_refused(universe: Universe) -> None:
    error = universe.refuse("a", constraints=("a[x]<2",))

    assert str(error) == (
        "`a[x]<2`, a requirement of the constraints, cannot be used: a constraint has no extras"
    )


# Cut-off


def test_resolver__what_was_published_later_does_not_exist(universe: Universe) -> None:
    universe.add("a", "3.0")
    universe.add("a", "2.0", uploaded=LATE)
    universe.add("a", "1.5", uploaded=CUTOFF)
    universe.add("a", "1.0", uploaded=EARLY)

    assert universe.pins("a", exclude_newer=CUTOFF) == ["a 1.0"]


def test_resolver__local_files_have_no_date(universe: Universe, tmp_path: Path) -> None:
    url = universe.put(tmp_path, "a", "0.5")

    assert universe.pins(f"a @ {url}", exclude_newer=CUTOFF) == ["a 0.5"]


def test_resolver__a_file_at_hand_is_of_no_era_unless_it_is_known_of_which(
    universe: Universe, tmp_path: Path
) -> None:
    universe.add("a", "1.0", uploaded=EARLY)
    universe.add("a", "2.0")
    here = (tmp_path / universe.files[-1].file_name).as_uri()
    universe.files[-1] = universe.files[-1]._replace(url=here)

    assert universe.pins("a", exclude_newer=CUTOFF) == ["a 2.0"]
    assert universe.pins("a", exclude_newer=CUTOFF, oldest=True) == ["a 1.0"]


def test_resolver__the_oldest_is_taken_where_nothing_was_there_in_time(universe: Universe) -> None:
    for version in ("2.0", "3.0", "4.0"):
        universe.add("a", version, uploaded=LATE)
    universe.add("a", "1.0", uploaded=EARLY)

    assert universe.pins("a", exclude_newer=CUTOFF, oldest=True) == ["a 1.0"]
    resolution = universe.resolve("a>2", exclude_newer=CUTOFF, oldest=True)
    assert [pin.version for pin in resolution.pins] == ["3.0"]
    assert resolution.notes == (
        "`a 3.0` is the oldest that fits, as nothing that fits was there in time",
    )


# Hashes


def hashed(*file_names: str) -> tuple[str, ...]:
    return tuple(f"sha256:{sha256_of(file_name)}" for file_name in file_names)


def test_resolver__a_file_needs_one_of_the_hashes_that_are_stated(universe: Universe) -> None:
    universe.add("a", "2.0")
    old = universe.add("a", "1.0")

    (pin,) = universe.resolve("a", hashes={"a": hashed(old, "other")}).pins

    assert pin.version == "1.0"
    assert pin.accepted == hashed(old)


def test_resolver__a_hash_chooses_among_the_files_of_a_version(universe: Universe) -> None:
    universe.add("a", "1.0", tag="cp311-cp311-linux_x86_64")
    plain = universe.add("a", "1.0")

    files = universe.files_of("a", constraints=("a==1.0",), hashes={"a==1.0": hashed(plain)})

    assert files == [plain]


def test_resolver__everything_without_a_stated_hash_is_reported_at_once(universe: Universe) -> None:
    files = [universe.add("a", "1.0", "b", "c"), universe.add("b", "1.0")]
    third = universe.add("c", "1.0", hashes={})

    error = universe.refuse(
        "a", require_hashes=True, constraints=("c==1.0",), hashes={"c==1.0": hashed(third)}
    )

    assert isinstance(error, UsageError)
    assert error.code == "hashes-missing"
    assert str(error) == "no hash is stated for `a==1.0`, `b==1.0`"
    assert error.files == (("a==1.0", sha256_of(files[0])), ("b==1.0", sha256_of(files[1])))
    assert f"`a==1.0 --hash=sha256:{sha256_of(files[0])}`" in error.hint


@pytest.mark.parametrize("stated", [{}, {"a": ("sha256:" + 64 * "0",)}])
def test_resolver__an_sdist_that_has_no_stated_hash_is_not_built(
    universe: Universe, stated: dict[str, tuple[str, ...]]
) -> None:
    universe.add("a", "1.0", is_sdist=True)
    universe.add("a", "0.9", is_sdist=True, hashes={})

    error = universe.refuse("a", build=True, require_hashes=True, hashes=stated)

    assert error.code == "requirements-conflict"
    assert universe.built == []


def test_resolver__a_source_at_a_url_that_has_no_stated_hash_is_not_built(
    universe: Universe, tmp_path: Path
) -> None:
    error = universe.refuse(f"a @ {tmp_path.as_uri()}", build=True, require_hashes=True)

    assert "an sdist is built only with a hash that is stated" in str(error)
    assert universe.built == []


def test_resolver__a_hash_in_a_url_is_a_stated_one(universe: Universe, tmp_path: Path) -> None:
    universe.put(tmp_path, "a", "0.5")
    url = f"https://files.test/a-0.5-py3-none-any.whl#sha256={'ab' * 32}"

    assert universe.pins(f"a @ {url}", require_hashes=True) == ["a 0.5"]


def test_resolver__another_python_gets_other_files(universe: Universe) -> None:
    universe.add("a", "1.0", tag="cp311-cp311-linux_x86_64")
    universe.add("a", "1.0", tag="cp312-cp312-linux_x86_64")
    other = replace(PYTHON, tags=("cp312-cp312-linux_x86_64",))

    assert universe.files_of("a", python=other) == ["a-1.0-cp312-cp312-linux_x86_64.whl"]
