"""``wheelforge cache``, as its users see it: text and exit codes, and what is left on disk."""

import datetime as dt
import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.builds import Ground, write_sdist
from tests.support.caches import fill_cache, ignore, refuse_with, users, versions, write_wheels
from wheelforge.cli import main
from wheelforge_isolation import Layout, list_entries, open_cache
from wheelforge_isolation.files.locks import try_lock

COUNT = 4


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    return write_wheels(tmp_path / "wheels", COUNT)


@pytest.fixture
def layout(tmp_path: Path, wheels: list[Path]) -> Layout:
    """A cache with wheels that were used one to four days ago."""
    layout = Layout(root=tmp_path / "cache")
    fill_cache(layout, wheels)
    return layout


@pytest.fixture
def run(layout: Layout, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command; return its exit code and what it printed."""

    def run_command(*words: str) -> tuple[int, str]:
        code = main(["cache", *words, "--cache-dir", str(layout.root)])
        return code, capsys.readouterr().out

    return run_command


def test_cache_dir__prints_the_directory(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    assert run("dir") == (0, f"{layout.root}\n")


def test_cache_dir__is_the_platform_s_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "usual"))

    assert (main(["cache", "dir"]), capsys.readouterr().out) == (0, f"{tmp_path / 'usual'}\n")


def test_cache_size__prints_the_size_on_disk(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    files = [path for path in layout.root.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)

    code, output = run("size")

    assert (code, output.split(" (")[1]) == (0, f"{size:,} bytes)\n")
    facts = {"path": str(layout.root), "bytes": size}
    assert json.loads(run("size", "--json")[1]) == facts


def test_cache_list__prints_a_line_for_each_entry_latest_first(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    code, output = run("list")

    rows = [line.split("\t") for line in output.splitlines()]
    latest = max(entry.last_used for entry in list_entries(layout))
    assert code == 0
    assert [row[1] for row in rows if row[0] == "wheel"] == [
        f"demo {number}" for number in reversed(range(COUNT))
    ]
    assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)
    assert rows[0][4] == dt.datetime.fromtimestamp(latest, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {row[2] for row in rows} == {f"demo-{n}-py3-none-any.whl" for n in range(COUNT)}


def test_cache_list__prints_json(layout: Layout, run: Callable[..., tuple[int, str]]) -> None:
    code, output = run("list", "--json")

    found = json.loads(output)
    assert code == 0
    assert len(found) == 2 * COUNT
    assert {tuple(entry) for entry in found} == {
        ("kind", "name", "version", "file", "wheels", "size", "last_used")
    }
    sizes = {entry.size_bytes for entry in list_entries(layout)}
    assert {entry["size"] for entry in found} == sizes


def test_cache_list__names_the_wheels_of_an_environment(
    tmp_path: Path, ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    main(ground.words(write_sdist(tmp_path), "-o", tmp_path / "out"))
    capsys.readouterr()

    main(["cache", "list", "--json", "--cache-dir", str(ground.cache)])

    found = json.loads(capsys.readouterr().out)
    made = [each for each in found if each["kind"] == "environment"]
    assert {each["file"] for each in made} == {""}
    assert "willing" in {name.partition("-")[0] for each in made for name in each["wheels"]}


def test_cache_list__names_the_release_of_a_file(
    tmp_path: Path, ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    main(ground.words(write_sdist(tmp_path), "-o", tmp_path / "out"))
    capsys.readouterr()

    main(["cache", "list", "--cache-dir", str(ground.cache)])

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    releases = {row[2]: row[1] for row in rows if row[0] == "file"}
    names = [name for name in releases if name.startswith("willing-")]
    assert names  # other tests may have put further ones there
    assert all(releases[name] == " ".join(name.split("-")[:2]) for name in names)


def test_cache_list__in_a_terminal_is_a_table(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    lines = run("list")[1].splitlines()

    assert lines[0].split() == ["Kind", "Release", "File", "Size", "Last", "used"]
    assert len(lines) == 2 * COUNT + 1
    assert "\t" not in "".join(lines)


def test_cache_list__in_a_narrow_terminal_has_a_line_for_each_fact(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    lines = run("list")[1].splitlines()

    assert len(lines) == 5 * 2 * COUNT
    assert [line.partition(":")[0] for line in lines[1:5]] == [
        *("  release", "  file", "  size", "  last used")
    ]


def test_cache_verify__says_how_much_was_checked(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "verify", "--cache-dir", str(layout.root)]) == 0
    assert capsys.readouterr() == ("", f"{2 * COUNT} entries checked, 0 problems\n")


@pytest.mark.parametrize("command", ["size", "list", "verify", "gc", "clear"])
def test_cache__a_directory_of_other_things_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "letter").touch()

    assert main(["cache", command, "--cache-dir", str(tmp_path)]) == 2
    assert "is not a cache of wheelforge" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_cache_verify__prints_problems_and_exits_with_1_until_repaired(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    (layout.wheels.list_trees()[0] / "demo.py").write_bytes(b"changed")

    results = [run("verify"), run("verify", "--repair"), run("verify")]

    assert [code for code, _ in results] == [1, 0, 0]
    for _, output in results[:2]:
        assert output.startswith(str(layout.wheels.root))
        assert "demo.py was changed" in output
    assert results[1][1].endswith("; unpacked again\n")
    assert results[2] == (0, "")


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ([], ["0", "1", "2", "3"]),
        (["--max-age", "30d"], ["0", "1", "2", "3"]),
        (["--max-age", "60h"], ["2", "3"]),
        (["--max-age", "0.2w"], ["3"]),
        (["--max-age", "1"], []),
        (["--max-size", "5GB"], ["0", "1", "2", "3"]),
        (["--max-size", "0"], []),
        (["--max-size=5gib", "--max-age=3.5d"], ["1", "2", "3"]),
    ],
)
def test_cache_gc__brings_the_cache_back_to_its_bounds(
    layout: Layout, run: Callable[..., tuple[int, str]], words: list[str], left: list[str]
) -> None:
    code, output = run("gc", *words)

    assert code == 0
    assert output.startswith(f"removed {2 * (COUNT - len(left))} entries and leftovers, freed ")
    assert versions(layout) == left


def test_cache_gc__removes_what_was_unused_for_longest_down_to_a_size(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    run("gc", "--max-size", "8kB")

    sizes = [entry.size_bytes for entry in list_entries(layout)]
    assert sum(sizes) <= 8000 < sum(sizes) + max(sizes)
    assert versions(layout)[-1] == "3"


@pytest.mark.parametrize("size", ["5 apples", "", "-1", "GB", "1e3", "5PB", "nan", "inf"])
@pytest.mark.parametrize("option", ["--max-size", "--max-age"])
def test_cache_gc__refuses_a_wrong_bound_and_removes_nothing(
    layout: Layout, capsys: pytest.CaptureFixture[str], option: str, size: str
) -> None:
    assert main(["cache", "gc", f"{option}={size}", "--cache-dir", str(layout.root)]) == 2
    assert option in capsys.readouterr().err
    assert len(versions(layout)) == COUNT


def test_cache_clear__removes_everything_and_says_how_much(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    code, output = run("clear")

    assert code == 0
    assert output.startswith(f"removed {2 * COUNT} entries and leftovers, freed ")
    assert (versions(layout), layout.wheels.list_trees()) == ([], [])


def test_cache_clear__leaves_entries_in_use_and_says_so(
    layout: Layout, wheels: list[Path], run: Callable[..., tuple[int, str]]
) -> None:
    with users(layout, wheels[0], "use") as (user,):
        code, output = run("clear")

        assert (code, output.split("; ")[1]) == (0, "1 in use\n")
        assert layout.wheels.list_trees() == [user.path]
        user.leave()


def test_cache_gc__leaves_the_work_to_another_collector_and_says_so(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    lock = try_lock(layout.lock("gc"))
    assert lock is not None

    code, output = run("clear")

    assert (code, output) == (0, "")
    assert len(versions(layout)) == COUNT
    lock.release()


def test_cache_gc__without_locks_is_exit_code_5_with_the_reason(
    layout: Layout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_with(errno.ENOLCK, monkeypatch, "filelock.lock_descriptor")

    assert main(["cache", "gc", "--max-size=0", "--cache-dir", str(layout.root)]) == 5
    assert capsys.readouterr().err.startswith("error[locks-unavailable]: ")
    assert len(versions(layout)) == COUNT


@pytest.mark.parametrize("command", ["dir", "size", "list", "verify", "gc", "clear"])
def test_cache__an_absent_cache_is_empty(tmp_path: Path, command: str) -> None:
    place = tmp_path / "none"
    words = [sys.executable, "-m", "wheelforge", "cache", command, "--cache-dir", str(place)]

    done = subprocess.run(words, capture_output=True, text=True, check=False)

    said = "0 entries checked, 0 problems\n" if command == "verify" else ""
    assert (done.returncode, done.stderr) == (0, said)
    assert not place.exists()


@pytest.mark.parametrize("words", [[], ["nonsense"], ["gc", "--max-size"], ["list", "--repair"]])
def test_cache__wrong_arguments_are_exit_code_2(words: list[str]) -> None:
    assert main(["cache", *words]) == 2


def test_cache__looking_at_it_does_not_count_as_use(
    layout: Layout, run: Callable[..., tuple[int, str]]
) -> None:
    before = {entry.path: entry.last_used for entry in list_entries(layout)}

    for command in ("list", "size", "verify"):
        run(command)

    assert {entry.path: entry.last_used for entry in list_entries(layout)} == before
    with open_cache(layout, ignore) as cache:
        assert list(cache.verify()) == []


@pytest.mark.parametrize("command", ["import", "trust"])
def test_cache__a_file_that_is_not_there_is_a_mistake_of_the_caller(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", command, str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.startswith("error[file-missing]: ")


def test_export__to_a_directory_is_refused(
    tmp_path: Path, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "export", str(tmp_path), "--cache-dir", str(layout.root)]) == 2
    assert f"`FILE` cannot be used: `{tmp_path}` is a directory" in capsys.readouterr().err
