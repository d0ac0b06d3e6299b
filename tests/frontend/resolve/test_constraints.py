"""Constraints and points in time, as people write them."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.codes import raises
from wheelforge.errors import UsageError
from wheelforge.resolve import parse_cutoff, read_constraints

HASH = "ab" * 32
OTHER = "cd" * 64
ROOT = Path("/files/constraints.txt")
NOW = datetime(2024, 5, 10, 12, 34, 56, tzinfo=timezone(timedelta(hours=2)))


def parse(text: str, **others: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Parse a file; ``others`` are the files beside it."""
    texts = {ROOT: text, **{ROOT.parent / f"{name}.txt": text for name, text in others.items()}}
    constraints = read_constraints([ROOT], {}, lambda path: texts[path].encode())
    return constraints.texts, dict(constraints.hashes)


def refuse(text: str, **others: str) -> str:
    with raises("constraints-invalid") as caught:
        parse(text, **others)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_constraints__lines_are_constraints_and_the_rest_is_left_out() -> None:
    text = "\n# all\na==1 # why\n  b<2 ; python_version < '3.9'\nc @ https://host/c.whl#sha256=ab\n"

    assert parse(text) == (
        ("a==1", "b<2 ; python_version < '3.9'", "c @ https://host/c.whl#sha256=ab"),
        {},
    )


def test_constraints__hashes_belong_to_their_line_however_it_is_broken() -> None:
    text = (
        f"a==1 \\\n    --hash=sha256:{HASH.upper()} \\\n    --hash=sha512:{OTHER}\n"
        f"b==2 --hash sha256:{HASH}\nc==3 \\"
    )

    assert parse(text) == (
        ("a==1", "b==2", "c==3"),
        {"a==1": (f"sha256:{HASH}", f"sha512:{OTHER}"), "b==2": (f"sha256:{HASH}",)},
    )


def test_constraints__a_comment_line_is_never_continued() -> None:
    assert parse("# all \\\na==1\n # why \\\nc==3") == (("a==1", "c==3"), {})


@pytest.mark.parametrize(
    "include", ["-c more.txt", "-r more.txt", "--constraint more.txt", "--requirement=more.txt"]
)
def test_constraints__files_include_others_beside_them(include: str) -> None:
    assert parse(f"a==1\n{include}\nb==2", more="c==3")[0] == ("a==1", "c==3", "b==2")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a==1\n\n--wheel x", "line 3: no such option: --wheel"),
        ("-e .", "line 1: `.` is no requirement"),
        ("-e a", "line 1: a constraint cannot be editable"),
        (
            "a==1\nnonsense===",
            "constraints.txt`, line 2: `nonsense===` is no requirement: did you mean `nonsense`?",
        ),
        ("a==1 --hash=md5:abc", "line 1: `--hash=md5:abc` is no SHA-256, SHA-384 or SHA-512"),
        ("a==1 --hash=sha256:abc", "line 1: `--hash=sha256:abc` is no SHA-256"),
        (f"a==1 --hash=sha256:{'zz' * 32}", "is no SHA-256"),
        ("a \\\n  --no-binary", "line 1: --no-binary option requires 1 argument"),
        ("a --hash 'x", "line 1: No closing quotation"),
        ("a --config-settings=x", "line 1: `--config-settings x` has to be KEY=VALUE"),
        ("-c https://host/c.txt", "line 1: `https://host/c.txt` is no local file"),
        ("-c more.txt", "`/files/more.txt`, line 2: the file includes itself through"),
    ],
)
def test_constraints__what_means_nothing_is_refused_with_its_place(text: str, reason: str) -> None:
    assert reason in refuse(text, more="a==1\n-c constraints.txt")


def test_constraints__files_are_read_from_the_disk(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.txt").write_bytes(b"\xef\xbb\xbfa==1\r\n-c sub/two.txt\r\n")
    (tmp_path / "sub" / "two.txt").write_text("b==2", encoding="utf-8")

    assert read_constraints([tmp_path / "one.txt"]).texts == ("a==1", "b==2")


def test_constraints__files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# \xe9")

    (tmp_path / "odd").write_bytes(b"# coding: none-such\n")
    reasons = {
        "none": "No such file or directory",
        "latin": "it is not UTF-8",
        "odd": "unknown encoding: none-such",
    }
    for name, reason in reasons.items():
        with raises("constraints-invalid") as caught:
            read_constraints([tmp_path / name])
        assert str(caught.value) == f"`{tmp_path / name}`: {reason}"


@given(text=st.text())
def test_constraints__any_text_is_constraints_or_refused(text: str) -> None:
    try:
        texts, _ = parse(text)
    except UsageError:
        return
    assert all(text and text == text.strip() for text in texts)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-05-01", "2024-05-02T00:00:00+00:00"),
        ("20240501", "2024-05-02T00:00:00+00:00"),
        ("2024-05-01T06:00", "2024-05-01T06:00:00+00:00"),
        ("2024-05-01 06:00:01Z", "2024-05-01T06:00:01+00:00"),
        ("2024-05-01T06:00:00+02:00", "2024-05-01T04:00:00+00:00"),
        ("7 days", "2024-05-03T10:00:00+00:00"),
        ("1 day", "2024-05-09T10:00:00+00:00"),
        ("2w", "2024-04-26T10:00:00+00:00"),
        ("12 Hours", "2024-05-09T22:00:00+00:00"),
        ("P1DT1H", "2024-05-09T09:00:00+00:00"),
        ("p1w", "2024-05-03T10:00:00+00:00"),
    ],
)
def test_constraints__dates_times_and_ages_are_points_in_time(text: str, time: str) -> None:
    assert parse_cutoff(text, NOW).isoformat() == time


def test_constraints__an_age_means_the_same_for_a_while() -> None:
    assert parse_cutoff("7 days", NOW) == parse_cutoff("7 days", NOW + timedelta(minutes=20))


@pytest.mark.parametrize("text", ["", "yesterday", "P", "PT", "7", "9999-12-31", "999999 weeks"])
def test_constraints__what_is_no_point_in_time_is_refused(text: str) -> None:
    with raises("time-invalid") as caught:
        parse_cutoff(text, NOW)

    assert caught.value.text == text


@given(text=st.text() | st.from_regex(r"\d{1,9} ?(days|h|w)", fullmatch=True))
def test_constraints__any_text_is_a_point_in_time_or_refused(text: str) -> None:
    try:
        time = parse_cutoff(text, NOW)
    except UsageError:
        return
    assert time.tzinfo is UTC
