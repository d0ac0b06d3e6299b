"""The harness that measures: its arithmetic, what it writes, and that it runs. Never a time."""

import json
import math
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET  # ruff: ignore[suspicious-xml-etree-import]

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks import chart, report
from tests.benchmarks.figures import Result, Row, Samples, geometric_mean, median_ratio, spread
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.peers import Tools
from tests.benchmarks.world import Bench, building, run_child
from tests.support.processes import needs

SVG = "{http://www.w3.org/2000/svg}"


def row(title: str, ours: list[float], base: str = "uv build", *, counts: bool = True) -> Row:
    samples = {"wheelforge": Samples(ours), base: Samples([1.0] * len(ours))}
    return Row(title=title, samples=samples, base=base, counts=counts)


def parse(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # ruff: ignore[suspicious-xml-element-tree-usage]  # it is our own


RESULT = Result(
    name="one-build",
    title="one <build> & more",
    rows=[row("a", [2.0, 3.0]), row("b", [0.4]), row("c", [9.0], counts=False)],
    notes=["a note"],
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(place=tmp_path, tools=Tools(given=tmp_path / "python"))


def test_a_ratio_is_the_median_of_ratios_not_the_ratio_of_medians() -> None:
    assert math.isclose(median_ratio([1.0, 20.0, 3.0], [1.0, 10.0, 100.0]), 1.0)


def test_a_ratio_needs_as_many_rounds_of_both() -> None:
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0, 3.0], [1.0, 2.0])


def test_a_geometric_mean_treats_twice_and_half_alike() -> None:
    assert math.isclose(geometric_mean([2.0, 0.5, 8.0]), 2.0)


@pytest.mark.parametrize(
    ("values", "expected"), [([5.0], (5, 5, 5, 5, 5)), ([4.0, 1.0, 3.0, 2.0, 5.0], (1, 2, 3, 4, 5))]
)
def test_a_spread_has_quartiles_of_one_sample_and_of_many(
    values: list[float], expected: tuple[float, ...]
) -> None:
    found = spread(values)

    assert (found.least, found.lower, found.median, found.upper, found.most) == expected


def test_means_leave_out_the_rows_that_do_not_count() -> None:
    assert RESULT.means() == pytest.approx({"wheelforge": 1.0, "uv build": 1.0})


def test_there_is_no_mean_of_ratios_to_different_things() -> None:
    mixed = Result(name="x", title="x", rows=[row("a", [1.0]), row("b", [1.0], base="tar")])

    assert mixed.means() == {}


def test_contenders_take_turns_and_each_round_begins_with_another(tmp_path: Path) -> None:
    turns: list[str] = []
    contenders = {
        name: Contender(lambda _, name=name: turns.append(name))  # type: ignore[misc]
        for name in "abc"
    }

    samples = measure(contenders, 2, tmp_path)

    assert "".join(turns) == "abcbcacab"
    assert {len(each.values) for each in samples.values()} == {2}
    assert {len(each.cpu) for each in samples.values()} == {2}


