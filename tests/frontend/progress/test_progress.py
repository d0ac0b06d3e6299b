"""The display of running builds: live lines in a terminal, plain ones in CI."""

import io
import os
import re
from functools import partial
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console as RichConsole

from tests.support.builds import Ground, Hearer, ask, write_project
from wheelforge.batch import BatchOptions, make_input, run_batch
from wheelforge.cli.console import Console
from wheelforge.errors import HookMissingError
from wheelforge.events import BuildEvent
from wheelforge.models import Artifact, BuildRequest, Kind, Outcome, Phase
from wheelforge.progress import Progress, open_progress
from wheelforge.progress.live import Board, LiveProgress, describe_time
from wheelforge.progress.plain import GitHubGroups, GitLabSections, Lines

MARK = "mark"
BAR = "\u2501" * 6 + " " * 18
WHOLE = Phase(name="", started=0.0, seconds=0.84)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def start(build: str, phase: str = "") -> BuildEvent:
    return BuildEvent(kind="started", build=build, phase=phase)


def finish(build: str) -> BuildEvent:
    return BuildEvent(kind="finished", build=build)


def make_outcome(name: str, *, is_well: bool = True, is_resumed: bool = False) -> Outcome:
    wheel = f"{name}-1.0-py3-none-any.whl"
    artifact = Artifact(
        kind=Kind.WHEEL, path=Path("/out", wheel), name=name, version="1", size_bytes=1, sha256=""
    )
    return Outcome(
        request=BuildRequest(source=Path(f"/in/{name}-1.0.tar.gz"), output=Path("/out")),
        artifacts=(artifact,) if is_well else (),
        error=None if is_well else HookMissingError("build_wheel"),
        phases=(WHOLE,),
        is_resumed=is_resumed,
    )


def lay_out(
    board: Board, now: float, columns: int = 80, *, rows: int = 24, encoding: str = "utf-8"
) -> list[str]:
    """Return the lines as a terminal of that size shows them."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = open_rich(stream, has_colours=False, width=columns, height=rows)
    lines = console.render_lines(board.draw(console, now), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def open_rich(
    stream: TextIO, *, has_colours: bool, width: int = 60, height: int = 20
) -> RichConsole:
    return RichConsole(
        file=stream,
        width=width,
        height=height,
        force_terminal=True,
        color_system="standard" if has_colours else None,
        legacy_windows=False,
        highlight=False,
    )


def replay(text: str) -> list[str]:
    """Return the lines that a terminal shows after it was sent ``text``."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?0-9;]*[a-zA-Z]|[\s\S]", text):
        if part == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif part == "\r":
            column = 0
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            rows[row] = ""
        elif not part.startswith("\x1b"):
            rows[row] = rows[row].ljust(column)[:column] + part + rows[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in rows]


def make_live(clock: Clock, *, width: int = 60) -> tuple[LiveProgress, Terminal]:
    stream = Terminal()
    open_console = partial(open_rich, width=width)
    return LiveProgress(stream, has_colours=False, clock=clock, open_console=open_console), stream


def pass_time(live: LiveProgress, clock: Clock, now: float) -> None:
    """Let it be ``now``, and draw what is shown then."""
    clock.now = now
    live.refresh()


def test_board__has_a_line_for_each_build_and_one_for_all() -> None:
    board = Board(opened=0.0)
    for name in ("six.tar.gz", "numpy.tar.gz", "lxml.tar.gz", "attrs.tar.gz"):
        board.on_event(BuildEvent(kind="queued", build=name), 0.0)
    board.add(make_outcome("attrs"))
    board.on_event(start("six.tar.gz"), 1.0)
    board.on_event(start("six.tar.gz", "build wheel"), 2.0)
    board.on_event(start("numpy.tar.gz"), 60.5)
    board.on_event(start("numpy.tar.gz", "isolate"), 60.5)

    assert lay_out(board, 64.0) == [
        "\u2022 six.tar.gz    building wheel  1 min 03 s",
        "\u2022 numpy.tar.gz  preparing       3 s",
        f"  {BAR}  1 done \u00b7 1 waiting  1 min 04 s",
    ]


