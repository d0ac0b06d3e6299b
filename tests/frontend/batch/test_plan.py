"""Plans: what a run would do, compared with the run that follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.batches import noting, read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.batches import Yard

NO_HOOK = "raise SystemExit('a hook has run')"


def plan(yard: Yard, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the plan; nothing may have been delivered."""
    before = sorted(yard.output.glob("*"))
    code, out, err = yard.run(*words, "--plan", "--json")
    assert sorted(yard.output.glob("*")) == before, err
    found: dict[str, Any] = json.loads(out)
    return code, found


def files(build: dict[str, Any]) -> list[tuple[str, str]]:
    return [(file["name"], file["from"]) for file in build["environment"]["files"]]


def test_plan__says_what_the_run_then_does(yard: Yard) -> None:
    yard.backend()
    sdists = [yard.served_sdist("one"), yard.served_sdist("two")]

    code, before = plan(yard, *sdists, "-j", "3")
    yard.run(*sdists, "--report", yard.place / "report.json")
    again, after = plan(yard, *sdists)

    assert code == again == 0
    assert before["at_once"] == 2
    first, then = before["builds"][0], after["builds"][0]
    assert (first["name"], first["version"]) == ("one", "1.0")
    assert (first["kinds"], first["output"]) == (["wheel"], str(yard.output))
    assert (first["backend"], first["requires"]) == ("tiny_backend", ["tiny-backend"])
    assert files(first) == [("tiny-backend", "disk")]
    assert (first["environment"]["in_cache"], first["seconds"]) == (False, None)
    assert files(then) == [("tiny-backend", "cache")]
    assert then["environment"]["in_cache"]
    assert then["seconds"] > 0
    assert (first["is_reused"], then["is_reused"]) == (False, True)
    report = json.loads((yard.place / "report.json").read_text(encoding="utf-8"))
    used = [each["file"] for each in report["builds"][0]["environment"]]
    assert [each["file"] for each in first["environment"]["files"]] == used


@pytest.mark.parametrize("words", [(), ("--keep", "always", "--sdist-extract-dir", "tree")])
def test_plan__runs_no_hook_and_leaves_nothing(yard: Yard, words: tuple[str, ...]) -> None:
    project = yard.project("one", noting(yard.place / "ran"))
    (project / "backend.py").write_text(NO_HOOK, encoding="utf-8")
    before = sorted(project.rglob("*"))

    code, _ = plan(yard, project, *words)

    assert code == 0
    assert read_lines(yard.place / "ran") == []
    assert sorted(project.rglob("*")) == before
    assert not (yard.place / "tree").exists()
    stages = [path for path in (yard.place / "cache" / "stage-v1").iterdir() if path.is_dir()]
    assert stages == []


def test_plan__orders_projects_that_need_each_other(yard: Yard) -> None:
    yard.backend()
    app = yard.project("app", requires=["lib", "tiny-backend"])

    _, found = plan(yard, app, yard.project("lib"), "-p", "3.11")

    assert [build["name"] for build in found["builds"]] == ["lib", "app"]
    lib, own = found["builds"]
    assert own["needs"] == [lib["id"]] == ["2"]
    assert files(own) == [("tiny-backend", "disk")]


def test_plan__says_of_a_release_what_its_sdist_says(yard: Yard) -> None:
    yard.backend()
    yard.served_sdist("one")

    code, found = plan(yard, "one==1.0")

    assert code == 0
    assert files(found["builds"][0]) == [("tiny-backend", "disk")]
    assert found["builds"][0]["sha256"]


def test_plan__does_not_guess_what_only_a_build_can_tell(yard: Yard) -> None:
    yard.sdist("made")
    project = yard.project("one", requires=["made"])

    code, found = plan(yard, project)

    (build,) = found["builds"]
    assert code == 0
    assert build["environment"] is None
    assert "made-1.0.tar.gz" in build["unknown"]
    assert "have to be built first" in build["unknown"]