def test_a_directory_is_prepared_and_empty_at_each_turn(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    contender = Contender(
        run=lambda place: seen.append([path.name for path in place.iterdir()]),
        prepare=lambda place: (place / "prepared").touch(),
    )

    measure({"only": contender}, 2, tmp_path)

    assert seen == [["prepared"]] * 3
    assert list(tmp_path.iterdir()) == []


@needs(posix="somebody who counts what children take")
def test_work_of_this_process_counts_only_for_those_who_do_it_here(tmp_path: Path) -> None:
    work = [partial(sum, range(1_000_000)) for _ in range(3)]
    contenders = {
        "here": Contender(lambda _: [each() for each in work], is_here=True),
        "elsewhere": Contender(lambda _: [each() for each in work]),
    }

    samples = measure(contenders, 1, tmp_path)

    assert samples["here"].cpu[0] > 0
    assert samples["elsewhere"].cpu == [0.0]


def test_children_have_composed_variables(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "PIP_FIND_LINKS", "WHEELFORGE_OFFLINE", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setitem(bench.tools.__dict__, "python_of_peers", sys.executable)

    variables = bench.compose(tmp_path, "http://localhost/simple/")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    run_child((sys.executable, "-c", code), variables, tmp_path)

    seen = json.loads((tmp_path / "printed").read_text(encoding="utf-8"))
    assert {name for name in seen if name.startswith(("PYTHON", "WHEELFORGE"))} == {
        "WHEELFORGE_CACHE_DIR",
        "WHEELFORGE_NO_REUSE",
    }
    assert "PIP_FIND_LINKS" not in seen
    assert "UV_OFFLINE" not in seen
    assert seen["PIP_INDEX_URL"] == seen["UV_DEFAULT_INDEX"] == "http://localhost/simple/"


def test_a_child_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 1:\nlast words"):
        run_child((sys.executable, "-c", "raise SystemExit('last words')"), {}, tmp_path)


def test_who_builds_nothing_is_not_fast_but_wrong(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="built nothing"):
        building((sys.executable, "-c", "pass"), {}).run(tmp_path)


def test_the_report_for_machines_has_every_sample_and_the_machine(bench: Bench) -> None:
    written = json.loads(json.dumps(report.describe_run(bench, [RESULT])))

    assert set(written) == {
        *("format", "date", "machine", "peers", "wheelforge", "rounds", "quick", "benches")
    }
    assert set(written["machine"]) == {"system", "release", "architecture", "cores", "python"}
    assert set(written["peers"]) == {"uv", "build", "pip"}
    (found,) = written["benches"]
    assert found["rows"][0]["contenders"]["wheelforge"] == {
        "values": [2.0, 3.0],
        "cpu_seconds": [],
        "median": 2.5,
        "ratio": 2.5,
        "cpu_ratio": None,
    }


def test_the_report_for_people_has_ratios_means_and_notes() -> None:
    text = report.format_result(RESULT)

    assert "x 2.50" in text
    assert "geometric mean: wheelforge 1.00" in text
    assert text.endswith("note: a note\n")


def test_the_chart_is_well_formed_and_has_a_bar_for_each_contender() -> None:
    beside = Result(name="x", title="not of uv", rows=[row("a", [1.0], base="tar")])

    picture = parse(chart.draw([RESULT, beside]))

    texts = [element.text for element in picture.iter(f"{SVG}text")]
    ground, *bars = picture.iter(f"{SVG}rect")
    assert texts[1:] == ["one <build> & more", "wheelforge", "1.00", "uv build", "1.00"]
    assert ground.get("fill") is not None
    assert len(bars) == 2


def test_nothing_sticks_out_of_the_chart() -> None:
    slow = Result(name="x", title="x", rows=[row("a", [40.0])])

    picture = parse(chart.draw([slow]))

    ends = [
        float(bar.get("x", "0")) + float(bar.get("width", "0"))
        for bar in picture.iter(f"{SVG}rect")
    ]
    assert max(ends) <= chart.WIDTH


def test_an_empty_chart_is_a_chart() -> None:
    assert parse(chart.draw([])).tag == f"{SVG}svg"


def test_an_unknown_bench_is_refused_and_the_known_ones_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command.main(["nonsense"])

    assert "there is no nonsense; there is one-build" in capsys.readouterr().err


@pytest.mark.usefixtures("real_sdists")
@needs(posix="a shell's way of starting programs")
def test_the_command_runs_a_bench_and_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, picture = tmp_path / "found.json", tmp_path / "found.svg"

    words = ["unpacking", "--quick", "--output", str(output), "--chart", str(picture)]
    command.main([*words, "--place", str(tmp_path)])

    assert "unpacking: unpacking real sdists" in capsys.readouterr().out
    written = json.loads(output.read_text(encoding="utf-8"))
    assert [bench["name"] for bench in written["benches"]] == ["unpacking"]
    assert written["quick"] is True
    assert parse(picture.read_text(encoding="utf-8")).tag == f"{SVG}svg"
    assert sorted(tmp_path.iterdir()) == [output, picture]
