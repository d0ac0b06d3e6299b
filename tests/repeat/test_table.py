"""The run that builds real sdists twice: what it reads of a report, and what its table tells."""

from pathlib import Path

import pytest

from tests.repeat.__main__ import build_twice
from tests.repeat.sources import SDISTS
from tests.repeat.table import FAILED, UNREPEATED, Result, format_table, read_causes, read_report
from tests.support.builds import Ground, write_sdist

ROWS = [
    Result("a-1.tar.gz", "setuptools.build_meta", "identical", "time", []),
    Result("b-1.tar.gz", "setuptools.build_meta", "equivalent", "", []),
    Result("c-1.tar.gz", "flit_core.buildapi", "different", "", ["`c.whl`: `c.py`: line 1: | x"]),
    Result("d-1.tar.gz", "", FAILED, "", ["`tool-missing`"]),
]


def test_run__an_sdist_is_built_twice_and_read(tmp_path: Path) -> None:
    ground = Ground.make(tmp_path)
    sdist = write_sdist(tmp_path)

    found = build_twice(sdist, tmp_path / "home", "--no-index", "-f", str(ground.links))

    assert (found.file, found.backend, found.verdict) == (sdist.name, "willing", "different")
    (detail,) = found.details  # the file has the number of the process in it
    assert "`willing_facts.json`: line 1: " in detail


@pytest.mark.parametrize(
    ("facts", "verdict", "details"),
    [
        ({"notes": ["`a.whl`: the second time it is same content"]}, "same content", []),
        ({"notes": ["`a.whl`: the second time it is not made"]}, UNREPEATED, []),
        (
            {"notes": ["the second time it cannot be built: it fails"]},
            UNREPEATED,
            ["the second time it cannot be built: it fails"],
        ),
        ({"notes": [], "error": {"code": "tool-missing"}}, FAILED, ["`tool-missing`"]),
    ],
)
def test_report__verdict_is_read(
    facts: dict[str, object], verdict: str, details: list[str]
) -> None:
    found = read_report("a-1.tar.gz", {"builds": [{"backend": "x.y:z", **facts}]})

    assert (found.backend, found.verdict, list(found.details)) == ("x.y", verdict, details)


def test_table__counts_by_backend_and_tells_causes() -> None:
    text = format_table(ROWS, {"b-1.tar.gz": "modes"})

    assert "3 of 4 sdists could be built." in text
    assert "| setuptools | 2 | 1 | 1 | 0 | 0 |" in text
    assert "| all | 3 | 1 | 1 | 0 | 1 |" in text
    assert "The same both times: time." in text
    assert "| b-1.tar.gz | equivalent | modes |" in text
    assert "| c-1.tar.gz | different | `c.whl`: `c.py`: line 1: / x |" in text
    assert "| a-1.tar.gz | identical" not in text


def test_sources__each_is_pinned_once_and_each_cause_is_of_one() -> None:
    files = [listed.file for listed in SDISTS]

    assert len(files) == len(set(files)) >= 150
    assert all(len(listed.sha256) == 64 for listed in SDISTS)
    assert set(read_causes()) <= set(files)
