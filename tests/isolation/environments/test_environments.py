"""An environment is a Python with exact wheels: programs, modules and data where they belong."""

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import build
import pytest

from tests.support import corpus
from tests.support.processes import needs
from tests.support.source import ROOT
from tests.support.stock import PYENV, Reporter, Stock, chance_of, this_python
from tests.support.wheels import read_tree
from wheelforge_isolation import (
    Cache,
    Environment,
    Interpreter,
    Layout,
    WheelKey,
    adopt_environment,
    open_cache,
)
from wheelforge_isolation.errors import WheelInvalidError
from wheelforge_isolation.files.capabilities import FilesystemCapabilities
from wheelforge_isolation.files.fs import remove_tree

MINIMAL = ROOT / "fixtures" / "projects" / "minimal"
PROGRAMS = {
    "demo.py": b"import sys\ndef main(): print(sys.prefix, *sys.argv[1:])\n",
    "INFO/entry_points.txt": (
        b"[console_scripts]\ndemo = demo:main\n[gui_scripts]\nshow = demo:main\n"
    ),
}


@pytest.fixture
def stock(fast_path: Path) -> Stock:
    return Stock(path=fast_path / "stock")


@pytest.fixture
def python(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    return this_python(tmp_path_factory.getbasetemp() / "interpreters")


@pytest.fixture
def layout(fast_path: Path) -> Layout:
    return Layout(root=fast_path / "cache")


@pytest.fixture
def cache(layout: Layout) -> Iterator[Cache]:
    with open_cache(layout, Reporter()) as cache:
        yield cache


class Maker:
    """Makes environments of one Python from the wheels in stock."""

    def __init__(self, cache: Cache, python: Interpreter, stock: Stock) -> None:
        self._obtain = partial(cache.environments.get_or_create, python, fetch=stock.fetch)

    def __call__(self, *keys: WheelKey, private: Path | None = None) -> Environment:
        return self._obtain(keys, private=private)


@pytest.fixture
def make(cache: Cache, python: Interpreter, stock: Stock) -> Maker:
    return Maker(cache, python, stock)


def run(environment: Environment, *command: str, **variables: str) -> str:
    """Run a program as a hook would be, with ``variables`` on top; return what it says."""
    environ = environment.make_extra_environ() | variables
    program = Path(environment.scripts_directory, command[0])
    done = subprocess.run(
        [program, *command[1:]], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ask(environment: Environment, code: str, *options: str, **variables: str) -> str:
    return run(environment, "python", *options, "-c", code, **variables)


def site(environment: Environment) -> Path:
    return environment.path / environment.interpreter.scheme.purelib


def state(top: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in top.rglob("*")}


# An environment as a program sees it.


@needs(posix="scripts with a first line")
@pytest.mark.parametrize(
    "place",
    ["plain", "with blanks", "it's", "so-long-a-path" * 9],
    ids=["plain", "blanks", "quote", "long"],
)
def test_environment__programs_run_wherever_it_is(
    fast_path: Path, python: Interpreter, stock: Stock, place: str
) -> None:
    keys = [
        stock.add(
            "demo", files={**PROGRAMS, "DATA/scripts/old": b"#!python\nimport demo\ndemo.main()\n"}
        )
    ]

    with open_cache(Layout(root=fast_path / place), Reporter()) as cache:
        made = cache.environments.get_or_create(python, keys, stock.fetch)
        said = {name: run(made, name, "a", "b c") for name in ("demo", "show")}
        old = run(made, "old")

    assert said == dict.fromkeys(said, f"{made.path} a b c")
    assert old == str(made.path)


def test_environment__data_files_go_where_their_scheme_says(make: Maker, stock: Stock) -> None:
    key = stock.add(
        files={
            "demo.py": b"",
            "DATA/purelib/pure.py": b"pure = 1\n",
            "DATA/platlib/plat.py": b"plat = 1\n",
            "DATA/headers/demo.h": b"// demo\n",
            "DATA/data/share/doc/demo.txt": b"doc\n",
            "DATA/scripts/asks": b"#!python\nprint('asks')\n",
            "DATA/scripts/shell": b"#!/bin/sh\necho shell\n",
        }
    )

    made = make(key)

    headers = made.path / made.interpreter.scheme.headers / "demo" / "demo.h"
    assert ask(made, "import demo, pure, plat; print(pure.pure, plat.plat)") == "1 1"
    assert headers.read_bytes() == b"// demo\n"
    assert (made.path / "share" / "doc" / "demo.txt").read_bytes() == b"doc\n"
    if os.name == "posix":
        assert (run(made, "asks"), run(made, "shell")) == ("asks", "shell")


def test_environment__path_files_are_honoured(make: Maker, stock: Stock, fast_path: Path) -> None:
    (fast_path / "source").mkdir()
    (fast_path / "source" / "editable.py").write_text("found = 'in its source'\n", encoding="utf-8")
    finder = b"import sys\ndef install(): sys.hooked = 'yes'\n"
    key = stock.add(
        files={
            "demo.py": b"",
            "_hook.py": finder,
            "demo-hook.pth": b"import _hook; _hook.install()\n",
            "demo-path.pth": os.fsencode(fast_path / "source") + b"\n",
        }
    )

    made = make(key)

    assert ask(made, "import sys, editable; print(sys.hooked, editable.found)") == (
        "yes in its source"
    )


def test_environment__runs_nothing_of_a_wheel_while_it_is_made(
    make: Maker, stock: Stock, fast_path: Path
) -> None:
    mark = fast_path / "mark"
    code = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n".encode()

    made = make(stock.add(files={"demo.py": code, "demo.pth": code, "sitecustomize.py": code}))

    assert not mark.exists()
    ask(made, "")
    assert mark.exists()


def test_environment__bytecode_is_used_and_running_changes_nothing(
    make: Maker, stock: Stock
) -> None:
    made = make(
        stock.add(files={"demo.py": b"def main(): pass\n", "old.py": b"print 'Python 2'\n"})
    )
    before = state(made.path)

    told = ask(made, "import demo; print(demo.__cached__)", "-v")
    for option in ("-O", "-OO", "-B", "-I"):
        ask(made, "import demo", option)

    assert Path(told.splitlines()[-1]).is_file()
    assert state(made.path) == before
    assert not any(path.name.startswith("old.") for path in site(made).rglob("*.pyc"))


def test_environment__sees_its_wheels_and_the_standard_library_only(
    make: Maker, stock: Stock, fast_path: Path
) -> None:
    made = make(stock.add())
    (fast_path / "stray.py").touch()
    code = "import sys; print(*sys.path, sep='\\n')"

    paths = ask(made, code, "-I", PYTHONPATH=str(fast_path), HOME=str(fast_path)).splitlines()

    foreign = [path for path in paths if "site-packages" in path or "dist-packages" in path]
    assert foreign == [str(site(made))]
    assert str(fast_path) not in paths
    assert ask(made, "import sys; print(sys.prefix)") == str(made.path)


def test_environment__variables_put_its_programs_first(
    cache: Cache, python: Interpreter, stock: Stock
) -> None:
    made = cache.environments.get_or_create(
        python, [stock.add()], stock.fetch, search_path="/usr/bin"
    )

    environ = made.make_extra_environ()

    assert environ["PATH"] == os.pathsep.join([made.scripts_directory, "/usr/bin"])
    assert environ["VIRTUAL_ENV"] == str(made.path)
    assert Path(made.python_executable).parent == Path(made.scripts_directory)


def test_environment__distributions_are_found_by_their_metadata(make: Maker, stock: Stock) -> None:
    made = make(stock.add("demo", "1.5"), stock.add("other", "2.5"))
    code = "from importlib.metadata import version; print(version('demo'), version('other'))"

    assert ask(made, code) == "1.5 2.5"


def test_environment__is_an_isolated_environment_to_pypa_build(
    make: Maker, stock: Stock, tmp_path: Path
) -> None:
    builder = build.ProjectBuilder.from_isolated_env(make(stock.add()), MINIMAL)

    wheel = Path(builder.build("wheel", tmp_path))

    assert wheel.suffix == ".whl"
    assert wheel.is_file()


@pytest.mark.parametrize("version", ["3.9.18", "3.12.1", "3.13.0"])
def test_environment__is_made_for_other_pythons(cache: Cache, stock: Stock, version: str) -> None:
    executable = PYENV / version / "bin" / "python"
    if not executable.exists():
        pytest.skip(f"needs Python {version} in pyenv")
    python = this_python(cache.layout.interpreters, str(executable))

    made = cache.environments.get_or_create(python, [stock.add(files=PROGRAMS)], stock.fetch)

    assert ask(made, "import platform; print(platform.python_version())") == version
    assert run(made, "demo") == str(made.path)
    assert list(site(made).glob("__pycache__/demo.*.pyc"))


# Shared, private and adopted environments.


def test_environment__of_the_same_wheels_in_any_order_is_one(
    make: Maker, stock: Stock, layout: Layout
) -> None:
    keys = [stock.add("demo"), stock.add("other")]

    found = [make(*keys), make(*reversed(keys)), make(*keys, *keys)]

    assert len({made.path for made in found}) == len(layout.environments.list_trees()) == 1


def test_environment__of_other_wheels_is_another(make: Maker, stock: Stock) -> None:
    first, second = stock.add("demo", "1.0"), stock.add("demo", "2.0")

    made = [make(first), make(second)]

    assert [ask(one, "import demo; print(demo.version)") for one in made] == ["1.0", "2.0"]


def test_private_environment__may_be_changed(
    make: Maker, stock: Stock, fast_path: Path, cache: Cache
) -> None:
    key = stock.add(files={"demo.py": b"version = 1\n"})
    shared = make(key)
    mine = make(key, private=fast_path / "mine")
    with (site(mine) / "demo.py").open("r+b") as file:
        file.write(b"version = 2\n")

    assert ask(mine, "import demo; print(demo.version)") == "2"
    assert ask(shared, "import demo; print(demo.version)") == "1"
    stored = cache.wheels.find(key)
    assert stored is not None
    assert read_tree(stored.item.path)["demo.py"] == b"version = 1\n"
    mine.give_back()


def test_adopted_environment__stays_as_it_is(
    make: Maker, stock: Stock, python: Interpreter
) -> None:
    made = make(stock.add())
    before = state(made.path)

    adopted = adopt_environment(made.path, python, search_path="/usr/bin")
    adopted.give_back()

    assert ask(adopted, "import demo; print(demo.version)") == "1.0"
    assert state(made.path) == before


def test_environment__changed_by_one_build_is_not_used_by_the_next(
    make: Maker, stock: Stock
) -> None:
    key = stock.add(files={"demo.py": b"version = 1\n"})
    made = make(key)
    with (site(made) / "demo.py").open("r+b") as file:
        file.write(b"version = 2\n")
    made.give_back()

    again = make(key)

    assert again.path != made.path
    assert (site(again) / "demo.py").read_bytes() == b"version = 1\n"


def test_environment__failure_leaves_nothing(make: Maker, stock: Stock, layout: Layout) -> None:
    key = stock.add(files={"demo.py": b"", "DATA/data/pyvenv.cfg": b"home = /elsewhere\n"})

    with pytest.raises(WheelInvalidError, match=r"pyvenv\.cfg"):
        make(key)

    assert layout.environments.list_trees() == layout.environments.list_records() == []


# Files that two wheels bring.


def overlapping(stock: Stock) -> list[WheelKey]:
    programs = b"[console_scripts]\nrun = one:main\n"
    return [
        stock.add("a", files={"one.py": b"a\n", "same/__init__.py": b"", "thing": b"file"}),
        stock.add("b", files={"one.py": b"b\n", "same/__init__.py": b"", "thing/x": b""}),
        stock.add("c", files={"two.py": b"c\n", "INFO/entry_points.txt": programs}),
        stock.add("d", files={"two.py": b"d\n", "DATA/scripts/run": b"#!python\n"}),
    ]


NOTES = (
    "`SITE/one.py` is in a-1.0-py3-none-any.whl and b-1.0-py3-none-any.whl; the latter wins",
    "`SITE/two.py` is in c-1.0-py3-none-any.whl and d-1.0-py3-none-any.whl; the latter wins",
    "`BIN/run` is in c-1.0-py3-none-any.whl and d-1.0-py3-none-any.whl; the latter wins",
    (
        "`SITE/thing` is a file in a-1.0-py3-none-any.whl and a directory in "
        "b-1.0-py3-none-any.whl; the latter wins"
    ),
)


def test_environment__conflict_is_won_by_the_last_name_with_a_note(
    make: Maker, stock: Stock
) -> None:
    made = make(*overlapping(stock))

    scheme = made.interpreter.scheme
    notes = [note.replace("SITE", scheme.purelib).replace("BIN", scheme.scripts) for note in NOTES]
    assert sorted(made.notes) == sorted(notes)
    assert (site(made) / "one.py").read_bytes() == b"b\n"
    assert (site(made) / "two.py").read_bytes() == b"d\n"
    assert (site(made) / "thing" / "x").is_file()


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.stress)])
def test_environment__order_of_wheels_does_not_matter(
    make: Maker, stock: Stock, fast_path: Path, count: int
) -> None:
    keys = overlapping(stock)
    chance = chance_of(520)
    results: list[tuple[object, ...]] = []

    for _ in range(count):
        chance.shuffle(keys)
        place = fast_path / "private"
        place.mkdir()
        made = make(*keys, private=place)
        results.append((read_tree(place), made.notes))
        remove_tree(str(place))

    assert results == results[:1] * count


