"""Bytecode is that of the files that won their places, made while others are on their way."""

import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

import pytest

from tests.support.processes import needs
from wheelforge_isolation.environments.bytecode import Compiler
from wheelforge_isolation.errors import EnvironmentFailedError

HEAD_BYTES = 16


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "environment"
    place.mkdir()
    return place


def add(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def bytecode(directory: Path, place: str) -> Path:
    return Path(cache_from_source(str(directory / place)))


def test_bytecode__is_of_the_source_that_is_installed(tmp_path: Path, directory: Path) -> None:
    first, second = (add(tmp_path / f"{name}.py", f"{name} = 1\n") for name in ("one", "two"))

    with Compiler(sys.executable, str(directory), is_shared=True) as compiler:
        compiler.expect([("a.py", first), ("b.py", first)])
        compiler.expect([("a.py", second), ("b.py", second)])
        compiler.write({"a.py": second, "b.py": first})
        compiler.finish()

    heads = [bytecode(directory, place).read_bytes()[:HEAD_BYTES] for place in ("a.py", "b.py")]
    hashes = [source_hash(Path(source).read_bytes()) for source in (second, first)]
    assert heads == [MAGIC_NUMBER + bytes((1, 0, 0, 0)) + each for each in hashes]


def test_bytecode__of_files_that_are_not_installed_leaves_nothing(
    tmp_path: Path, directory: Path
) -> None:
    source = add(tmp_path / "one.py", "one = 1\n")

    with Compiler(sys.executable, str(directory), is_shared=True) as compiler:
        compiler.expect([("a.py", source), ("b.py", source)])
        compiler.write({"b.py": source})
        compiler.finish()

    assert not bytecode(directory, "a.py").exists()
    assert bytecode(directory, "b.py").is_file()


def test_bytecode__does_not_make_a_removed_directory_anew(tmp_path: Path, directory: Path) -> None:
    source = add(tmp_path / "one.py", "one = 1\n")

    with Compiler(sys.executable, str(directory), is_shared=True) as compiler:
        compiler.expect([("package/a.py", source)])
        directory.rmdir()
        compiler.write({"package/a.py": source})
        compiler.finish()

    assert not directory.exists()


def test_bytecode__processes_may_make_one_directory_at_once(
    tmp_path: Path, directory: Path
) -> None:
    source = add(tmp_path / "one.py", "one = 1\n")
    modules = {f"{number}/{name}.py": source for number in range(300) for name in "abc"}
    for number in range(300):
        (directory / str(number)).mkdir()

    with Compiler(sys.executable, str(directory), is_shared=True) as compiler:
        compiler.expect([*modules.items()])
        compiler.write(modules)
        compiler.finish()

    assert [place for place in modules if not bytecode(directory, place).is_file()] == []


def test_bytecode__more_than_a_pipe_holds_is_compiled(tmp_path: Path, directory: Path) -> None:
    source = add(tmp_path / "one.py", "one = 1\n")
    modules = {f"{'m' * 200}{number}.py": source for number in range(1500)}

    with Compiler(sys.executable, str(directory), is_shared=True) as compiler:
        compiler.expect([*modules.items()])
        compiler.write(modules)
        compiler.finish()

    assert all(bytecode(directory, place).is_file() for place in modules)


def compile_one(python: str, source: str, directory: Path) -> None:
    with Compiler(python, str(directory), is_shared=True) as compiler:
        compiler.expect([("a.py", source)])
        compiler.write({"a.py": source})
        compiler.finish()


@needs(posix="a program in a script")
def test_bytecode__python_that_dies_is_an_error_that_says_why(
    tmp_path: Path, directory: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no memory\nexit 3\n", encoding="utf-8")
    python.chmod(0o755)
    source = add(tmp_path / "one.py", "one = 1\n")

    with pytest.raises(EnvironmentFailedError, match=r"it exits with 3, saying .*no memory"):
        compile_one(str(python), source, directory)


def test_bytecode__absent_python_is_an_error(tmp_path: Path, directory: Path) -> None:
    source = add(tmp_path / "one.py", "one = 1\n")

    with pytest.raises(EnvironmentFailedError):
        compile_one(str(tmp_path / "python"), source, directory)
