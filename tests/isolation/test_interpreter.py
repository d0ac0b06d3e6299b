"""Interpreters: found as asked for, described as they describe themselves, and asked once."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.corpus import WHEELS
from tests.processes import needs
from wheelforge_isolation._interpreter import Interpreter, _probe, find_interpreter
from wheelforge_isolation._interpreter._tags import list_tags, make_markers
from wheelforge_isolation.errors import (
    ForgeError,
    InterpreterNotFoundError,
    InterpreterTooOldError,
    InterpreterUnusableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge_isolation import WheelKey

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.14t", "pypy3"]
PLACES = [*map(Path, os.environ["PATH"].split(os.pathsep)), PYENV]
DEBIAN = ["/usr/bin/python3", "/usr/bin/pypy3"]
BASH = shutil.which("bash")
IN_BIN = "Scripts" if os.name == "nt" else "bin"

needs_scripts = needs(posix="scripts that are programs")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash, to disguise a program as another")

_SUPPORT = """
import sys
sys.path.insert(0, {packaging!r})  # before one of its own, which may be older
import json, packaging.markers, packaging.tags
tags = [str(tag) for tag in packaging.tags.sys_tags()]
print(json.dumps([tags, packaging.markers.default_environment()]))
"""
_SCHEME = """
import json, sysconfig
print(json.dumps(sysconfig.get_paths()))
"""
_RECALL = """
import sys
before = set(sys.modules)
from pathlib import Path
from wheelforge_isolation._interpreter import find_interpreter

