"""Why there is no answer, as it is said."""

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.universe import ORIGIN, Universe
from wheelforge.errors import BuildError, PackageNotFoundError


def text_of(error: Exception, code: str = "requirements-conflict") -> list[str]:
    assert isinstance(error, BuildError)
    assert error.code == code
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # ruff: ignore[suspicious-pickle-usage]
    return [line.strip() for line in str(error).splitlines()]


def test_conflict__a_name_that_is_not_known() -> None:
    universe = Universe()
    universe.add("app", "1.0", "setupotols")

    assert text_of(universe.refuse("app"), "package-not-found") == [
        f"there is no `setupotols` at `{ORIGIN}`",
        "`app 1.0` asks for `setupotols`",
        "the project asks for `app`",
    ]


@pytest.mark.parametrize(
    ("searched", "hint"),
    [
        ("https://pypi.org/simple/", "check its spelling, and which indexes are asked"),
        ("https://pypi.org/", "ends in `/simple/`: is `https://pypi.org/simple/` meant?"),
        ("/opt/wheels", "check its spelling"),
    ],
)
def test_conflict__an_index_that_knows_no_name_may_be_none(searched: str, hint: str) -> None:
    assert hint in PackageNotFoundError("a", ("/opt/wheels", searched), ()).hint


def test_conflict__a_name_may_be_that_of_a_release() -> None:
    hint = PackageNotFoundError("demo-x-1-0", ("https://pypi.org/simple/",), ()).hint

    assert hint == "a version follows `==`: is `demo-x==1.0` meant?"


def test_conflict__a_name_is_not_found_where_nothing_is_asked() -> None:
    error = PackageNotFoundError("a", (), ())

    assert str(error) == "`a` cannot be found: there is no index to ask"
    assert "`--no-index`" in error.hint


def test_conflict__does_not_list_files_that_no_bound_admits() -> None:
    universe = Universe()
    universe.add("a", "2.0", tag="cp312-cp312-win32")
    universe.add("a", "1.1", yanked="broken")
    universe.add("a", "1.0")

    assert text_of(universe.refuse("a", constraints=("a>=999",)))[2:] == [
        "the constraints demand `a>=999`",
        "available: `a` 1.0",
    ]


def test_conflict__a_version_that_does_not_exist() -> None:
    universe = Universe()
    universe.add_many("a", *(f"1.{minor}" for minor in range(9)))

    assert text_of(universe.refuse("a>2", subject="`demo 1.0`")) == [
        "no version of `a` satisfies `a>2`, which `demo 1.0` asks for",
        "`demo 1.0` asks for `a>2`",
        "available: `a` 1.8, 1.7, 1.6, 1.5, 1.4 and 4 older",
    ]


@pytest.mark.parametrize(
    ("wanted", "closest"),
    [("a==1.0.99", "1.1, 1.0"), ("a==0.1", "1.0"), ("a>1.2,<1.2.1", "1.3, 1.2"), ("a>=2", "")],
)
def test_conflict__names_the_versions_next_to_what_is_asked_for(wanted: str, closest: str) -> None:
    universe = Universe()
    universe.add_many("a", *(f"1.{minor}" for minor in range(9)))

    expected = f"; closest to what is asked for: {closest}" if closest else ""
    assert text_of(universe.refuse(wanted))[-1] == (
        f"available: `a` 1.8, 1.7, 1.6, 1.5, 1.4 and 4 older{expected}"
    )


def test_conflict__does_not_name_versions_that_nothing_asks_for() -> None:
    universe = Universe()
    universe.add("a", "1.0", yanked="broken")
    universe.add("a", "2.0", yanked="broken, too")
    universe.add("a", "3.0")

    lines = text_of(universe.refuse("a>=2,<3"))

    assert lines[2:] == ["available: `a` 3.0", "`a` 2.0 cannot be taken: yanked: broken, too"]


def test_conflict__two_who_exclude_each_other_and_why_they_are_there() -> None:
    universe = Universe()
    universe.add("app", "1.0", "plugin")
    universe.add("plugin", "1.0", "setuptools<60")
    universe.add("plugin", "1.1", "setuptools<60")
    universe.add_many("setuptools", "59.8", "65.0")

    assert text_of(universe.refuse("setuptools>=64", "app")) == [
        "no version of `setuptools` satisfies all requirements",
        "the project asks for `setuptools>=64`",
        "`plugin` 1.1, 1.0 ask for `setuptools<60`",
        "`app 1.0` asks for `plugin`",
        "the project asks for `app`",
        "available: `setuptools` 65.0, 59.8",
    ]