def test_environment__spellings_are_one_place_where_case_folds(
    make: Maker, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesystemCapabilities, "folds_names", True)
    keys = [stock.add("a", files={"Demo.py": b"a\n"}), stock.add("b", files={"demo.py": b"b\n"})]

    made = make(*keys)

    assert [path.read_bytes() for path in site(made).glob("*.py")] == [b"b\n"]
    assert "a-1.0-py3-none-any.whl and b-1.0-py3-none-any.whl" in made.notes[0]


# An environment and its wheels.


def test_environment__gives_wheels_back_once_it_is_made(
    make: Maker, stock: Stock, layout: Layout
) -> None:
    made = make(stock.add(), stock.add("other"))

    (lease,) = layout.leases.glob("*.pins")
    lines = lease.read_text(encoding="utf-8").split()
    held = {line[1:] for line in lines if line.startswith("+") and f"-{line[1:]}" not in lines}
    assert {name.partition("/")[0] for name in held} == {"environments-v2", "files-v1"}
    made.give_back()


def test_environment__files_of_one_name_may_be_in_two(make: Maker, stock: Stock) -> None:
    first = make(stock.add(files={"demo.py": b"one = 1\n"}))
    second = make(stock.add(files={"demo.py": b"two = 2\n"}))

    assert ask(first, "import demo; print(demo.one)") == "1"
    assert ask(second, "import demo; print(demo.two)") == "2"


