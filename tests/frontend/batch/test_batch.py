"""Many builds in one command, as its users see it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.batches import Yard, noting, read_lines, without_summary, write_requirements
from tests.support.hooks import is_running, read_pids, wait_until
from tests.support.index import core_metadata, wheel

FAILING = "raise SystemExit('it is broken')"
ENDLESS = "import os, signal; open({!r}, 'a').write(f'{{os.getpid()}}\\n'); signal.pause()"


def test_batch__builds_directories_archives_and_names_together(yard: Yard) -> None:
    directory, archive = yard.project("one"), yard.sdist("two")
    yard.sdist("three")

    code, out, err = yard.run(directory, archive, "three==1.0")

    assert (code, without_summary(err)) == (0, "")
    assert yard.results() == {"one", "two", "three"}
    assert {line.rpartition("/")[2].split("-")[0] for line in out.splitlines()} == yard.results()


def test_batch__a_failed_build_leaves_the_others(yard: Yard) -> None:
    sdists = [yard.sdist("good"), yard.sdist("bad", FAILING), yard.sdist("fine")]

    code, _, err = yard.run(*sdists)

    assert code == 1
    assert yard.results() == {"good", "fine"}
    assert "it is broken" in err
    cause = "backend-failed  building the wheel has failed with status 1: it is broken"
    assert f"1 of 3 builds failed:\n  bad-1.0.tar.gz  {cause}\n" in err


def test_batch__of_one_source_the_error_decides_the_exit_code(yard: Yard) -> None:
    code, _, err = yard.run(yard.sdist("bad", FAILING), "--resume")

    assert code == 4
    assert "builds failed" not in err


def test_batch__fail_fast_ends_all_builds_at_the_first_failure(yard: Yard) -> None:
    pids = yard.place / "pids"
    wait = f"import time\nwhile not __import__('os').path.exists({str(pids)!r}): time.sleep(0.01)\n"
    sdists = [yard.sdist("slow", ENDLESS.format(str(pids))), yard.sdist("bad", wait + FAILING)]
    never = yard.sdist("never")

    code, _, err = yard.run(*sdists, never, "--fail-fast", "-j", "2")

    assert code == 1
    assert "it is broken" in err
    assert "done: 1 failed, 1 cancelled, 1 not started in " in err
    assert yard.results() == set()
    assert not any(map(is_running, read_pids(pids)))


def test_batch__an_interrupt_ends_all_builds_and_leaves_deliveries(yard: Yard) -> None:
    pids = yard.place / "pids"
    sdists = [yard.sdist("quick"), yard.sdist("slow", ENDLESS.format(str(pids)))]
    sdists += [yard.sdist(f"slow{number}", ENDLESS.format(str(pids))) for number in range(3)]
    reports = [f"--{name}={yard.place / name}" for name in ("report", "junit", "events")]

    with yard.start(*sdists, "-j", "2", *reports) as process:
        wait_until(lambda: len(read_lines(pids)) == 2 and yard.results())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()

    assert process.returncode == 130
    assert err.startswith("note: 1 built, 2 cancelled, 2 not started in ")
    assert "results in `out` (1 file, " in err
    assert err.endswith("with `--resume` keeps what is built\ninterrupted\n")
    facts = json.loads((yard.place / "report").read_bytes())
    verdicts = [build["outcome"] for build in facts["builds"]]
    assert sorted(verdicts) == ["built", *["cancelled"] * 2, *["not-started"] * 2]
    assert (facts["totals"]["not-started"], facts["totals"]["cancelled"]) == (2, 2)
    junit = (yard.place / "junit").read_text(encoding="utf-8")
    assert 'tests="5" failures="0" errors="0" skipped="4"' in junit
    events = [json.loads(line) for line in (yard.place / "events").read_bytes().splitlines()]
    ended = [event["id"] for event in events if event["kind"] == "outcome"]
    assert sorted(ended) == sorted(build["id"] for build in facts["builds"])
    assert (events[-1]["kind"], events[-1]["totals"]) == ("summary", facts["totals"])
    assert yard.results() == {"quick"}
    assert not any(map(is_running, read_pids(pids)))
    assert [path.name for path in (yard.place / "cache" / "stage-v1").iterdir()] == [".git"]


@pytest.mark.parametrize(
    "words",
    [
        ["--no-binary", "one"],
        ["--with-deps", "--offline"],
        ["--with-deps", "--shard", "1/2"],
        ["--keep-going", "--fail-fast", "one", "two"],
        ["--jobs", "0"],
    ],
)
def test_batch__refuses_options_that_contradict_each_other(yard: Yard, words: list[str]) -> None:
    code, _, _ = yard.run("one", "-r", write_requirements(yard, "one"), *words)

    assert code == 2


# Projects that need each other


def test_order__a_project_that_others_require_is_built_first_and_used(yard: Yard) -> None:
    using = "import {0}; assert {0}.NAME == {0!r}"
    last = yard.project("last", using.format("middle"), requires=["middle"])
    middle = yard.project("middle", using.format("first"), requires=["first==1.0"])
    first = yard.project("first")

    code, _, err = yard.run(last, middle, first, "-w")

    assert (code, without_summary(err)) == (0, "")
    assert yard.results() == {"first", "middle", "last"}


def test_order__a_changed_project_is_used_as_it_is_now(yard: Yard) -> None:
    user = yard.project("user", "import tool; assert tool.NAME == 'tool'", requires=["tool"])
    tool = yard.project("tool")
    yard.run(tool, user, "-w")
    (tool / "src" / "tool.py").write_text("NAME = 'new'\n", encoding="utf-8")

    code, _, err = yard.run(tool, user, "-w")

    assert code == 1
    assert "AssertionError" in err


def test_order__dependents_of_a_failed_project_are_not_built(yard: Yard) -> None:
    log = yard.place / "log"
    user = yard.project("user", noting(log), requires=["tool"])
    tool = yard.project("tool", FAILING)

    code, _, err = yard.run(user, tool, yard.project("other"), "-w")

    assert code == 1
    assert "error[requirement-failed]: `user` is not built: it requires `tool`" in err
    assert (read_lines(log), yard.results()) == ([], {"other"})


def test_order__refuses_projects_that_require_each_other(yard: Yard) -> None:
    egg = yard.project("egg", requires=["hen"])
    hen = yard.project("hen", requires=["egg"])

    code, _, err = yard.run(egg, hen)

    assert code == 3
    assert err.startswith("error[build-cycle]: ")


# Results of the same name


def test_delivery__the_same_file_from_two_pythons_is_no_conflict(yard: Yard) -> None:
    code, _, err = yard.run(
        yard.sdist("one"),
        "-p",
        sys.executable,
        "-p",
        f"{sys.version_info[0]}.{sys.version_info[1]}",
    )

    assert (code, without_summary(err)) == (0, "")
    assert yard.results() == {"one"}


def test_delivery__a_different_file_of_the_same_name_is_noted(yard: Yard) -> None:
    code = "import pathlib, uuid; pathlib.Path('src', 'odd.py').write_text(f'# {uuid.uuid4()}')"
    other = f"{sys.version_info[0]}.{sys.version_info[1]}"

    done, _, err = yard.run(yard.sdist("one", code), "-p", sys.executable, "-p", other)

    assert done == 0
    assert "`one-1.0-py3-none-any.whl` replaces another one of this run" in err


def write_twin(yard: Yard, of: Path) -> Path:
    """Write a project that is called like another one, and has other contents."""
    twin = yard.project("two")
    for name in ("pyproject.toml", "backend.py"):
        (twin / name).write_bytes((of / name).read_bytes())
    (twin / "src" / "one.py").write_text("NAME = 'another'", encoding="utf-8")
    return twin


def test_delivery__different_files_of_one_name_from_two_sources_collide(yard: Yard) -> None:
    first = yard.project("one")
    second = write_twin(yard, first)

    code, out, err = yard.run(first, second, "-w", "-j", "1")

    (delivered,) = out.splitlines()
    assert code == 1
    assert f"error[result-collides]: `{second}` has made `one-1.0-py3-none-any.whl`, and" in err
    with zipfile.ZipFile(delivered) as wheel:
        assert wheel.read("one.py") == b"NAME = 'one'\n"


def test_delivery__a_kept_file_of_another_source_collides(yard: Yard) -> None:
    sdist = yard.sdist("one")
    yard.run(sdist)
    (other,) = yard.output.iterdir()
    before = other.read_bytes()
    twin = write_twin(yard, yard.place / "projects" / "one")

    code, _, err = yard.run(sdist, twin, "-w", "-j", "1", "--resume")

    assert code == 1
    assert "error[result-collides]: " in err
    assert other.read_bytes() == before


def test_delivery__that_fails_gives_its_name_back(yard: Yard) -> None:
    blocked = yard.output / "one-1.0-py3-none-any.whl"
    blocked.mkdir(parents=True)
    code = f"import os\nif os.getcwd().endswith('two'): os.rmdir({str(blocked)!r})"
    first = yard.project("one", code)
    second = write_twin(yard, first)

    done, out, err = yard.run(first, second, "-w", "-j", "1")

    assert (done, out) == (1, f"{blocked}\n")
    assert "done: 1 built, 1 failed in " in err


# Taken up again


def test_resume__skips_deliveries(yard: Yard) -> None:
    log = yard.place / "log"
    sdists = [yard.sdist("one", noting(log)), yard.sdist("two", noting(log))]
    yard.run(*sdists)
    named = yard.run("one==1.0", "two==1.0", "--resume")

    code, out, err = yard.run(*sdists, "--resume")

    assert sorted(read_lines(log)) == ["one", "two"]
    assert (code, len(out.splitlines())) == (0, 2)
    assert err.startswith("done: 2 kept in ")
    assert sorted(named[1].splitlines()) == sorted(out.splitlines())


@pytest.mark.parametrize("change", ["gone", "damaged", "settings", "source", "forgotten"])
def test_resume__builds_again_after_a_change(yard: Yard, change: str) -> None:
    log = yard.place / "log"
    sdists = [yard.sdist("one", noting(log)), yard.sdist("two", noting(log))]
    yard.run(*sdists, "--no-reuse")
    (result,) = yard.output.glob("one-*")
    words: list[str] = []
    if change == "gone":
        result.unlink()
    elif change == "damaged":
        result.write_bytes(result.read_bytes() + b"x")
    elif change == "settings":
        words = ["-C", "speed=high"]
    elif change == "source":
        yard.pack("one", "1.0", {"new": b"", **contents_of(yard.place / "projects" / "one")})
    else:
        for record in (yard.place / "cache" / "resolutions-v2").glob("delivered-*"):
            record.write_bytes(b"x" + record.read_bytes())

    code, _, _ = yard.run(*sdists, "--resume", "--no-reuse", *words)

    again = ["one", "two"] if change in {"settings", "forgotten"} else ["one"]
    assert code == 0
    assert sorted(read_lines(log)[2:]) == again


def test_resume__tells_deliveries_apart_by_constraints_of_pip(yard: Yard) -> None:
    log, limits = yard.place / "log", yard.place / "limits.txt"
    sdist = yard.sdist("one", noting(log))
    built: list[int] = []
    for content in ("", "other==1.0\n", "other==1.0\n"):
        limits.write_text(content, encoding="utf-8")
        code, _, _ = yard.run(sdist, "--resume", "--no-reuse", PIP_BUILD_CONSTRAINT=str(limits))
        built.append(len(read_lines(log)) if code == 0 else -1)

    assert built == [1, 2, 2]


def contents_of(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_resume__continues_a_killed_batch(yard: Yard) -> None:
    log, gate = yard.place / "log", yard.place / "gate"
    os.mkfifo(gate)
    hold = f"import os\nif os.path.exists({str(gate)!r}): open({str(gate)!r}).read()\n"
    quick = [yard.sdist(f"quick{number}", noting(log)) for number in range(3)]
    slow = [yard.sdist(f"slow{number}", hold + noting(log)) for number in range(3)]
    with yard.start(*quick, *slow, "-j", "2") as process:
        wait_until(lambda: len(yard.results()) == 3)
        process.kill()
    gate.unlink()
    delivered = yard.results()
    built = len(read_lines(log))

    code, _, _ = yard.run(*quick, *slow, "--resume")

    assert code == 0
    assert sorted(read_lines(log)[built:]) == ["slow0", "slow1", "slow2"]
    assert delivered == {"quick0", "quick1", "quick2"}
    assert len(yard.results()) == 6


# Whole sets


def write_universe(yard: Yard) -> None:
    """Offer a top that is an sdist, and needs a wheel, which needs what is only an sdist."""
    metadata = core_metadata("top", "1.0", "middle>=1")
    root = yard.project("top", metadata_code(metadata))
    yard.pack("top", "1.0", contents_of(root))
    offered = wheel("middle", "1.0", "bottom; python_version > '3'", "absent; extra == 'more'")
    (yard.place / "links" / offered.name).write_bytes(offered.content)
    yard.sdist("middle")
    yard.sdist("bottom")


def metadata_code(metadata: bytes) -> str:
    """Return code that has the backend say that."""
    return f"import backend; backend._metadata = lambda project: {metadata.decode()!r}"


def test_with_deps__a_set_can_be_installed_without_an_index(yard: Yard) -> None:
    write_universe(yard)

    code, _, err = yard.run("-r", write_requirements(yard, "top"), "--with-deps")

    assert (code, without_summary(err)) == (0, "")
    assert yard.results() == {"top", "middle", "bottom"}
    assert "middle-1.0-py3-none-any.whl" in {path.name for path in yard.output.iterdir()}
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index"),
            *("--find-links", str(yard.output), "--target", str(yard.place / "target"), "top"),
        ],
        check=True,
    )
    assert (yard.place / "target" / "bottom.py").is_file()


@pytest.mark.parametrize(
    ("words", "again", "said"),
    [
        ((), "reused", "2 reused, 1 fetched in "),
        (("--resume",), "resumed", "2 kept, 1 fetched in "),
        (("--no-reuse",), "built", "2 built, 1 fetched in "),
    ],
)
def test_with_deps__tells_built_fetched_and_reused_apart(
    yard: Yard, words: tuple[str, ...], again: str, said: str
) -> None:
    write_universe(yard)
    report = yard.place / "report.json"
    yard.run("top", "--with-deps", *words)

    code, _, err = yard.run("top", "--with-deps", "--report", report, *words)

    builds = json.loads(report.read_text(encoding="utf-8"))["builds"]
    found = {build["label"].partition("=")[0]: build["outcome"] for build in builds}
    assert (code, found) == (0, {"top": again, "bottom": again, "middle": "fetched"})
    assert said in err
    assert all(build["phases"] for build in builds if build["outcome"] in {"reused", "built"})


def test_with_deps__keeps_wheels_unless_they_are_to_be_built(yard: Yard) -> None:
    write_universe(yard)
    offered = (yard.place / "links" / "middle-1.0-py3-none-any.whl").read_bytes()
    result = yard.output / "middle-1.0-py3-none-any.whl"
    yard.run("middle", "--with-deps")
    kept = result.read_bytes()

    yard.run("middle", "--with-deps", "--no-binary", "Middle")

    assert kept == offered
    assert result.read_bytes() != offered


def test_with_deps__files_say_what_is_built_how_and_within_which_limits(yard: Yard) -> None:
    write_universe(yard)
    newer = wheel("middle", "2.0")
    (yard.place / "links" / newer.name).write_bytes(newer.content)
    (yard.place / "limits.txt").write_text("middle<2", encoding="utf-8")
    yard.sdist("leaf", "assert settings == {'a': 'b'}")
    lines = ["top", "leaf --config-settings a=b", "-c limits.txt", "--no-binary middle"]

    code, _, err = yard.run("-r", write_requirements(yard, *lines), "--with-deps")

    assert (code, without_summary(err)) == (0, "")
    assert {path.name.rpartition("-py3")[0] for path in yard.output.iterdir()} == {
        *("top-1.0", "middle-1.0", "leaf-1.0")
    }
    code, _, err = yard.run(
        "-r", write_requirements(yard, *lines, "--only-binary leaf"), "--with-deps"
    )
    assert code == 3
    assert "leaf" in err


def test_with_deps__an_impossible_set_is_one_failure_among_builds(yard: Yard) -> None:
    yard.sdist("one")

    code, _, err = yard.run("one==2.0", yard.project("other"), "--with-deps")

    assert code == 1
    assert "error[requirements-conflict]: " in err
    assert yard.results() == {"other"}


def test_with_deps__a_wheel_of_a_set_is_not_built_again(yard: Yard) -> None:
    log = yard.place / "log"
    yard.sdist("one", noting(log))
    yard.run("one", "--with-deps")

    code, _, _ = yard.run("one", "--with-deps", "--resume")

    assert (code, read_lines(log)) == (0, ["one"])
    assert yard.results() == {"one"}


def test_warning_of_many_builds__is_shown_once_and_counted(yard: Yard) -> None:
    warn = "__import__('warnings').warn('old\\nand more')"
    sdists = [yard.sdist(name, warn) for name in ("one", "two", "three")]

    code, _, told = yard.run(*sdists)

    assert code == 0
    assert "and more" not in told
    assert re.findall(r"^warning: (.*)$", told, re.MULTILINE)[1:] == [
        "2 more builds have the warning: old ..."
    ]


def test_warnings_of_many_builds__are_folded_and_whole_in_the_log(yard: Yard) -> None:
    code = "[__import__('warnings').warn(f'{}{number}\\nand more') for number in range(300)]"
    sdists = [yard.sdist(name, code.replace("{}", name)) for name in ("one", "two")]

    _, _, told = yard.run(*sdists, "-j", "2")

    for name in ("one", "two"):
        file = f"{name}-1.0.tar.gz"
        *first, last = re.findall(rf"^warning: {file}: (.*)$", told, re.MULTILINE)
        assert first == [f"{name}{number} ..." for number in range(3)]
        found = re.fullmatch(r"297 more warnings; all are in `(.*)`", last)
        assert found
        log = Path(found[1]).read_text(encoding="utf-8")
        assert log.count(f"warning: {name}") == 300
        assert f"warning: {name}299\nand more\n" in log


def test_warnings_of_one_build__are_whole_and_the_fourth_is_counted(yard: Yard) -> None:
    code = "[__import__('warnings').warn(f'old {number}\\nand more') for number in range(9)]"
    sdist = yard.sdist("one", code)

    _, _, told = yard.run(sdist)
    _, _, all_told = yard.run(sdist, "-v", "--no-reuse")

    name = "warning: one-1.0.tar.gz: "
    shown = "".join(f"{name}old {number}\nand more\n" for number in range(3))
    assert told.startswith(f"{shown}{name}6 more warnings; all are in `{yard.place}")
    assert all_told.count(name) == 9


def test_warnings_of_many_builds__that_are_the_same_are_counted_together(yard: Yard) -> None:
    code = "[__import__('warnings').warn(f'old {number}') for number in range(9)]"

    _, _, told = yard.run(*[yard.sdist(name, code) for name in ("one", "two", "three")], "-j", "1")

    warnings = re.findall(r"^warning: (.*)$", told, re.MULTILINE)
    assert warnings[-4:] == [
        *[f"2 more builds have the warning: old {number}" for number in range(3)],
        "3 more of these warnings came from several builds",
    ]
    assert len(warnings) < 20


def test_warning_of_many_builds__is_shown_for_each_with_verbose(yard: Yard) -> None:
    sdists = [yard.sdist(name, "__import__('warnings').warn('old')") for name in ("one", "two")]

    _, _, told = yard.run(*sdists, "-v")

    warnings = re.findall(r"^warning: (.*)$", told, re.MULTILINE)
    assert sorted(warnings) == ["one-1.0.tar.gz: old", "two-1.0.tar.gz: old"]


def test_summary__tells_counts_causes_and_where_results_are(yard: Yard) -> None:
    good, bad = yard.sdist("good"), yard.sdist("bad", FAILING)

    code, _, told = yard.run(good, bad, "--keep-going")

    assert code == 1
    (cause,) = re.findall(r"^  bad-1\.0\.tar\.gz  (.*)$", told, re.MULTILINE)
    assert cause.startswith("backend-failed  building the wheel has failed")
    assert "done: 1 built, 1 failed in " in told
    assert re.search(r"^  slowest: (good|bad)-1\.0\.tar\.gz \d+\.\d s$", told, re.MULTILINE)
    assert re.search(r"^  environments: \d from the cache, \d made$", told, re.MULTILINE)
    assert re.search(r"^  results in `.*out` \(1 file, \d.*B\)$", told, re.MULTILINE)


def test_summary__of_a_job_of_github_is_a_table_in_markdown(yard: Yard) -> None:
    page = yard.place / "summary.md"
    page.write_text("# before\n", encoding="utf-8")
    bad = yard.sdist("bad", "raise SystemExit('a | `pipe` <b>')")

    yard.run(yard.sdist("good"), bad, GITHUB_STEP_SUMMARY=str(page))

    heading, *lines = page.read_text(encoding="utf-8").splitlines()
    assert heading == "# before"
    assert lines[0] == "### wheelforge: 1 built, 1 failed"
    row = next(line for line in lines if line.startswith("| bad"))
    assert r"a \| \`pipe\` &lt;b&gt; |" in row
