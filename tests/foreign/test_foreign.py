"""The comparison of foreign projects sees differences, and only those that count."""

import sys
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.peers import Tools
from tests.foreign.compare import Difference, Explanation, find_differences, judge
from tests.foreign.environments import Environments
from tests.foreign.matrix import REAL_SDISTS, SUITES, Kind, Scenario
from tests.foreign.programs import OURS, Programs
from tests.foreign.results import FAILED, Result, load_result, read_archive
from tests.foreign.table import format_table, list_problems
from tests.support.corpus import FIXTURES
from tests.support.wheels import Draft

MINIMAL = Scenario(
    suite="own",
    name="minimal",
    source=FIXTURES / "projects" / "minimal",
    kind=Kind.BOTH,
    python=sys.executable,
)
BUILT = Result(
    outcome="built", code=0, files={"a-1.whl": {"a.py": "1", "b.py": "2"}}, said="", seconds=1
)
MEMBER = Difference(where="own/minimal/both/3/uv", what="member: only ours has b.py")


def test_programs__a_project_is_built_and_its_members_are_read(tmp_path: Path) -> None:
    programs = Programs(
        environments=Environments(tools=Tools(given=Path(sys.executable)), home=tmp_path / "home")
    )

    result = programs.run(OURS, MINIMAL, tmp_path)

    assert result.outcome == "built", result.said
    sdist, wheel = (result.files[name] for name in sorted(result.files, key=len))
    assert "minimal/__init__.py" in wheel
    assert any(name.endswith("/pyproject.toml") for name in sdist)
    result.store(tmp_path / "stored" / "result.json")
    assert load_result(tmp_path / "stored" / "result.json") == result


def test_results__compiled_contents_and_their_hashes_do_not_count(tmp_path: Path) -> None:
    digests = []
    for content in (b"\x7fELF one", b"\x7fELF two"):
        path = tmp_path / content.hex() / "demo-1.0-py3-none-any.whl"
        path.parent.mkdir()
        path.write_bytes(Draft(files={"demo.so": content}).pack())
        digests.append(read_archive(path))

    assert digests[0] == digests[1]
    assert digests[0]["demo.so"] == "compiled"


def test_compare__a_member_a_content_and_an_outcome_differ() -> None:
    fewer = replace(BUILT, files={"a-1.whl": {"a.py": "3"}})

    assert [found.what for found in find_differences("here", BUILT, fewer)] == [
        "member: only ours has b.py",
        "content: a.py",
    ]
    failed = replace(BUILT, outcome=FAILED)
    assert [found.what for found in find_differences("here", BUILT, failed)] == [
        "outcome: built, not failed"
    ]


def test_judge__what_is_not_explained_fails_and_so_does_what_explains_nothing() -> None:
    other = Difference(where=MEMBER.where, what="content: a.py")
    used = Explanation(where="own/*", what="member: * b.py", why="b is a whim")
    stale = Explanation(where="own/minimal/*", what="file: *", why="once it was")
    not_run = Explanation(where="elsewhere/*", what="*", why="it is another suite")

    verdict = judge(
        [MEMBER, other],
        [used, stale, not_run],
        ran={MEMBER.where},
        matrix={MEMBER.where, "elsewhere/a/both/3/uv"},
    )

    assert verdict.explained == [(MEMBER, used)]
    assert verdict.unexplained == [other]
    assert verdict.stale == [stale]
    assert len(list_problems(verdict)) == 2
    table = format_table({MINIMAL: {OURS: BUILT}}, verdict, total=2)
    assert "b is a whim" in table
    assert "content: a.py" in table


def test_matrix__all_is_pinned_once() -> None:
    files = [listed.file for listed in REAL_SDISTS]

    assert len(files) == len(set(files))
    assert all(len(listed.sha256) == 64 for listed in [*SUITES, *REAL_SDISTS])
    assert len(files) >= 60