# Real wheels.


@pytest.fixture
def real(
    cache: Cache, python: Interpreter, real_wheels: dict[str, WheelKey]
) -> Callable[..., Environment]:
    shelf = Stock(path=corpus.DOWNLOADS)

    def make_real(*names: str) -> Environment:
        keys = [real_wheels[name] for name in names]
        return cache.environments.get_or_create(python, keys, shelf.read)

    return make_real


def test_environment__setuptools_puts_its_own_distutils_first(
    real: Callable[..., Environment],
) -> None:
    made = real("setuptools", "wheel")

    assert made.notes == ()
    assert "setuptools" in ask(made, "import distutils.core; print(distutils.core.__file__)")
    assert run(made, "wheel", "version").startswith("wheel ")
    assert ask(made, "import setuptools, sys; print(sys.modules['setuptools'].__cached__)")


def test_environment__hatchling_builds_a_real_project(
    real: Callable[..., Environment], tmp_path: Path
) -> None:
    made = real("hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers")
    before = state(made.path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "demo"\nversion = "1.0"\n',
        encoding="utf-8",
    )

    builder = build.ProjectBuilder.from_isolated_env(made, tmp_path)

    assert Path(builder.build("wheel", tmp_path / "out")).name.startswith("demo-1.0-")
    assert state(made.path) == before
