"""Interpreters are described as they describe themselves, whatever surrounds them."""

import dataclasses
import io
import json
import os
import pickle
import shutil
import struct
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.corpus import WHEELS
from tests.support.interpreters import (
    VERSIONS,
    answer,
    find,
    make_environment,
    needs_bash,
    needs_scripts,
    real,
    write_disguise,
    write_program,
)
from wheelforge_isolation import WheelKey
from wheelforge_isolation.errors import InterpreterUnusableError
from wheelforge_isolation.interpreter import find_interpreter, probe
from wheelforge_isolation.interpreter.tags import list_tags

DEBIAN = ["/usr/bin/python3", "/usr/bin/pypy3"]
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


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "pythons"


@pytest.fixture
def support(real_wheels: dict[str, WheelKey]) -> str:
    """Return a program that prints tags and markers, by a `packaging` that runs everywhere."""
    listed = next(each for each in WHEELS if each.file == real_wheels["packaging"].file_name)
    return _SUPPORT.format(packaging=str(listed.path))


def test_probe__running_python_is_described_as_it_describes_itself(cache_dir: Path) -> None:
    found = find_interpreter(None, search=[], cache_dir=cache_dir)

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


def test_probe__reports_the_same_facts_in_this_process(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find_interpreter(None, search=[], cache_dir=cache_dir)
    for name in ("prefix", "exec_prefix"):
        monkeypatch.setattr(sys, name, sys.base_prefix)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["-c", "script", "mark:"])

    probe.main()

    facts = json.loads(capsys.readouterr().out.partition("mark:")[2])
    assert Path(facts["prefix"]) == found.prefix
    assert Path(facts["base_executable"]) == found.base_executable
    assert facts["scheme"] == dataclasses.asdict(found.scheme)
    assert (tuple(list_tags(facts)), facts["markers"]) == (found.tags, found.markers)


def test_markers__prerelease_of_the_implementation_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = (3, 14, 0, "candidate", 2)
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="cpython", version=version))

    assert probe.describe_markers()["implementation_version"] == "3.14.0c2"


@pytest.mark.parametrize("version", VERSIONS)
def test_tags__are_those_that_packaging_lists(version: str, cache_dir: Path, support: str) -> None:
    python = real(version, cache_dir)

    tags, markers = json.loads(answer(python.executable, support))

    assert list(python.tags) == tags
    assert python.markers == markers


@pytest.mark.parametrize("name", DEBIAN)
def test_tags__pythons_of_the_system_keep_the_name_they_were_asked_for_by(
    name: str, cache_dir: Path, support: str
) -> None:
    python = Path(name)
    if not python.exists():
        pytest.skip(f"the system has no {name}")

    found = find(python, cache_dir)

    tags, markers = json.loads(answer(found.executable, support))
    assert (found.executable, found.base_executable) == (python, python.resolve())
    assert list(found.tags) == tags
    assert found.markers == markers


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "pypy3"])
def test_scheme__is_that_of_an_environment(version: str, tmp_path: Path, cache_dir: Path) -> None:
    base = real(version, cache_dir)
    root = tmp_path / "environment"

    paths = json.loads(answer(make_environment(base.executable, root), _SCHEME))

    foretold = (base.scheme.purelib, base.scheme.platlib, base.scheme.scripts, base.scheme.data)
    kinds = ("purelib", "platlib", "scripts", "data")
    assert [root / path for path in foretold] == [Path(paths[kind]) for kind in kinds]
    assert base.scheme.headers == "include/site/python{}.{}".format(*base.version_info)


@pytest.mark.parametrize(
    "ban",
    [
        "def manylinux_compatible(*_): return False\n",
        "def manylinux_compatible(_, minor, __): return False if minor < 20 else None\n",
        "manylinux1_compatible = manylinux2014_compatible = False\n",
    ],
)
def test_tags__manylinux_module_of_the_owner_is_obeyed(
    ban: str, tmp_path: Path, cache_dir: Path, support: str
) -> None:
    python = make_environment(Path(sys.executable), tmp_path / "environment")
    [packages] = (tmp_path / "environment").rglob("site-packages")
    (packages / "_manylinux.py").write_text(ban, encoding="utf-8")

    found = find(python, cache_dir)

    assert list(found.tags) == json.loads(answer(python, support))[0]
    assert len(found.tags) < len(find(Path(sys.executable), cache_dir).tags)