def test_conflict__a_constraint_that_excludes_what_is_needed() -> None:
    universe = Universe()
    universe.add_many("a", "1.0", "2.0")

    assert text_of(universe.refuse("a>=2", constraints=("a<2",))) == [
        "no version of `a` satisfies all requirements",
        "the project asks for `a>=2`",
        "the constraints demand `a<2`",
        "available: `a` 2.0, 1.0",
    ]


def test_conflict__versions_that_cannot_be_taken_and_why() -> None:
    universe = Universe()
    universe.add("a", "7.0", uploaded=datetime(2025, 1, 1, tzinfo=UTC))
    universe.add("a", "6.0", is_sdist=True)
    universe.add("a", "6.0", tag="cp312-cp312-win32")
    universe.add("a", "5.0", tag="cp312-cp312-win32")
    universe.add("a", "4.0", python="<3")
    universe.add("a", "3.0", yanked="broken", uploaded=datetime(2020, 1, 1, tzinfo=UTC))
    universe.add("a", "2.0", yanked="", uploaded=datetime(2020, 1, 1, tzinfo=UTC))

    cutoff = datetime(2022, 1, 1, tzinfo=UTC)
    assert text_of(universe.refuse("a", exclude_newer=cutoff))[2:] == [
        f"`a` 7.0 cannot be taken: not known to have been published before {cutoff.isoformat()}",
        "`a` 6.0 cannot be taken: no wheel of it fits this Python and its sdist is not built here",
        "`a` 5.0 cannot be taken: no wheel of it fits this Python",
        "`a` 4.0 cannot be taken: it is for Python <3",
        "`a` 3.0 cannot be taken: yanked: broken",
        "`a` 2.0 cannot be taken: yanked",
        "of `a` the index leaves out 2 wheels for other Pythons or platforms",
    ]


def test_conflict__hashes_that_fit_nothing() -> None:
    universe = Universe()
    universe.add_many("a", "1.0", "2.0")

    error = universe.refuse("a", hashes={"a": ("sha256:" + "0" * 64,)})

    assert text_of(error)[-1] == (
        "`a` 2.0, 1.0 cannot be taken: it has none of the hashes that are stated"
    )


def test_conflict__files_that_turn_out_to_be_of_no_use() -> None:
    universe = Universe()
    universe.add("a", "2.0", python_inside="<3")
    universe.add("a", "1.0", "b>>1")

    lines = text_of(universe.refuse("a"))

    assert lines[:2] == [
        "no version of `a` can be used",
        "`a 2.0` cannot be used: it is for Python <3",
    ]
    assert lines[2].startswith("`a 1.0` cannot be used: `b>>1` is among its requirements: ")
    assert lines[3:] == ["the project asks for `a`"]


def test_conflict__names_that_cannot_be_had_together() -> None:
    universe = Universe()
    universe.add("x", "1", "a==1", "b==2")
    universe.add("x", "2", "a==2", "b==1")
    universe.add_many("a", "1", "2")
    universe.add_many("b", "1", "2")

    lines = text_of(universe.refuse("x", "a==1", "b==1"))

    assert {"`x 2` asks for `a==2`", "`x 1` asks for `b==2`"} < set(lines)


def test_conflict__long_lists_are_cut() -> None:
    universe = Universe()
    names = [f"p{number}" for number in range(20)]
    for name in names:
        universe.add(name, "1.0", f"a!={name[1:]}", "a<100")
    universe.add_many("a", *map(str, range(20)))

    lines = text_of(universe.refuse(*names))

    assert len(lines) < 20
    assert any(line.endswith("more demands") for line in lines)


def test_conflict__a_url_with_something_else_behind_it(tmp_path: Path) -> None:
    universe = Universe()
    url = universe.put(tmp_path, "b", "1.0")

    assert text_of(universe.refuse(f"a @ {url}")) == [
        f"no version of `a` satisfies `a @ {url}`, which the project asks for",
        f"the project asks for `a @ {url}`",
        f"`a` at `{url}` cannot be used: what is there is `b`",
    ]


def test_conflict__two_urls_for_one_name_and_no_secrets(tmp_path: Path) -> None:
    universe = Universe()
    url = universe.put(tmp_path, "a", "1.0")
    other = "https://user:secret@files.test/a-1.0-py3-none-any.whl"

    lines = text_of(universe.refuse(f"a @ {url}", f"a @ {other}"))

    assert lines[-2:] == [
        f"`a` at `{url}` is 1.0",
        "`a` at `https://files.test/a-1.0-py3-none-any.whl` is 1.0",
    ]
    assert "secret" not in str(lines)


def test_conflict__a_source_where_nothing_is_built(tmp_path: Path) -> None:
    lines = text_of(Universe().refuse(f"a @ {tmp_path.as_uri()}"))

    assert lines[-1].endswith("cannot be used: its sdist is not built here")