def test_board__tells_how_long_builds_with_a_past_will_take() -> None:
    board = Board(opened=0.0)
    for name, seconds in (("one", 60.0), ("two", 20.0), ("new", 0.0)):
        board.on_event(BuildEvent(kind="queued", build=name, id=name, seconds=seconds), 0.0)
    board.on_event(BuildEvent(kind="started", build="one", id="one"), 0.0)
    board.on_event(BuildEvent(kind="started", build="two", id="two"), 0.0)

    early, late = board.estimate_rest(0.0), board.estimate_rest(30.0)

    assert (early, late) == (60.0, 40.0)
    assert lay_out(board, 30.0)[-1].endswith("30 s / 40 s left")


@pytest.mark.parametrize("columns", [1, 2, 10, 20, 40, 57, 58, 73, 80, 200])
@pytest.mark.parametrize("label", ["six", "a" * 300, "\u6e2c\u8a66" * 40, "tab\tand\x1b[2J"])
def test_board__no_line_is_wider_than_the_terminal(columns: int, label: str) -> None:
    board = Board(opened=0.0)
    for name in (label, "other"):
        board.on_event(BuildEvent(kind="queued", build=name), 0.0)
        board.on_event(start(name), 0.0)

    lines = lay_out(board, 7200.0, columns, encoding="ascii")

    assert len(lines) == 3
    assert max(map(len, lines)) <= columns
    assert all(line.isprintable() for line in lines)


def test_board__more_builds_than_rows_are_counted() -> None:
    board = Board(opened=0.0)
    for number in range(40):
        board.on_event(start(f"build-{number}"), 0.0)

    lines = lay_out(board, 5.0, rows=8)

    assert len(lines) == 5
    assert lines[-1].strip() == "and 36 more"


def test_board__two_builds_of_one_name_are_one_line_until_both_have_ended() -> None:
    board = Board(opened=0.0)
    board.on_event(start("six"), 0.0)
    board.on_event(start("six"), 1.0)

    board.on_event(finish("six"), 2.0)
    once = lay_out(board, 3.0)
    board.on_event(finish("six"), 3.0)

    assert [line.split()[1] for line in once] == ["six"]
    assert lay_out(board, 3.0) == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.9, ""), (1.0, "1 s"), (59.9, "59 s"), (64, "1 min 04 s"), (3720, "1 h 02 min")],
)
def test_describe_time__gives_whole_seconds(seconds: float, expected: str) -> None:
    assert describe_time(seconds) == expected


def test_live__a_build_that_is_over_at_once_is_not_shown() -> None:
    clock = Clock()
    live, stream = make_live(clock)

    live.on_event(start("six"))
    pass_time(live, clock, 0.29)
    live.on_event(finish("six"))
    pass_time(live, clock, 5.0)
    live.close()

    assert not stream.getvalue()


def test_live__a_message_comes_above_the_lines() -> None:
    clock = Clock()
    live, stream = make_live(clock)
    live.on_event(start("six"))
    pass_time(live, clock, 1.0)

    clock.now = 2.0
    live.write("note: something\n")
    live.write("half a line")
    pass_time(live, clock, 3.0)

    shown = replay(stream.getvalue())
    assert shown[:2] == ["note: something", "half a line"]
    assert shown[2].split() == ["\u2022", "six", "3", "s"]
    assert len(shown) == 3


def test_live__unchanged_lines_are_not_drawn_again() -> None:
    clock = Clock()
    live, stream = make_live(clock)
    live.on_event(start("six"))
    pass_time(live, clock, 1.0)
    size = len(stream.getvalue())

    pass_time(live, clock, 1.9)

    assert len(stream.getvalue()) == size


def test_live__lines_that_a_narrower_terminal_broke_are_all_erased() -> None:
    clock, stream = Clock(), Terminal()
    console = open_rich(stream, has_colours=False)
    live = LiveProgress(stream, clock=clock, open_console=lambda *_, **__: console)
    live.on_event(start("six" * 30))
    pass_time(live, clock, 1.0)
    before = len(stream.getvalue())

    console.width = 20
    pass_time(live, clock, 2.0)

    assert stream.getvalue()[before:].count("\x1b[2K") == 3