@pytest.mark.parametrize(
    ("version", "options"),
    [
        *((version, ()) for version in ("3.9", "3.11", "3.12", "3.13", "pypy3")),
        ("3.9", ("--copies",)),  # PyPy would copy all libraries of the system
        ("3.12", ("--copies",)),
    ],
)
@pytest.mark.parametrize("name", ["plain", "with spaces and ünïcødé ☃"])
def test_environment__is_its_own_prefix_and_knows_its_base(
    version: str, options: tuple[str, ...], name: str, tmp_path: Path, cache_dir: Path
) -> None:
    base = real(version, cache_dir)
    python = make_environment(base.executable, tmp_path / name, *options)

    found = find(python, cache_dir)

    assert (found.executable, found.prefix) == (python, tmp_path / name)
    assert (found.base_executable, found.base_prefix) == (base.base_executable, base.base_prefix)
    assert found.identity == base.identity
    assert found.scheme == base.scheme


def test_environment__made_by_another_has_its_base(tmp_path: Path, cache_dir: Path) -> None:
    first = make_environment(Path(sys.executable), tmp_path / "first")
    found = find(make_environment(first, tmp_path / "second"), cache_dir)

    assert found.prefix == tmp_path / "second"
    assert found.base_executable == find(first, cache_dir).base_executable


@needs_scripts
def test_link__keeps_its_path_not_its_identity(tmp_path: Path, cache_dir: Path) -> None:
    base = Path(sys.executable).resolve()
    link = tmp_path / "my python"
    link.symlink_to(base)

    found = find(link, cache_dir)

    assert found.executable == link
    assert found.base_executable == base
    assert found.identity == find(base, cache_dir).identity


@needs_bash
def test_identity__changes_with_the_time_of_the_base(tmp_path: Path, cache_dir: Path) -> None:
    base = tmp_path / "base"
    base.touch()
    edit = f's|"base_executable": "[^"]*"|"base_executable": "{base}"|'
    python = write_disguise(tmp_path / "python", edit=edit)
    before = find(python, cache_dir)
    os.utime(base, (1, 1))

    after = find(python, cache_dir)

    assert after.base_executable == base
    assert after.identity != before.identity


def test_interpreter__can_be_pickled_and_hashed(cache_dir: Path) -> None:
    found = find_interpreter(None, search=[], cache_dir=cache_dir)

    copy = pickle.loads(pickle.dumps(found))  # ruff: ignore[suspicious-pickle-usage]

    assert {found, copy} == {found}


def test_probe__ignores_modules_of_the_project_and_variables_of_the_user(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find_interpreter(None, search=[], cache_dir=cache_dir)
    for name in ("json.py", "sitecustomize.py", "platform.py"):
        (tmp_path / name).write_text("raise SystemExit('steered')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    steering = dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"), str(tmp_path))
    environment = {**os.environ, **steering, "_PYTHON_HOST_PLATFORM": "moon-1"}

    after = find_interpreter(None, search=[], cache_dir=tmp_path / "m", environment=environment)

    assert after == before


@needs_scripts
def test_probe__program_gets_given_variables_only(tmp_path: Path, cache_dir: Path) -> None:
    seen = tmp_path / "seen"
    program = write_program(tmp_path / "python", f'cat; echo "$HOUSE-$PYTHONPATH" > {seen}')
    environment = {"PATH": os.defpath, "HOUSE": "wheelforge", "PYTHONPATH": "steering"}

    with pytest.raises(InterpreterUnusableError):
        find_interpreter(str(program), search=[], cache_dir=cache_dir, environment=environment)

    assert seen.read_text(encoding="utf-8") == "wheelforge-\n"


