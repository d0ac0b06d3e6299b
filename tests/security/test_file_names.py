"""File names from outside: paths are no names, and what would take long is refused at once."""

import tracemalloc
from pathlib import Path

import pytest

from wheelforge.index import IndexSettings
from wheelforge.index.candidates import Selector, merge
from wheelforge.index.pages import Listed
from wheelforge_isolation import Layout
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import (
    expand_tags,
    is_plain_file_name,
    parse_sdist_name,
    parse_version,
    parse_wheel_name,
)

MANY = ".".join(f"a{number}" for number in range(2000))
LONG = "1" * 5000
ODD = [
    "/", "\\", "..\\", "/../", "\n", "\r", "\t", "\0", "\x1b[31m", "\x9b", "\u202e", " ", ":", "é",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "form",
    [
        "demo-1.0-py3-none-any.{}/x.whl",
        "{}demo-1.0-py3-none-any.whl",
        "demo{}-1.0-py3-none-any.whl",
        "demo-1.0{}-py3-none-any.whl",
        "demo-1.0-1{}-py3-none-any.whl",
        "demo-1.0-py3-none-any{}.whl",
        "demo-1.0-py3-none-any.whl{}",
    ],
)
def test_wheel_name__has_nothing_that_a_path_or_a_terminal_obeys(form: str, odd: str) -> None:
    with pytest.raises(FormatError):
        parse_wheel_name(form.format(odd))


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "form", ["{}demo-1.0.tar.gz", "demo{}-1.0.tar.gz", "demo-1.0{}.zip", "demo-1.0.zip{}"]
)
def test_sdist_name__has_nothing_that_a_path_or_a_terminal_obeys(form: str, odd: str) -> None:
    with pytest.raises(FormatError):
        parse_sdist_name(form.format(odd), "demo")


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-option", "~", "a/b", "a" * 256])
def test_plain_file_name__is_neither_a_path_nor_an_option(name: str) -> None:
    assert not is_plain_file_name(name)


@pytest.mark.parametrize(
    "file_name",
    [
        f"demo-{LONG}-py3-none-any.whl",
        f"demo-1.0-{LONG}-py3-none-any.whl",
        f"demo-1.0-{MANY}-{MANY}-{MANY}.whl",
        f"demo-1.0-{'.'.join('abcdefgh' * 4)}-{'.'.join('abcdefgh' * 4)}-any.whl",
        f"{'a.' * 200}-1.0-py3-none-any.whl",
    ],
)
def test_wheel_name__of_any_length_costs_next_to_nothing(file_name: str) -> None:
    tracemalloc.start()
    with pytest.raises(FormatError):
        parse_wheel_name(file_name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1 << 20


@pytest.mark.parametrize("odd", [*ODD, f".{MANY}", LONG, "-1-2-3"])
@pytest.mark.parametrize("form", ["demo-1.0-py3-none-any{}.whl", "demo-1.0{}.tar.gz"])
def test_index__names_files_that_are_left_out(form: str, odd: str) -> None:
    names = ["demo-1.0-py3-none-any.whl", form.format(odd), "demo-1.0.tar.gz"]
    listed = [Listed("https://host/x", name, {}, "", None, "", None) for name in names]

    found = merge([Selector(IndexSettings(), ("py3-none-any",)).select("demo", listed, "here")])

    assert [file.file_name for file in found.usable] == [names[0], names[2]]
    assert sum(found.left_out.values()) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "../x.whl", "a/b", "a\\b", "a\n.whl"])
def test_layout__has_no_place_for_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a file"):
        Layout(root=tmp_path).file("0" * 64, name)


@pytest.mark.parametrize("tags", [f"{MANY}-{MANY}-{MANY}", "-".join("a" * 5000), ""])
def test_tags__are_counted_before_they_are_made(tags: str) -> None:
    with pytest.raises(FormatError):
        expand_tags(tags)


@pytest.mark.parametrize("text", [LONG, f"1.{LONG}", f"1+{LONG}", f"{LONG}!1", "1.0\n2", ""])
def test_version__of_thousands_of_digits_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_version(text)
    with pytest.raises(FormatError):
        parse_sdist_name(f"demo-{text}.tar.gz")
