"""File names mean what `packaging.utils` says, and are refused cheaply."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import (
    VersionError,
    WheelName,
    expand_tags,
    find_rank,
    is_plain_file_name,
    normalize_name,
    parse_sdist_name,
    parse_wheel_name,
    read_releases,
)

WORDS = ("demo", "My.Demo", "a_b", "a__b", "_", ".", "1", "x" * 80)
VERSIONS = ("1.0", "1.0.0RC1", "1!2", "1.0+ab.1", "1_0", "x", "2.", "9" * 90)
BUILDS = ("", "-2", "-2b", "-b", "-007")
TAGS = ("py3", "py2.py3", "cp311", "none", "abi3", "3x", "py3.", "", "Win_AMD64", "a.b.c.d")
ODD = ("/", "..", "\\", " ", "\n", "\x1b", "\u202e", "é", "-", ".whl", "%2f", ":")

names = st.builds(
    "{0}-{1}{2}-{3}-{4}-{5}.whl".format,
    *map(st.sampled_from, (WORDS, VERSIONS, BUILDS, TAGS, TAGS, TAGS)),
)
odd_names = st.lists(st.sampled_from(WORDS + VERSIONS + TAGS + ODD), max_size=9).map("".join)


@settings(max_examples=1000)
@given(names | odd_names.map("{}.whl".format) | st.text(max_size=40))
def test_wheel_name__is_what_packaging_reads(file_name: str) -> None:
    try:
        found = parse_wheel_name(file_name)
    except FormatError:
        found = None
    try:
        name, version, build, tags = parse_wheel_filename(file_name)
        theirs = (name, version, build or (-1, ""), {str(tag) for tag in tags})
        normalize_name(name)
    except ValueError:
        theirs = None

    if found is not None:
        assert (found.name, found.version, found.build_order, {*found.tags}) == theirs
    elif theirs is not None:
        assert not is_plain_file_name(file_name)


@settings(max_examples=500)
@given(
    st.builds("{}-{}{}".format, *map(st.sampled_from, (WORDS, VERSIONS, (".zip", ".tar.gz"))))
    | odd_names.map("{}.tar.gz".format)
)
def test_sdist_name__is_what_packaging_reads(file_name: str) -> None:
    try:
        found = parse_sdist_name(file_name)
    except FormatError:
        found = None
    try:
        theirs = parse_sdist_filename(file_name)
        normalize_name(theirs[0])
    except ValueError:
        theirs = None

    if found is not None and theirs is not None:
        assert (found.name, found.version) == theirs
    elif theirs is not None:
        assert not is_plain_file_name(file_name)


def test_wheel_name__is_brought_into_normal_form() -> None:
    file_name = "My.Demo_X-1.0.0RC1+Local_2-2b-cp312.cp311-abi3-manylinux2014_x86_64.whl"

    assert parse_wheel_name(file_name) == WheelName(
        name="my-demo-x",
        version=Version("1.0.0rc1+local.2"),
        build="2b",
        tags=("cp311-abi3-manylinux2014_x86_64", "cp312-abi3-manylinux2014_x86_64"),
        file_name=file_name,
    )


@pytest.mark.parametrize(
    ("file_name", "project", "version"),
    [
        ("demo-1.0.tar.gz", "", "1.0"),
        ("my-demo-1.0.zip", "", "1.0"),
        ("demo-1.0-1.tar.gz", "demo", "1.0.post1"),
        ("demo-1.0-beta-2.zip", "demo", "1.0b2"),
        ("My.Demo-1.0.tar.gz", "my-demo", "1.0"),
    ],
)
def test_sdist_name__of_a_known_project_may_have_hyphens_in_the_version(
    file_name: str, project: str, version: str
) -> None:
    assert parse_sdist_name(file_name, project).version == Version(version)


def test_sdist_name__of_another_project_is_refused() -> None:
    with pytest.raises(VersionError):
        parse_sdist_name("demo-1.0.tar.gz", "demo-2")


def test_releases__are_all_that_a_stem_can_mean() -> None:
    assert {name: str(version) for name, version in read_releases("a-1-2")} == {
        "a": "1.post2",
        "a-1": "2",
    }


def test_rank__is_that_of_the_best_tag() -> None:
    ranks = {"cp311-cp311-linux_x86_64": 0, "py3-none-any": 7, "py2-none-any": 9}

    assert find_rank(expand_tags("py2.py3-none-any"), ranks) == 7
    assert find_rank(expand_tags("py2-none-win32"), ranks) is None