def test_live__results_of_a_batch_stay() -> None:
    clock = Clock()
    live, stream = make_live(clock, width=40)
    for name in ("six", "lxml"):
        live.on_event(BuildEvent(kind="queued", build=name))
        live.on_event(start(name))
    pass_time(live, clock, 1.0)
    for name in ("six", "lxml"):
        live.on_event(finish(name))
        live.add(make_outcome(name, is_well=name == "six"))

    live.close()

    good, bad, *rest = replay(stream.getvalue())
    assert re.fullmatch(r"[\u2713?] .*six.*", good)
    assert re.fullmatch(r"[\u2717?] .*lxml.*: [a-z-]+", bad)
    assert not any(rest)
    assert "\x1b[?25h" in stream.getvalue()


def test_live__of_one_build_nothing_stays() -> None:
    clock = Clock()
    live, stream = make_live(clock)
    with live:
        live.on_event(start("six"))
        clock.now = 1.0
        live.refresh()
        live.on_event(finish("six"))

    assert not any(replay(stream.getvalue()))
    assert "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437"])
def test_live__signs_outside_the_encoding_are_replaced(encoding: str) -> None:
    clock = Clock()
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")
    live = LiveProgress(stream, has_colours=False, clock=clock, open_console=open_rich)
    live.on_event(start("\u6e2c\u8a66-\udcff.tar.gz"))
    live.on_event(BuildEvent(kind="queued", build="a"))
    live.on_event(BuildEvent(kind="queued", build="b"))
    pass_time(live, clock, 1.0)
    live.write("note: \u6e2c \udcff\n")
    live.close()
    stream.flush()

    assert b"note: ? ?\n" in raw.getvalue()
    assert b"* ??-?.tar.gz" in raw.getvalue()


def test_batch__queues_all_builds_before_it_starts_one(tmp_path: Path, ground: Ground) -> None:
    hearer = Hearer()
    sources = [write_project(tmp_path / name, name=name, own=True) for name in ("a", "b", "c")]
    wishes = [make_input(ask(source, tmp_path / "out")) for source in sources]

    run_batch(wishes, ground.settings(), BatchOptions(), hearer)

    whole = [(event.kind, event.build) for event in hearer.events if not event.phase]
    assert whole[:3] == [("queued", "a"), ("queued", "b"), ("queued", "c")]
    assert "queued" not in dict(whole[3:])


def test_ci__gets_a_line_for_each_build() -> None:
    stream = io.StringIO()
    lines = Lines(stream)

    lines.add(make_outcome("six"))
    lines.add(make_outcome("lxml", is_well=False))
    lines.add(make_outcome("attrs", is_resumed=True))

    assert stream.getvalue() == (
        "built six-1.0.tar.gz -> six-1.0-py3-none-any.whl (0.8 s)\n"
        "failed lxml-1.0.tar.gz: hook-missing (0.8 s)\n"
        "kept attrs-1.0.tar.gz -> attrs-1.0-py3-none-any.whl\n"
    )


def test_github__gets_the_output_of_a_build_as_a_group() -> None:
    stream = io.StringIO()
    groups = GitHubGroups(stream, make_token=MARK.strip)
    for name in ("six", "lxml"):
        groups.on_event(start(name))
    groups.write("compiling\n", "six")
    groups.write("::add-mask::a\n", "lxml")
    groups.write("linking\n", "six")

    groups.on_event(finish("six"))
    groups.close()

    assert stream.getvalue() == (
        "::group::six\n::stop-commands::mark\ncompiling\nlinking\n::mark::\n::endgroup::\n"
        "::group::lxml\n::stop-commands::mark\n::add-mask::a\n::mark::\n::endgroup::\n"
    )


def test_github__builds_of_one_name_have_groups_of_their_own() -> None:
    stream = io.StringIO()
    groups = GitHubGroups(stream, make_token=MARK.strip)
    for number in "12":
        groups.on_event(BuildEvent(kind="started", build="six", id=number))
        groups.write(f"output {number}\n", number)
    for number in "12":
        groups.on_event(BuildEvent(kind="finished", build="six", id=number))

    assert re.findall(r"::group::(.*)", stream.getvalue()) == ["six (#1)", "six (#2)"]