@needs_bash
def test_probe__other_output_does_no_harm(tmp_path: Path, cache_dir: Path) -> None:
    python = write_disguise(tmp_path / "python")
    script = python.read_text(encoding="utf-8").replace("(exec", "echo noise >&2; (exec")
    python.write_text(script + "printf '{noise}'", encoding="utf-8")

    assert find(python, cache_dir).executable == python


@needs_scripts
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("echo hello; echo more", "it exited with code 0 and printed `hello`"),
        ("exit 1", "it exited with code 1 and printed nothing"),
        ("echo 'out of order' >&2; exit 3", "it exited with code 3 and printed `out of order`"),
        ("echo 'Traceback (most'; echo ' File'; echo 'Error: x'; exit 1", "printed `Error: x`"),
        ("kill -11 $$", "it was killed by signal 11 and printed nothing"),
        ("echo 'wheelforge-probe:{'", "it exited with code 0 and printed `wheelforge-probe:{`"),
        ("yes", "and printed `y`"),
    ],
)
def test_probe__program_without_facts_is_no_python(
    text: str, problem: str, tmp_path: Path, cache_dir: Path
) -> None:
    program = write_program(tmp_path / "python", text)

    with pytest.raises(InterpreterUnusableError) as caught:
        find(program, cache_dir)

    assert problem in str(caught.value)
    assert str(program) in caught.value.hint
    assert not cache_dir.exists()


@needs_scripts
def test_probe__timeout_kills_the_program_and_its_children(tmp_path: Path, cache_dir: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = write_program(tmp_path / "python", f"sleep 600 > {pipe} & wait")
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        with pytest.raises(InterpreterUnusableError, match=r"did not answer within 0\.5 s"):
            find_interpreter(str(program), search=[], cache_dir=cache_dir, timeout_seconds=0.5)
        os.set_blocking(stream.fileno(), True)

        assert stream.read() == b"", "it ends with its last writer"


@needs_scripts
@pytest.mark.parametrize(("mode", "text"), [(0o644, "#!/bin/sh\n"), (0o755, "no program\n")])
def test_probe__file_that_cannot_be_run_is_no_python(
    mode: int, text: str, tmp_path: Path, cache_dir: Path
) -> None:
    path = tmp_path / "python"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)

    with pytest.raises(InterpreterUnusableError, match="is not a usable Python interpreter"):
        find(path, cache_dir)


# Details.


def test_probe__dynamic_loader_is_read_from_the_program() -> None:
    mapped = Path("/proc/self/maps")
    if not mapped.exists():
        pytest.skip("needs /proc")
    with Path(sys.executable).open("rb") as program:
        loader = probe.find_loader(program)

    assert os.path.realpath(loader) in mapped.read_text(encoding="utf-8")


@pytest.mark.parametrize("order", ["<", ">"])
def test_probe__dynamic_loader_of_a_32_bit_program_is_read(order: str) -> None:
    path = b"/lib/ld-musl-armhf.so.1"
    byte_order = 1 if order == "<" else 2
    header = struct.pack(f"{order}4sBB22xI10xHH6x", b"\x7fELF", 1, byte_order, 52, 32, 2)
    segments = [(6, 0, 0), (3, 116, len(path) + 1)]
    body = b"".join(struct.pack(f"{order}II8xI12x", *segment) for segment in segments)
    assert probe.find_loader(io.BytesIO(header + body + path + b"\0")) == path.decode()


def test_probe__build_details_are_reported(tmp_path: Path, cache_dir: Path) -> None:
    python = real("3.12", cache_dir)
    details = {"schema_version": "1.0", "abi": {"flags": []}}
    library = tmp_path / "lib" / "python3.12"
    library.mkdir(parents=True)
    for path in (python.base_prefix / "lib" / "python3.12").iterdir():
        (library / path.name).symlink_to(path)
    (library / "build-details.json").write_text(json.dumps(details), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    shutil.copy(python.base_executable, tmp_path / "bin" / "python3.12")

    assert find(tmp_path, cache_dir).build_details == details
    assert python.build_details is None