def test_plan__of_a_set_tells_builds_from_wheels(yard: Yard) -> None:
    yard.backend()

    code, found = plan(yard, "tiny-backend", "--with-deps")

    assert code == 0
    assert [(file["name"], file["from"]) for file in found["collected"]] == [
        ("tiny-backend", "disk")
    ]
    yard.sdist("made")
    _, unknown = plan(yard, "tiny-backend", "made", "--with-deps")
    assert "made-1.0.tar.gz" in unknown["sets"][0]["unknown"]


def test_plan__knows_overrides_and_earlier_results(yard: Yard) -> None:
    yard.backend()
    sdist = yard.sdist("one")
    rules = yard.place / "rules.toml"
    rules.write_text(
        '[[package]]\nname = "one"\nreason = "as it is old"\n'
        'build-requires.add = ["tiny-backend"]\n',
        encoding="utf-8",
    )
    yard.run(sdist, yard.sdist("two"), "--resume")

    _, found = plan(yard, sdist, "--resume", "--overrides", rules)
    _, resumed = plan(yard, sdist, "--resume")

    (build,) = found["builds"]
    assert build["requires"] == ["tiny-backend"]
    assert any("as it is old" in note for note in build["notes"])
    assert (build["is_kept"], resumed["builds"][0]["is_kept"]) == (False, True)


def test_plan__tells_what_becomes_of_wheels_of_earlier_builds(yard: Yard) -> None:
    project = yard.project("one")
    yard.run(project, "--wheel", "--reuse")

    def look(*words: str) -> tuple[bool, list[str]]:
        (build,) = plan(yard, project, "--wheel", *words)[1]["builds"]
        return build["is_reused"], build["notes"]

    assert look() == (False, [])
    assert look("--reuse") == (True, [])
    assert look("--reuse", "--rebuild") == (False, [])
    sentence = "its wheel is in the cache; {} built again, and compared"
    some, every = look("--reuse", "--verify-reuse", "5%"), look("--reuse", "--verify-reuse", "1")
    assert some == (True, [sentence.format("5% of such wheels are")])
    assert every == (False, [sentence.format("it is")])


@pytest.mark.parametrize(("others", "expected"), [(0, 3), (1, 1)])
def test_plan__ends_as_the_run_would(yard: Yard, others: int, expected: int) -> None:
    bad = yard.project("bad")
    (bad / "pyproject.toml").write_text("no TOML", encoding="utf-8")
    projects = [yard.project(f"good{number}") for number in range(others)]

    code, found = plan(yard, bad, *projects)

    assert code == expected
    assert {"project-invalid"} == {
        each["error"]["code"] for each in found["builds"] if each["error"]
    }


def test_plan__is_readable(yard: Yard) -> None:
    yard.backend()
    code, out, err = yard.run(yard.served_sdist("one"), yard.project("two"), "--plan", "-j", "2")

    assert (code, err) == (0, "")
    assert "1. one-1.0.tar.gz (one 1.0) with Python 3." in out
    assert "   wheel -> out\n   tiny_backend requires tiny-backend\n" in out
    assert "   environment: to be made\n     tiny-backend 1.0  from this machine\n" in out
    assert "2 builds, 2 at a time; 0 wheels to be downloaded\nonly hooks can tell:\n" in out


def test_plan__shows_no_credentials(yard: Yard) -> None:
    url = "http://user:pass@127.0.0.1:1/six-1.0-py3-none-any.whl"

    code, out, _ = yard.run(yard.project("one", requires=[f"six @ {url}"]), "--plan", "--offline")

    assert code == 5
    assert "requires six @ http://127.0.0.1:1/six-1.0-py3-none-any.whl" in out


def test_plan__json_is_for_plans_only(yard: Yard) -> None:
    code, _, err = yard.run(yard.project("one"), "--json")

    assert code == 2
    assert "`--json` cannot be used: it is for `--plan` only" in err