def test_gitlab__gets_the_output_of_a_build_as_a_closed_section() -> None:
    stream = io.StringIO()
    sections = GitLabSections(stream)
    sections.on_event(start("six"))
    sections.write("compiling\n", "six")

    sections.on_event(finish("six"))

    begin = r"\x1b\[0Ksection_start:(\d+):wheelforge_1\[collapsed=true\]\r\x1b\[0Ksix\n"
    end = r"\x1b\[0Ksection_end:\1:wheelforge_1\r\x1b\[0K\n"
    assert re.fullmatch(rf"{begin}compiling\n{end}", stream.getvalue())


def test_github__gets_failures_as_annotations() -> None:
    stream = io.StringIO()

    GitHubGroups(stream, make_token=MARK.strip).write_error("error: all\nof it\n", "a-code", "100%")

    assert stream.getvalue() == (
        "::stop-commands::mark\nerror: all\nof it\n::mark::\n::error title=a-code::100%25\n"
    )


@pytest.mark.parametrize(
    ("variables", "stream", "is_quiet", "kind"),
    [
        ({}, io.StringIO(), False, Progress),
        ({}, Terminal(), False, LiveProgress),
        ({}, Terminal(), True, Progress),
        ({"TERM": "dumb"}, Terminal(), False, Progress),
        ({"FORCE_COLOR": "1"}, io.StringIO(), False, Progress),
        ({"CI": "true"}, io.StringIO(), False, Lines),
        ({"CI": "true"}, Terminal(), False, Lines),
        ({"CI": "true"}, io.StringIO(), True, Progress),
        ({"CI": "false"}, io.StringIO(), False, Progress),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, io.StringIO(), True, GitHubGroups),
        ({"CI": "true", "GITLAB_CI": "true"}, io.StringIO(), False, GitLabSections),
    ],
)
def test_open_progress__chooses_by_stream_and_variables(
    variables: dict[str, str], stream: TextIO, kind: type[Progress], *, is_quiet: bool
) -> None:
    assert type(open_progress(stream, variables, is_quiet=is_quiet)) is kind


@pytest.mark.parametrize("has_colours", [True, False])
def test_live__has_colours_unless_they_are_off(*, has_colours: bool) -> None:
    clock, stream = Clock(), Terminal()
    live = LiveProgress(stream, has_colours=has_colours, clock=clock, open_console=open_rich)
    live.on_event(start("six"))
    pass_time(live, clock, 1.0)

    assert ("\x1b[36m" in stream.getvalue()) is has_colours


def test_github__a_quiet_run_shows_failures_only(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(-1, {"GITHUB_ACTIONS": "true"})

    with console.watch():
        console.show_outcome(make_outcome("six"))
        console.show_outcome(make_outcome("lxml", is_well=False))

    told = capsys.readouterr()
    assert told.out == "/out/six-1.0-py3-none-any.whl\n"
    assert "built" not in told.err
    assert "::error title=lxml-1.0.tar.gz%3A hook-missing::" in told.err


def test_console__in_a_batch_output_is_prefixed_by_its_build(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(1, {"CI": "true"})
    console.is_batch = True

    with console.watch():
        for name in ("six", "lxml"):
            console.on_event(BuildEvent(kind="output", build=name, text="compiling\n"))

    assert capsys.readouterr().err == "six | compiling\nlxml | compiling\n"


def test_console__terminal_gets_size_and_time_of_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)

    Console(0, {}).show_outcome(make_outcome("six"))

    path = os.path.relpath("/out/six-1.0-py3-none-any.whl")
    assert stream.getvalue() == f"Built {path} (1 B, 0.8 s)\n"


def test_console__prints_a_name_outside_the_encoding_as_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", newline=""))

    Console(0, {}).print_data("/out/\u00e9\udcff.whl\n")

    assert raw.getvalue() == b"/out/\xc3\xa9\xff.whl\n"