find_interpreter(None, search=[], memory=Path(sys.argv[1]))
print(sorted({"packaging", "subprocess", "threading"} & (sys.modules.keys() - before)))
"""


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def real(version: str, memory: Path) -> Interpreter:
    """Return a Python of that version, if this machine has one."""
    try:
        return find_interpreter(version, search=PLACES, memory=memory)
    except InterpreterNotFoundError:
        pytest.skip(f"there is no Python {version} here")


def from_pyenv(name: str) -> Path:
    path = PYENV / "versions" / name / "bin" / "python"
    if not path.exists():
        pytest.skip(f"pyenv has no Python {name} here")
    return path


def answer(python: Path, code: str) -> str:
    command = [str(python), "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def support(real_wheels: dict[str, WheelKey]) -> str:
    """Return a program that prints tags and markers, by a `packaging` that runs everywhere."""
    listed = next(each for each in WHEELS if each.file == real_wheels["packaging"].file_name)
    return _SUPPORT.format(packaging=str(listed.path))


def make_environment(python: Path, root: Path, *options: str) -> Path:
    """Make a virtual environment, and return its Python."""
    command = [str(python), "-m", "venv", "--without-pip", *options, str(root)]
    subprocess.run(command, check=True)
    return root / IN_BIN / f"python{'.exe' if os.name == 'nt' else ''}"


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{BASH or '/bin/sh'}\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def write_disguise(path: Path, *, edit: str = "", log: Path | None = None) -> Path:
    """Write a program that is the running Python to itself, and logs its calls; it may lie, too."""
    python = shlex.quote(str(Path(sys.executable).resolve()))
    logging = f"echo asked >> {shlex.quote(str(log))}\n" if log else ""
    command = f'(exec -a "$0" {python} "$@")' + (f" | sed {shlex.quote(edit)}" if edit else "")
    return write_program(path, logging + command)


def count(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines())


def find(path: Path, memory: Path) -> Interpreter:
    return find_interpreter(str(path), search=[], memory=memory)


# What it says.


def test_the_running_python_is_described_as_it_describes_itself(memory: Path) -> None:
    found = find_interpreter(None, search=[], memory=memory)

    assert found.executable == Path(sys.executable)
    assert (found.prefix, found.base_prefix) == (Path(sys.prefix), Path(sys.base_prefix))
    assert found.implementation == sys.implementation.name
    assert found.version_info == sys.version_info[:2]
    assert found.soabi in found.extension_suffix
    assert found.extension_suffix == sysconfig.get_config_var("EXT_SUFFIX")
    assert found.abiflags == getattr(sys, "abiflags", "")
    assert found.is_debug == hasattr(sys, "gettotalrefcount")
    assert found.is_free_threaded == bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert found.platform == sysconfig.get_platform()
    assert found.version == found.markers["python_full_version"]


def test_the_probe_reports_the_same_facts_in_this_process(
    memory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find_interpreter(None, search=[], memory=memory)
    for name in ("prefix", "exec_prefix"):
        monkeypatch.setattr(sys, name, sys.base_prefix)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["-c", "script", "mark:"])

    _probe.main()

    facts = json.loads(capsys.readouterr().out.partition("mark:")[2])
    assert Path(facts["prefix"]) == found.prefix
    assert Path(facts["base_executable"]) == found.base_executable
    assert facts["scheme"] == dataclasses.asdict(found.scheme)
    assert (tuple(list_tags(facts)), make_markers(facts)) == (found.tags, found.markers)


@pytest.mark.parametrize("version", VERSIONS)
def test_tags_and_markers_are_those_that_packaging_sees_in_there(
    version: str, memory: Path, support: str
) -> None:
    python = real(version, memory)

    tags, markers = json.loads(answer(python.executable, support))

    assert list(python.tags) == tags
    assert python.markers == markers


@pytest.mark.parametrize("name", DEBIAN)
def test_a_python_of_the_system_is_known_by_the_name_it_was_asked_for(
    name: str, memory: Path, support: str
) -> None:
    python = Path(name)
    if not python.exists():
        pytest.skip(f"the system has no {name}")

    found = find(python, memory)

    tags, markers = json.loads(answer(found.executable, support))
    assert (found.executable, found.base_executable) == (python, python.resolve())
    assert list(found.tags) == tags
    assert found.markers == markers


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_an_environment_is_laid_out_as_foretold(version: str, tmp_path: Path, memory: Path) -> None:
    base = real(version, memory)
    root = tmp_path / "environment"

    paths = json.loads(answer(make_environment(base.executable, root), _SCHEME))

    foretold = (base.scheme.purelib, base.scheme.platlib, base.scheme.scripts, base.scheme.data)
    kinds = ("purelib", "platlib", "scripts", "data")
    assert [root / path for path in foretold] == [Path(paths[kind]) for kind in kinds]
    assert base.scheme.headers == f"include/site/python{version}"


@pytest.mark.parametrize(
    "ban",
    [
        "def manylinux_compatible(*_): return False\n",
        "def manylinux_compatible(_, minor, __): return False if minor < 20 else None\n",
        "manylinux1_compatible = manylinux2014_compatible = False\n",
    ],
)
def test_binaries_for_other_systems_are_refused_where_the_owner_says_so(
    ban: str, tmp_path: Path, memory: Path, support: str
) -> None:
    python = make_environment(Path(sys.executable), tmp_path / "environment")
    [packages] = (tmp_path / "environment").rglob("site-packages")
    (packages / "_manylinux.py").write_text(ban, encoding="utf-8")

    found = find(python, memory)

    assert list(found.tags) == json.loads(answer(python, support))[0]
    assert len(found.tags) < len(find(Path(sys.executable), memory).tags)


# Virtual environments, links and other places.


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("options", [(), ("--copies",)])
@pytest.mark.parametrize("name", ["plain", "with spaces and ünïcødé ☃"])
def test_an_environment_is_its_own_prefix_and_knows_its_base(
    version: str, options: tuple[str, ...], name: str, tmp_path: Path, memory: Path
) -> None:
    base = real(version, memory)
    python = make_environment(base.executable, tmp_path / name, *options)

    found = find(python, memory)

    assert (found.executable, found.prefix) == (python, tmp_path / name)
    assert (found.base_executable, found.base_prefix) == (base.base_executable, base.base_prefix)
    assert found.identity == base.identity
    assert found.scheme == base.scheme


def test_an_environment_of_an_environment_has_the_same_base(tmp_path: Path, memory: Path) -> None:
    first = make_environment(Path(sys.executable), tmp_path / "first")
    second = make_environment(first, tmp_path / "second")

    found = find(second, memory)

    assert found.prefix == tmp_path / "second"
    assert found.base_executable == find(first, memory).base_executable


def test_an_environment_may_be_named_by_its_directory(tmp_path: Path, memory: Path) -> None:
    python = make_environment(Path(sys.executable), tmp_path / "environment")

    assert find(tmp_path / "environment", memory) == find(python, memory)
    assert find(tmp_path / "environment" / IN_BIN, memory) == find(python, memory)


@needs_scripts
def test_a_prefix_may_have_versioned_names_only(tmp_path: Path, memory: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("python3.9", "python3.11", "python3.11-config", "python3.x"):
        (tmp_path / "bin" / name).symlink_to(Path(sys.executable).resolve())

    assert find(tmp_path, memory).executable == tmp_path / "bin" / "python3.11"


@needs_scripts
def test_a_link_to_a_python_is_that_python_under_its_own_path(tmp_path: Path, memory: Path) -> None:
    base = Path(sys.executable).resolve()
    link = tmp_path / "my python"
    link.symlink_to(base)

    found = find(link, memory)

    assert found.executable == link
    assert found.base_executable == base
    assert found.identity == find(base, memory).identity


@needs_bash
def test_another_time_of_the_base_is_another_identity(tmp_path: Path, memory: Path) -> None:
    base = tmp_path / "base"
    base.touch()
    edit = f's|"base_executable": "[^"]*"|"base_executable": "{base}"|'
    python = write_disguise(tmp_path / "python", edit=edit)
    before = find(python, memory)
    os.utime(base, (1, 1))

    after = find(python, memory)

    assert after.base_executable == base
    assert after.identity != before.identity


def test_an_interpreter_is_a_value(memory: Path) -> None:
    found = find_interpreter(None, search=[], memory=memory)

    copy = pickle.loads(pickle.dumps(found))  # ruff: ignore[suspicious-pickle-usage]

    assert {found, copy} == {found}


# Finding by version.


@pytest.mark.parametrize("minor", ["3.12", "3.13"])
@pytest.mark.parametrize("form", ["{}", "python{}", "cpython{}", "cpython-{}"])
def test_a_version_is_found_in_the_directories_searched(
    minor: str, form: str, tmp_path: Path, memory: Path
) -> None:
    directory = real(minor, memory).executable.parent

    found = find_interpreter(form.format(minor), search=[tmp_path, directory], memory=memory)

    assert found.executable.parent == directory
    assert ".".join(map(str, found.version_info)) == minor


def test_a_full_version_is_that_one_or_none(memory: Path) -> None:
    python = real("3.12", memory)
    search = [python.executable.parent]

    assert find_interpreter(python.version, search=search, memory=memory) == python
    with pytest.raises(InterpreterNotFoundError):
        find_interpreter("3.12.99", search=search, memory=memory)


def test_a_program_may_be_asked_for_by_any_name(tmp_path: Path, memory: Path) -> None:
    name = f"myown{'.exe' if os.name == 'nt' else ''}"
    python = make_environment(Path(sys.executable), tmp_path / "environment")
    python.rename(python.with_name(name))

    found = find_interpreter("myown", search=[python.parent], memory=memory)

    assert found.executable == python.with_name(name)


def test_a_program_without_executable_stands_for_its_version(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(sys.executable).parent
    monkeypatch.setattr(sys, "executable", "")

    found = find_interpreter(None, search=[directory], memory=memory)

    assert found.version_info == sys.version_info[:2]
    assert found.executable.parent == directory


@needs_scripts
@pytest.mark.parametrize("place", ["", "shims"])
def test_the_newest_version_that_fits_is_found_with_pyenv(
    place: str, tmp_path: Path, memory: Path
) -> None:
    for name in ("3.9.1", "3.10.2", "3.10.13", "2.7.18", "notes"):
        (tmp_path / "versions" / name / "bin").mkdir(parents=True)
        link = tmp_path / "versions" / name / "bin" / "python"
        link.symlink_to(Path(sys.executable).resolve())
    (tmp_path / "shims").mkdir()

    found = find_interpreter("python", search=[tmp_path / place], memory=memory)

    assert found.executable == tmp_path / "versions" / "3.10.13" / "bin" / "python"


@needs_scripts
def test_who_names_a_version_is_not_sent_through_pyenv(tmp_path: Path, memory: Path) -> None:
    version = "{}.{}".format(*sys.version_info)
    log = tmp_path / "log"
    write_program(tmp_path / "shims" / f"python{version}", f"echo asked > {log}; exit 127")
    directory = tmp_path / "versions" / version / "bin"
    directory.mkdir(parents=True)
    (directory / "python3").symlink_to(Path(sys.executable).resolve())

    found = find_interpreter(version, search=[tmp_path / "shims"], memory=memory)

    assert found.executable == directory / "python3"
    assert not log.exists()


@needs_scripts
def test_what_fails_is_passed_over_in_favour_of_the_next(tmp_path: Path, memory: Path) -> None:
    python = real("3.12", memory)
    problem = "pyenv: python3.12: command not found"
    write_program(tmp_path / "shims" / "python3.12", f"echo {problem} >&2; exit 127")
    search = [tmp_path / "shims", python.executable.parent]

    found = find_interpreter("3.12", search=search, memory=memory)

    assert found == python
    with pytest.raises(InterpreterNotFoundError, match=f"exits with 127, and says `{problem}`"):
        find_interpreter("3.12", search=search[:1], memory=memory)


@needs_bash
@pytest.mark.parametrize("is_free_threaded", [True, False])
def test_free_threads_are_had_by_asking_only(
    tmp_path: Path, memory: Path, *, is_free_threaded: bool
) -> None:
    version = "{}.{}".format(*sys.version_info)
    edit = 's/"is_free_threaded": [a-z]*/"is_free_threaded": true/'
    write_disguise(tmp_path / "free" / f"python{version}", edit=edit)
    write_disguise(tmp_path / "locked" / f"python{version}")
    search = [tmp_path / "free", tmp_path / "locked"]

    wish = version + ("t" if is_free_threaded else "")
    found = find_interpreter(wish, search=search, memory=memory)

    assert found.is_free_threaded == is_free_threaded


@needs_bash
def test_another_implementation_is_had_by_asking_only(tmp_path: Path, memory: Path) -> None:
    version = "{}.{}".format(*sys.version_info)
    edit = 's/"implementation": "cpython"/"implementation": "pypy"/'
    write_disguise(tmp_path / f"pypy{version}", edit=edit)
    write_disguise(tmp_path / f"python{version}", edit=edit)

    found = find_interpreter(f"pypy{version}", search=[tmp_path], memory=memory)

    assert found.implementation == "pypy"
    with pytest.raises(InterpreterNotFoundError):
        find_interpreter(f"cpython{version}", search=[tmp_path], memory=memory)


@needs_scripts
def test_what_starts_another_python_stands_for_that_one_as_of_now(
    tmp_path: Path, memory: Path
) -> None:
    pythons = [make_environment(Path(sys.executable), tmp_path / name) for name in ("a", "b")]
    choice = tmp_path / "choice"
    shim = write_program(tmp_path / "shim", f'exec "$(cat {choice})" "$@"')
    found: list[Path] = []
    for python in pythons:
        choice.write_text(str(python), encoding="utf-8")
        found.append(find(shim, memory).executable)

    assert found == pythons


# Remembering.


@needs_bash
def test_a_python_is_asked_once(tmp_path: Path, memory: Path) -> None:
    python = write_disguise(tmp_path / "python", log=tmp_path / "log")

    found = [find(python, memory) for _ in range(3)]

    assert found == found[:1] * 3
    assert count(tmp_path / "log") == 1


def test_many_may_ask_at_once(memory: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(find, Path(sys.executable), memory) for _ in range(16)]
        answers = [future.result() for future in asked]

    assert answers == answers[:1] * 16
    assert len(list(memory.iterdir())) == 1


def test_remembering_takes_neither_packaging_nor_a_process(memory: Path) -> None:
    find_interpreter(None, search=[], memory=memory)

    command = [sys.executable, "-c", _RECALL, str(memory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def replace_program(python: Path) -> None:
    python.with_name("next").write_bytes(python.read_bytes() + b"#\n")
    python.with_name("next").chmod(0o755)
    python.with_name("next").replace(python)


def touch_program(python: Path) -> None:
    os.utime(python, (1, 1))


def lead_elsewhere(python: Path) -> None:
    target = python.with_name("elsewhere")
    shutil.copy2(python, target)
    python.unlink()
    python.symlink_to(target)


def write_settings(python: Path) -> None:
    settings = python.parent.parent / "pyvenv.cfg"
    settings.write_text(f"home = {Path(sys.executable).resolve().parent}\n", encoding="utf-8")


@needs_bash
@pytest.mark.parametrize("change", [replace_program, touch_program, lead_elsewhere, write_settings])
def test_a_python_that_has_changed_is_asked_again(
    change: Callable[[Path], None], tmp_path: Path, memory: Path
) -> None:
    python = write_disguise(tmp_path / "bin" / "python", log=tmp_path / "log")
    find(python, memory)
    change(python)

    for _ in range(2):
        find(python, memory)

    assert count(tmp_path / "log") == 2


@needs_bash
def test_another_system_is_another_answer(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = write_disguise(tmp_path / "python", log=tmp_path / "log")
    find(python, memory)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result("abcde"))

    find(python, memory)

    assert count(tmp_path / "log") == 2


@needs_bash
@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (b"^.*$", b""),
        (b"^.*$", b"junk"),
        (b"^.*$", b'{"seal":"","answer":{}}'),
        (b"..$", b""),
        (b"$", b"\n"),
        (b"cpython", b"pypython"),
    ],
)
def test_a_damaged_memory_costs_a_question(
    pattern: bytes, replacement: bytes, tmp_path: Path, memory: Path
) -> None:
    python = write_disguise(tmp_path / "python", log=tmp_path / "log")
    before = find(python, memory)
    [record] = memory.iterdir()
    record.write_bytes(re.sub(pattern, replacement, record.read_bytes(), count=1))

    found = [find(python, memory) for _ in range(2)]

    assert found == [before] * 2
    assert count(tmp_path / "log") == 2
    assert list(memory.iterdir()) == [record]


@needs_bash
def test_the_memory_of_another_python_is_not_believed(tmp_path: Path, memory: Path) -> None:
    python = write_disguise(tmp_path / "python")
    find(python, memory)
    [record] = memory.iterdir()
    find(Path(sys.executable), memory)
    [foreign] = set(memory.iterdir()) - {record}
    shutil.copy(foreign, record)

    assert find(python, memory).executable == python


def test_a_memory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    find_interpreter(None, search=[], memory=tmp_path / "taken")
    [record] = (tmp_path / "taken").iterdir()
    record.unlink()
    (record / "full").mkdir(parents=True)

    for memory in (tmp_path / "file" / "memory", tmp_path / "taken"):
        assert find_interpreter(None, search=[], memory=memory).executable == Path(sys.executable)

    assert list((tmp_path / "taken").iterdir()) == [record]


# What a Python is run with.


def test_nothing_of_a_project_or_the_user_steers_the_answer(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find_interpreter(None, search=[], memory=memory)
    for name in ("json.py", "sitecustomize.py", "platform.py"):
        (tmp_path / name).write_text("raise SystemExit('steered')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    steering = dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"), str(tmp_path))
    environment = {**os.environ, **steering, "_PYTHON_HOST_PLATFORM": "moon-1"}

    after = find_interpreter(None, search=[], memory=tmp_path / "m", environment=environment)

    assert after == before


@needs_scripts
def test_a_program_gets_the_environment_it_is_given_and_no_input(
    tmp_path: Path, memory: Path
) -> None:
    seen = tmp_path / "seen"
    program = write_program(tmp_path / "python", f'cat; echo "$HOUSE-$PYTHONPATH" > {seen}')
    environment = {"PATH": os.defpath, "HOUSE": "wheelforge", "PYTHONPATH": "steering"}

    with pytest.raises(InterpreterUnusableError):
        find_interpreter(str(program), search=[], memory=memory, environment=environment)

    assert seen.read_text(encoding="utf-8") == "wheelforge-\n"


@needs_bash
def test_what_else_is_printed_does_no_harm(tmp_path: Path, memory: Path) -> None:
    python = write_disguise(tmp_path / "python")
    script = python.read_text(encoding="utf-8").replace("(exec", "echo noise >&2; (exec")
    python.write_text(script + "printf '{noise}'", encoding="utf-8")

    assert find(python, memory).executable == python


# What is none.


@needs_scripts
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("echo hello; echo more", "it exits with 0, and says `hello`"),
        ("exit 1", "it exits with 1, and says nothing"),
        ("echo 'out of order' >&2; exit 3", "it exits with 3, and says `out of order`"),
        ("echo 'Traceback (most'; echo ' File'; echo 'Error: x'; exit 1", "says `Error: x`"),
        ("kill -11 $$", "signal 11 ends it, and says nothing"),
        ("echo 'wheelforge-probe:{'", "it exits with 0, and says `wheelforge-probe:{`"),
        ("yes", "and says `y`"),
    ],
)
def test_what_answers_otherwise_is_no_python(
    text: str, problem: str, tmp_path: Path, memory: Path
) -> None:
    program = write_program(tmp_path / "python", text)

    with pytest.raises(InterpreterUnusableError) as caught:
        find(program, memory)

    assert problem in str(caught.value)
    assert str(program) in caught.value.hint
    assert not memory.exists()


@needs_scripts
def test_what_does_not_answer_in_time_is_ended_with_all_it_started(
    tmp_path: Path, memory: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = write_program(tmp_path / "python", f"sleep 600 > {pipe} & wait")
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        with pytest.raises(InterpreterUnusableError, match=r"did not answer within 0\.5 s"):
            find_interpreter(str(program), search=[], memory=memory, timeout_seconds=0.5)
        os.set_blocking(stream.fileno(), True)

        assert stream.read() == b"", "it ends with its last writer"


@needs_scripts
@pytest.mark.parametrize(("mode", "text"), [(0o644, "#!/bin/sh\n"), (0o755, "no program\n")])
def test_a_file_that_cannot_be_run_is_no_python(
    mode: int, text: str, tmp_path: Path, memory: Path
) -> None:
    path = tmp_path / "python"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)

    with pytest.raises(InterpreterUnusableError, match="is of no use as a Python"):
        find(path, memory)


@pytest.mark.parametrize("wish", ["2", "2.7", "python2.7", "3.6", "3.8", "3.8.18", "pypy3.8"])
def test_a_version_too_old_is_not_even_looked_for(wish: str, memory: Path) -> None:
    with pytest.raises(InterpreterTooOldError, match="too old"):
        find_interpreter(wish, search=[], memory=memory)


@pytest.mark.parametrize("name", ["2.7.18", "3.6.15", "3.7.16", "3.8.18"])
def test_a_python_too_old_says_so(name: str, memory: Path) -> None:
    python = from_pyenv(name)

    with pytest.raises(InterpreterTooOldError) as caught:
        find(python, memory)

    assert str(caught.value) == f"`{python}` is Python {name}, which is too old to build with"
    assert caught.value.hint == "use Python 3.9 or newer"


def test_what_is_not_found_is_told_with_where_it_was_looked_for(
    tmp_path: Path, memory: Path
) -> None:
    search = [tmp_path / "a", tmp_path / "b", tmp_path / "a"]

    with pytest.raises(InterpreterNotFoundError) as caught:
        find_interpreter("3.12", search=search, memory=memory)

    places = f"`{tmp_path / 'a'}`, `{tmp_path / 'b'}`"
    assert str(caught.value) == f"cannot find a Python for `3.12` in {places}"
    assert "--python PATH" in caught.value.hint


@pytest.mark.parametrize("name", ["", "missing", "missing/python", "nul\0"])
def test_a_path_with_no_python_is_named(name: str, tmp_path: Path, memory: Path) -> None:
    with pytest.raises(InterpreterNotFoundError) as caught:
        find(tmp_path / name, memory)

    assert caught.value.searched == (str(tmp_path / name),)


@pytest.mark.parametrize(
    "error",
    [
        InterpreterNotFoundError("3.12", ("/a", "/b"), ("`/a/python`: no",)),
        InterpreterUnusableError("/a/python", "it exits with 1"),
        InterpreterTooOldError("/a/python", "2.7.18", "3.9"),
    ],
)
def test_errors_survive_a_trip_between_processes(error: ForgeError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # ruff: ignore[suspicious-pickle-usage]

    assert (str(copy), copy.hint, copy.exit_code) == (str(error), error.hint, 2)
