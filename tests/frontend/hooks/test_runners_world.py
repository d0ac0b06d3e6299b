"""The variables of a hook, composed; and what a hook prints, taken apart."""

import os

from hypothesis import given
from hypothesis import strategies as st

from wheelforge.hooks.environ import REPEATABLE, compose_environment
from wheelforge.hooks.output import TAIL_BYTES, Output


def join(*paths: str) -> str:
    return os.pathsep.join(paths)


def test_environ__variables_that_mislead_python_are_removed() -> None:
    base = {
        "HOME": "/home/me",
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": "/x",
        "PYTHONHOME": "/x",
        "PYTHONSTARTUP": "/x",
        "PIP_INDEX_URL": "https://example.org",
        "VIRTUAL_ENV": "/x",
        "VIRTUAL_ENV_PROMPT": "x",
        "__PYVENV_LAUNCHER__": "/x",
        "_PYPROJECT_HOOKS_BACKEND_PATH_JSON": "[]",
    }

    assert compose_environment(base) == {**REPEATABLE, "HOME": "/home/me", "PYTHONHASHSEED": "7"}


def test_environ__variables_given_on_purpose_stay() -> None:
    composed = compose_environment(
        {"VIRTUAL_ENV": "/mine"}, {"VIRTUAL_ENV": "/theirs"}, {"PIP_NO_INPUT": "1"}
    )

    assert composed == {**REPEATABLE, "VIRTUAL_ENV": "/theirs", "PIP_NO_INPUT": "1"}


def test_environ__path_begins_with_the_environment() -> None:
    base = {"PATH": join("/usr/bin", "", "/env/bin", "/bin")}

    composed = compose_environment(base, {"PATH": join("/env/bin", "/usr/bin")})

    assert composed["PATH"] == join("/env/bin", "/usr/bin", "/bin")


def test_environ__composing_changes_no_argument() -> None:
    base = {"PATH": "/bin", "PIP_X": "1"}

    compose_environment(base, {"PATH": "/env/bin"}, {"A": "b"})

    assert base == {"PATH": "/bin", "PIP_X": "1"}


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"x" * 70_000, b"\r\n"])))
def test_output__is_passed_on_whole_by_lines_however_it_comes(pieces: list[bytes]) -> None:
    lines: list[bytes] = []
    output = Output(None, lines.append)
    for piece in pieces:
        output.feed(piece)
    output.finish()

    content = b"".join(pieces)
    assert b"".join(lines) == content
    assert all(line.count(b"\n") == line.endswith(b"\n") for line in lines)
    assert output.tail == content[-TAIL_BYTES:]
