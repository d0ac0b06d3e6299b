"""The page about builds as its readers have it: in a browser, in both themes, on a phone."""

# ruff: file-ignore[any-type]

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise, product, starmap
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, find_browser, open_browser
from tests.support.reports import (
    HOSTILE,
    MOMENT,
    Factory,
    make_artifact,
    make_failure,
    make_outcome,
    make_phases,
    make_wheel,
    tell,
)
from wheelforge.errors import BuildCancelledError, UsageError
from wheelforge.models import BuildAttempt
from wheelforge.report import Run, compare, describe_outcome, describe_run, write_html_report

_STYLE = files("wheelforge.report").joinpath("page.css").read_text(encoding="utf-8")
_ROWS = "[...document.querySelectorAll('#rows tr.build')].filter((row) => !row.hidden)"
_NAMES = f"{_ROWS}.map((row) => row.querySelector('button').textContent.trim())"
_THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a browser for all tests here: to start one takes longer than most of them."""
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium")
    with open_browser(program, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page about a thousand builds."""
    path = tmp_path_factory.mktemp("many") / "builds.html"
    write_html_report(tell(Factory().make(1000), "the last line"), path)
    return path


def show(browser: Browser, path: Path, *outcomes: Any, **facts: Any) -> None:
    """Have a page about ``outcomes`` on the screen."""
    write_html_report(tell(outcomes, **facts), path / "builds.html")
    browser.complaints.clear()
    browser.asked.clear()
    browser.open(path / "builds.html")


def sift(browser: Browser, text: str) -> None:
    """Type into the filter."""
    browser.run("find('text').focus(); find('text').value = ''")
    browser.tell("Input.insertText", text=text)


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colors(theme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", _STYLE, re.DOTALL)[:2]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if theme == "light" else dark))


@pytest.mark.parametrize("theme", _THEMES)
def test_page__has_enough_contrast(theme: str) -> None:
    known = colors(theme)
    words = ("text", "quiet", "accent", "built", "resumed", "failed", "cancelled")
    shapes = [name for name in known if name.startswith("phase-")]
    grounds = ("page", "surface", "sunken", "failed-soft")

    wanted = [(pair, 4.5) for pair in product(words, grounds)]
    wanted += [(pair, 3.0) for pair in product(shapes, ("surface", "sunken"))]
    faint = [pair for pair, least in wanted if contrast(known[pair[0]], known[pair[1]]) < least]

    assert len(shapes) == 10
    assert faint == []


def test_page__is_self_contained(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, *Factory().make(30), tail="the last line")

    assert browser.asked == [(tmp_path / "builds.html").as_uri()]
    assert browser.complaints == []


def test_timeline__marks_cancelled_builds_otherwise_than_failed_ones(
    tmp_path: Path, browser: Browser
) -> None:
    errors = (make_failure("no"), BuildCancelledError("demo"))
    outcomes = [
        make_outcome(error=error, phases=make_phases(MOMENT + 10 * number, 9))
        for number, error in enumerate(errors)
    ]
    show(browser, tmp_path, *outcomes)

    marks = "[...document.querySelectorAll('.bar path')].map((path) => path.getAttribute('class'))"
    lines = "[...document.querySelectorAll('.under')].map((line) => getComputedStyle(line).fill)"
    assert browser.run(marks) == ["cross", "stop"]
    assert len(set(browser.run(lines))) == 2


def test_failure__shows_the_end_of_its_log_on_a_phone(tmp_path: Path, browser: Browser) -> None:
    write_html_report(tell(Factory().make(30), tail="cc -c a.c -o a.o\n" * 12), tmp_path / "b.html")

    browser.open(tmp_path / "b.html", width=200)

    texts = "[...document.querySelectorAll('#failures .last')]"
    rest = "(text) => text.scrollHeight - text.clientHeight - text.scrollTop"
    hidden = browser.run(f"{texts}.map((text) => text.scrollHeight > text.clientHeight)")
    assert hidden == [True] * 3
    assert max(browser.run(f"{texts}.map({rest})")) <= 1


def test_page__is_whole_on_paper(tmp_path: Path, browser: Browser) -> None:
    failed = make_outcome(error=make_failure("\n".join(map(str, range(60)))))
    show(browser, tmp_path, failed, *Factory().make(30), tail="cc -c part.c\n" * 60)

    browser.tell("Emulation.setEmulatedMedia", media="print")
    size = {"width": 690, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.tell("Emulation.setDeviceMetricsOverride", **size)

    cells = "[...document.querySelectorAll('#totals > div, thead th')]"
    cut = browser.run(
        f"{cells}.filter((cell) => cell.getBoundingClientRect().right > innerWidth"
        " || cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)"
    )
    low = "(text) => text.scrollHeight > text.clientHeight + 1"
    assert cut == []
    # Chromium prints a head again on the next page, but no buttons in it.
    shown = "getComputedStyle(document.querySelector('thead button')).display"
    assert browser.run(shown) == "contents"
    assert not browser.run(f"[...document.querySelectorAll('.failure pre')].some({low})")


def test_page__has_results_and_failures(tmp_path: Path, browser: Browser) -> None:
    outcomes = Factory().make(24)
    show(browser, tmp_path, *outcomes, tail="the last line", ending=KeyboardInterrupt())

    assert browser.run("find('verdict').textContent") == "3 failed, 1 cancelled of 24 builds"
    assert "interrupted" in browser.run("find('ending').textContent")
    assert "kept" in browser.run("find('totals').innerText")
    assert browser.run("document.title") == "3 failed, 1 cancelled of 24 builds · wheelforge"
    first = [each for each in outcomes if each.error]
    ordered = [*first, *(each for each in outcomes if not each.error)]
    labels = [f"{outcome.request.label} {outcome.python}" for outcome in ordered]
    assert browser.run(_NAMES) == labels
    assert browser.run("document.querySelectorAll('#scroll .bar').length") == 23
    codes = browser.run(
        "[...document.querySelectorAll('#rows small')].map((each) => each.innerText)"
    )
    assert sorted(code.strip() for code in codes) == sorted(
        each.error.code for each in outcomes if each.verdict == "failed" and each.error
    )
    failures = browser.run("find('failures').innerText")
    assert "header-missing · 2 builds" in failures
    assert "install libxml2-dev" in failures


def test_page__shows_the_end_of_a_log_on_request(tmp_path: Path, browser: Browser) -> None:
    lines = [f"line {number}" for number in range(30)]
    show(browser, tmp_path, make_outcome(error=make_failure()), tail="\n".join(lines))

    assert (
        browser.run("find('failures').querySelector('pre').textContent.split('\\n')") == lines[20:]
    )
    assert browser.run("document.querySelectorAll('.log pre').length") == 0
    browser.run("document.querySelector('.log summary').click()")

    found = "document.querySelector('.log pre').textContent.split('\\n')"
    assert browser.run(f"new Promise((done) => setTimeout(() => done({found})))") == lines


def test_page__a_failure_has_its_cause_and_its_command(tmp_path: Path, browser: Browser) -> None:
    error = make_failure("compiling\n`this` is for Python 2.7 only")
    facts: dict[str, Any] = {"argv": ["-o", "my out"]}
    facts |= {"options": ["-o", "my out"], "cwd": "/work", "python": []}
    facts |= {"jobs": 1, "cores": 2, "index": [], "platform": "Linux", "machine": "x86_64"}
    run = Run(told=[(make_outcome(error=error), "")], facts=facts)
    write_html_report(run, tmp_path / "builds.html")
    browser.open(tmp_path / "builds.html")

    failure = browser.run("find('failures').innerText")
    assert "building the wheel has failed with status 1: this is for Python 2.7 only" in failure
    command = "cd /work && python -m wheelforge /work/demo-1.0.tar.gz -o 'my out'"
    assert command in failure
    assert "python -m wheelforge -o 'my out'" in browser.run("find('run').textContent")


def test_page__filter_order_and_opened_rows_are_in_its_address(
    tmp_path: Path, browser: Browser
) -> None:
    show(browser, tmp_path, *Factory().make(40))
    browser.run("document.querySelector('#outcomes [value=failed]').click()")
    browser.run("document.querySelector('th.seconds button').click()")
    browser.run(f"{_ROWS}[1].querySelector('button').click()")
    before = browser.run(_NAMES)
    address = browser.run("location.hash")

    browser.open(tmp_path / "builds.html")
    browser.run(f"location.hash = {address!r}")
    browser.run("new Promise((done) => setTimeout(done, 100))")

    assert "s=seconds.down" in address
    assert browser.run(_NAMES) == before
    opened = f"{_ROWS}[1].querySelector('button').ariaExpanded"
    assert browser.run(opened) == "true"


@pytest.mark.parametrize("base", ["", "https://ci.invalid/7/"])
def test_page__links_lead_to_results_and_logs(tmp_path: Path, browser: Browser, base: str) -> None:
    artifact = make_artifact(tmp_path / "out" / "javascript:a#b-1.0-py3-none-any.whl")
    run = tell([make_outcome(artifacts=(artifact,), log=tmp_path / "demo.log")])
    write_html_report(run, tmp_path / "builds.html", base)
    browser.open(tmp_path / "builds.html")
    browser.run("toggle(builds[0])")

    links = browser.run(
        "[...document.querySelectorAll('.details a')].map((each) => each.getAttribute('href'))"
    )
    wheel, log = "out/javascript%3Aa%23b-1.0-py3-none-any.whl", "demo.log"
    assert {f"{base}{wheel}", f"{base}{log}"} <= set(links)


def test_page__has_the_differences_from_an_earlier_report(tmp_path: Path, browser: Browser) -> None:
    old = json.loads(json.dumps(describe_run(tell([make_outcome(), make_outcome("gone==1.0")]))))
    run = tell([make_outcome(error=make_failure(), id="1")])
    comparison = compare(old, list(starmap(describe_outcome, run.told)))
    write_html_report(run._replace(comparison=comparison), tmp_path / "builds.html")
    browser.open(tmp_path / "builds.html")

    shown = browser.run("find('comparison').innerText")
    browser.run("find('comparison').querySelector('button').click()")

    assert "Newly failing\ndemo-1.0.tar.gz 3.11.9: backend-failed" in shown
    assert "Gone\ngone==1.0 3.11.9" in shown
    assert browser.run("builds.map((build) => table.details.has(build.number))") == [True]


def test_page__tells_attempts_backends_tags_and_the_critical_path(
    tmp_path: Path, browser: Browser
) -> None:
    era = datetime(2015, 8, 30, tzinfo=UTC)
    phases = make_phases(MOMENT, 2.0)
    attempts = (
        BuildAttempt("", None, phases[:3], make_failure("first"), (0, 0)),
        BuildAttempt("era", era, phases[3:], None, (0, 0)),
    )
    needed = make_outcome(
        Path("/work/tool"),
        id="1",
        phases=phases,
        attempts=attempts,
        artifacts=(make_artifact(),),
        backend="setuptools.build_meta:__legacy__",
        wheels=(make_wheel(),),
    )
    user = make_outcome(
        Path("/work/user"),
        id="2",
        phases=make_phases(MOMENT + 2, 1.0),
        needs=("1",),
        waits={"dependency": 2.0},
    )
    show(browser, tmp_path, needed, user)
    browser.run("builds.forEach((build) => toggle(build, true))")

    rows = browser.run("find('rows').innerText")
    groups = browser.run("find('groups').innerText")
    assert "with what there was on 2015-08-30" in rows
    assert "2.00 s for a build that it needs" in rows
    assert "setuptools 84.2.1 1" in groups
    assert "py3-none-any 1" in groups
    path = "Critical path: tool 2.00 s → (needs it) user 1.00 s"
    assert browser.run("find('critical').innerText") == path


def test_page__foreign_text_becomes_no_markup(tmp_path: Path, browser: Browser) -> None:
    source = Path(f"/work/{HOSTILE.replace('/', '_')}")
    error = make_failure(HOSTILE, source=HOSTILE)
    outcome = make_outcome(
        source, error=error, phases=make_phases(MOMENT, 1), python=HOSTILE, notes=(HOSTILE,)
    )

    show(browser, tmp_path, outcome, tail=f"{HOSTILE}\n\x00\udcff")
    browser.run("toggle(builds[0]); point(builds[0], { pinned: true })")

    assert browser.run("window.hacked") is None
    assert browser.run("document.querySelectorAll('img, main script').length") == 0
    assert "</script>" in browser.run("document.querySelector('.details pre').textContent")
    assert browser.complaints == []


def test_page__runs_no_foreign_script(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, make_outcome())
    browser.run("""{
        const foreign = document.createElement("script");
        foreign.textContent = "window.hacked = 1";
        document.body.append(foreign);
    }""")

    assert browser.run("window.hacked") is None
    assert "Content Security Policy" in "".join(browser.complaints)


def test_page__filter_keeps_builds_with_all_its_words(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, *Factory().make(60))

    sift(browser, "NUMPY 3.12")

    names = browser.run(_NAMES)
    assert names
    assert all("numpy" in name and "3.12" in name for name in names)
    assert browser.run("find('count').textContent") == f"{len(names)} of 60"
    out = browser.run("begun.filter((build) => !/numpy.*3[.]12/.test(build.label + build.python))")
    assert browser.run("document.querySelectorAll('.bar.dim').length") == len(out)


def test_page__filter_without_a_match_says_so(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, *Factory().make(5))

    sift(browser, "no such thing")

    assert browser.run(_NAMES) == []
    assert browser.run("find('nothing').hidden") is False


def test_page__outcomes_can_be_chosen(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, *Factory().make(60))

    browser.run("document.querySelector('#outcomes [value=failed]').click()")

    verdicts = f"{_ROWS}.map((row) => row.querySelector('.verdict').textContent)"
    assert set(browser.run(verdicts)) == {"failed"}
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map((each) => each.value)"
    assert browser.run(pressed) == ["failed"]


def test_page__a_column_sorts_both_ways(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, *Factory().make(40))
    seconds = f"{_ROWS}.map((row) => builds[row.dataset.number].seconds ?? -1)"

    browser.run("document.querySelector('th.seconds button').click()")
    falling = browser.run(seconds)
    direction = browser.run("document.querySelector('th.seconds').getAttribute('aria-sort')")
    browser.run("document.querySelector('th.seconds button').click()")
    rising = browser.run(seconds)

    assert falling == sorted(falling, reverse=True)
    assert rising == sorted(rising)
    assert len(set(rising)) > 30
    assert direction == "descending"


def test_page__the_keyboard_moves_through_the_timeline(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path, *Factory(at_once=2).make(6))

    browser.run("timeline.svg.focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        browser.press(key)
    current = browser.run("timeline.svg.getAttribute('aria-activedescendant')")
    tip = browser.run("find('tip').innerText")
    browser.press("Enter")

    number = int(current.removeprefix("bar-"))
    name = browser.run(f"builds[{number}].label")
    assert name in tip
    assert browser.run("document.querySelector('.details').previousSibling.id") == f"build-{number}"
    assert name in browser.run("document.activeElement.textContent")
    assert browser.run("find('tip').hidden")


def test_page__every_control_has_a_name_and_can_be_reached(
    tmp_path: Path, browser: Browser
) -> None:
    show(browser, tmp_path, *Factory().make(24), tail="the last line")

    nodes = browser.tell("Accessibility.getFullAXTree")["nodes"]
    pressable = {"button", "searchbox", "listbox", "option", "DisclosureTriangle"}
    used = [node for node in nodes if node.get("role", {}).get("value") in pressable]

    assert {node["role"]["value"] for node in used} == pressable
    assert [node for node in used if not node["name"]["value"]] == []


def test_page__a_waiting_build_shows_what_it_waits_for(tmp_path: Path, browser: Browser) -> None:
    source = Path("/work/project")
    first = make_outcome(source, phases=make_phases(MOMENT, 3.0))
    second = make_outcome(source, phases=make_phases(MOMENT + 0.5, 5, wait=2.55), python="3.13.1")
    show(browser, tmp_path, first, second)

    browser.run("point(builds[1], { pinned: false })")

    assert "waited for project Python 3.11.9" in browser.run("find('tip').innerText")
    assert browser.run("document.querySelectorAll('.link').length") == 1


def test_page__parallel_builds_have_lanes_of_their_own(tmp_path: Path, browser: Browser) -> None:
    spans = ((0, 4), (1, 1), (1.5, 3), (2.5, 1))
    outcomes = [make_outcome(phases=make_phases(MOMENT + start, end)) for start, end in spans]
    show(browser, tmp_path, *outcomes)

    assert browser.run("builds.map((build) => build.lane)") == [0, 1, 2, 1]


def test_page__without_builds_says_so(tmp_path: Path, browser: Browser) -> None:
    show(browser, tmp_path)

    assert browser.run("find('verdict').textContent") == "No builds"
    assert browser.run("find('timeline').hidden && find('failures').hidden")
    assert browser.complaints == []


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_page__totals_leave_no_hole(
    tmp_path: Path, browser: Browser, width: int, count: int
) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"is_reused": True},
        {"is_resumed": True},
        {"error": make_failure("no")},
    ]
    outcomes = [make_outcome(phases=make_phases(MOMENT, 1), **kind) for kind in kinds[:count]]
    show(browser, tmp_path, *outcomes)
    browser.open(tmp_path / "builds.html", width=width)

    cells = browser.run(
        "[...find('totals').children].map(e => e.getBoundingClientRect())"
        ".map(r => [r.left, r.right, r.top].map(Math.round))"
    )
    right = max(cell[1] for cell in cells)
    rows = [[c[:2] for c in cells if c[2] == top] for top in sorted({c[2] for c in cells})]
    ragged = [row for row in rows if abs(row[-1][1] - right) > 1]
    gaps = [pair for row in rows for pair in pairwise(row) if abs(pair[0][1] - pair[1][0]) > 1]
    assert (ragged, gaps) == ([], [])


def test_page__further_lines_of_an_error_have_no_backticks(
    tmp_path: Path, browser: Browser
) -> None:
    error = UsageError("option-invalid", "x", "there is no `lib`\n  demo asks for `lib`")

    show(browser, tmp_path, make_outcome(error=error))

    failure = browser.run("find('failures').innerText")
    assert "demo asks for lib" in failure
    assert "`" not in failure


@pytest.mark.parametrize("theme", _THEMES)
@pytest.mark.parametrize("width", [360, 1280])
def test_page__a_thousand_builds_fit_on_small_and_large_screens(
    many: Path, browser: Browser, width: int, theme: str
) -> None:
    browser.complaints.clear()
    browser.open(many, width=width, theme=theme)

    assert browser.run(f"{_ROWS}.length") == 1000
    assert browser.run("document.documentElement.scrollWidth") <= width
    # An element for each phase of each build would be twice as many.
    assert browser.run("document.querySelectorAll('*').length") < 20_000
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(15, 18, 22)") == (theme == "dark")
    assert browser.complaints == []


def test_page__in_print_has_no_controls(many: Path, browser: Browser) -> None:
    browser.open(many)
    browser.tell("Emulation.setEmulatedMedia", media="print")

    browser.run("openForPrint()")
    seen = (
        "[...document.querySelectorAll('#filters, .buttons')].filter((each) => each.offsetHeight)"
    )
    assert browser.run(f"{seen}.length") == 0
    assert browser.run("find('run').open")
    root = "document.documentElement"
    assert browser.run(f"{root}.scrollWidth - {root}.clientWidth") == 0
    assert len(browser.tell("Page.printToPDF")["data"]) > 100_000
