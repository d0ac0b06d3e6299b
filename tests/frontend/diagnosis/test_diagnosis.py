"""Diagnoses of failed hooks, from the real output of compilers and build tools."""

import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import needs
from wheelforge import errors
from wheelforge.diagnosis import diagnose, find_missing_module
from wheelforge.errors import BackendFailedError, Failure

CODES = sorted(BackendFailedError.kinds.keys() - {"backend-failed"})

needs_signals = needs(posix="signals that end a process")


def fail(output: str | bytes, status: int = 1, hook: str = "build_wheel") -> BackendFailedError:
    raw = output if isinstance(output, bytes) else output.encode()
    return diagnose(Failure(source="demo-1.0.tar.gz", hook=hook, status=status, output=raw))


def provoke(*command: str, cwd: Path) -> BackendFailedError:
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return fail(done.stdout, done.returncode)


def read_messages() -> list[tuple[str, str, str, str]]:
    """Return each output in `messages.txt`, with the code, finding and remedy of its cause."""
    text = Path(__file__).with_name("messages.txt").read_text(encoding="utf-8")
    found: list[tuple[str, str, str, str]] = []
    for block in text.rstrip("\n").split("\n\n"):
        head, *lines = [line for line in block.split("\n") if not line.startswith("# ")]
        code, finding, remedy = map(str.strip, head.split("|"))
        output = "\n".join(line[2:] for line in lines).replace("\\r", "\r")
        found.append((output, code, finding, remedy))
    return found


MESSAGES = read_messages()


@pytest.mark.parametrize(("output", "code", "finding", "remedy"), MESSAGES)
def test_diagnosis__a_known_message_has_a_cause(
    output: str, code: str, finding: str, remedy: str
) -> None:
    error = fail(f"running build\n{output}\n")

    assert (error.code, error.finding) == (code, finding)
    assert remedy in error.remedy
    assert bool(remedy) == bool(error.remedy)


def test_diagnosis__every_code_has_a_message_here() -> None:
    assert {*CODES, "backend-failed"} == {code for _, code, _, _ in MESSAGES}


@pytest.mark.parametrize(
    "output",
    [
        "",
        "m.c:1:9: error: expected expression before \u2018;\u2019 token",
        "m.c(1): error C2065: 'x': undeclared identifier",
        "FileNotFoundError: [Errno 2] No such file or directory: 'README.rst'",
        "cc1: fatal error: m.c: No such file or directory",
        "AttributeError: module 'demo' has no attribute 'version'",
        "ImportError: cannot import name 'x' from 'demo' (/x/demo.py)",
        "checking for ffi.h... no\nwarning: ffi.h is missing, building without it\nKeyError: 'x'",
        "_configtest.c:1:10: fatal error: ffi.h: No such file or directory\nfailure.",
        "CMake Warning at CMakeLists.txt:3 (find_package):\n  Could NOT find HDF5 (missing: X)",
        "warning: No module named 'Cython', using what is there",
        "SetuptoolsDeprecationWarning: Invalid dash-separated key 'description-file' in 'metadata'",
        "m.c:1:10: schwerwiegender Fehler: ffi.h: Datei nicht gefunden",
        "m.c:1:10: fatal error: ffi.h : Aucun fichier ou dossier de ce type",
    ],
)
def test_diagnosis__an_unknown_message_has_no_cause(output: str) -> None:
    error = fail(output)

    assert error.code == "backend-failed"
    assert (error.cause, error.hint) == ("", "")


@pytest.mark.parametrize(
    "later",
    [
        "Traceback (most recent call last):\nKeyError: 'version'",
        "m.c:7:3: error: too few arguments to function 'f'",
        "m.o: undefined reference to `f'",
    ],
)
def test_diagnosis__an_error_outweighs_probes_before_it(later: str) -> None:
    tried = (
        "ModuleNotFoundError: No module named 'numpy'\nx.c:1:2: fatal error: 'ffi.h' file not found"
    )

    assert fail(f"{tried}\n{later}").code == "backend-failed"


@pytest.mark.parametrize(
    "lines",
    [
        (
            "ModuleNotFoundError: No module named 'Cython'",
            "During handling of the above exception, another exception occurred:",
            "m.c:1:10: fatal error: zlib.h: No such file or directory",
            "error: command '/usr/bin/gcc' failed with exit code 1",
        ),
        (
            "m.c:1:10: fatal error: zlib.h: No such file or directory",
            "_configtest.c:1:10: fatal error: ffi.h: No such file or directory",
        ),
    ],
    ids=["two causes", "a probe behind a cause"],
)
def test_diagnosis__last_cause_that_is_no_probe_counts(lines: tuple[str, ...]) -> None:
    error = fail("".join(f"{line}\n" for line in lines))

    assert (error.code, error.finding) == ("header-missing", "zlib.h")


def test_diagnosis__colours_and_other_bytes_do_not_hide_the_cause() -> None:
    error = fail(
        b"\xff\xfe \xe9t\xe9 \x1b]8;;file:///x\x1b\\\n\x1b[01m\x1b[Km.c:1:10:\x1b[m\x1b[K "
        b"\x1b[01;31m\x1b[Kfatal error: \x1b[m\x1b[Kffi.h: No such file or directory\r\n"
    )

    assert error.finding == "ffi.h"
    assert "\x1b" not in str(error)
    assert "m.c:1:10: fatal error: ffi.h" in str(error)


@pytest.mark.parametrize(
    ("status", "code", "finding"),
    [
        (-9, "build-out-of-memory", "SIGKILL"),
        (-int(signal.SIGSEGV), "build-crashed", "SIGSEGV"),
        (-200, "build-crashed", "signal 200"),
        (0xC0000005, "build-crashed", "an access violation"),
    ],
)
def test_diagnosis__the_status_outweighs_the_output(status: int, code: str, finding: str) -> None:
    error = fail("ModuleNotFoundError: No module named 'numpy'", status)

    assert (error.code, error.finding) == (code, finding)


def test_backend_failed__names_source_phase_cause_last_lines_and_log() -> None:
    lines = [f"line {number}" for number in range(30)]
    output = "\n".join([*lines, "m.c:1:10: fatal error: ffi.h: No such file or directory"])
    failure = Failure(
        source="demo-1.0.tar.gz",
        hook="build_wheel",
        status=1,
        output=output.encode(),
        log="/logs/demo",
    )

    first, *shown, last = str(diagnose(failure)).splitlines()

    assert first == (
        "`demo-1.0.tar.gz`: building the wheel has failed: the header `ffi.h` is missing"
    )
    assert [line.removeprefix("  ") for line in shown] == output.splitlines()[-20:]
    assert last == "all of its output is in `/logs/demo`"


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("get_requires_for_build_sdist", "asking what its sdist needs has failed with status 3"),
        ("strange_hook", "`strange_hook` has failed with status 3"),
    ],
)
def test_backend_failed__without_a_cause_has_the_status(hook: str, words: str) -> None:
    assert str(fail("", 3, hook)) == f"`demo-1.0.tar.gz`: {words}"


def test_diagnosis__keeps_no_more_output_than_it_reads() -> None:
    cause = b"\nm.c:1:10: fatal error: ffi.h: No such file or directory\n"

    early, late = fail(cause + b"x\n" * 500_000), fail(b"x\n" * 500_000 + cause)

    assert (early.code, late.code) == ("backend-failed", "header-missing")
    assert len(late.failure.output) == 1 << 16


@pytest.mark.parametrize(
    "unit",
    [
        "a", "a.", ":1", "'", "'pip', ", "error: ", "fatal error: ", "a_config ", "\x1b[", "\x1b]",
        "\n", " ", "CMake Error at x\n", "sh: 1: ", "ERROR: ", "lib-",
    ],
)  # fmt: skip
def test_diagnosis__a_hostile_output_does_not_keep_the_rules_busy(unit: str) -> None:
    program = (
        "import sys\n"
        "from wheelforge.diagnosis import Failure, diagnose\n"
        "output = (sys.argv[1] * 65536).encode()[:65536]\n"
        "print(diagnose(Failure(source='x', hook='h', status=1, output=output)).code)\n"
    )
    command = [sys.executable, "-c", program, unit]

    assert subprocess.check_output(command, timeout=60) == b"backend-failed\n"


@pytest.mark.parametrize("code", ["backend-failed", *CODES])
@pytest.mark.parametrize("facts", [("", ""), ("finding", ""), ("finding", "remedy<3")])
def test_backend_failed__can_be_pickled(code: str, facts: tuple[str, str]) -> None:
    failure = Failure(source="x", hook="build_sdist", status=1, output=b"\xff", log="y")
    error = BackendFailedError(code, failure, *facts)

    arrived = pickle.loads(pickle.dumps(error))  # ruff: ignore[suspicious-pickle-usage]

    assert type(arrived) is BackendFailedError
    assert (arrived.args, str(arrived), arrived.hint) == (error.args, str(error), error.hint)


@pytest.mark.parametrize("code", CODES)
def test_backend_failed__has_a_cause_in_words_and_the_same_exit_code(code: str) -> None:
    failure = Failure(source="x", hook="build_sdist", status=1)
    error = BackendFailedError(code, failure, "thing", "other<3")

    assert error.cause
    assert error.exit_code == BackendFailedError.exit_code
    assert error.hint or code == "build-crashed"


def test_backend_unavailable__has_the_last_lines_of_the_traceback() -> None:
    text = "x\nModuleNotFoundError: No module named 'flit_core'\n"
    lacking = errors.BackendError(
        "backend-unavailable", "flit_core.buildapi", text, *find_missing_module(text)
    )
    broken = errors.BackendError("backend-unavailable", "backend", "ImportError: z", "", "")

    assert str(lacking).endswith("\n  x\n  ModuleNotFoundError: No module named 'flit_core'")
    assert lacking.hint.startswith('add "flit-core" to `requires` below `[build-system]`')
    assert find_missing_module("ModuleNotFoundError: No module named 'odd'") == ("odd", "")
    assert not broken.hint
    silent = errors.BackendError("backend-unavailable", "backend", "", "", "")
    assert silent.hint.startswith("check `build-backend`, `backend-path` and `requires`")


def test_hook_missing__names_the_hook() -> None:
    missing = errors.HookMissingError("build_editable")
    unsupported = errors.BackendError("hook-unsupported", "build_sdist", "backend.Unsupported: no")

    assert "`build_editable`" in str(missing)
    assert "build-backend" in missing.hint
    assert "`build_sdist`" in str(unsupported)
    assert str(unsupported).endswith("\n  backend.Unsupported: no")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize(
    ("source", "options", "expected", "remedy"),
    [
        (
            '#include "libxml/nowhere.h"\n',
            ("-c", "-fdiagnostics-color=always"),
            ("header-missing", "libxml/nowhere.h"),
            "`libxml2-dev`",
        ),
        ("int main(void) { return 0; }\n", ("-lnowhere",), ("library-missing", "nowhere"), ""),
    ],
    ids=["compiler", "linker"],
)
def test_diagnosis__reads_the_compiler_and_linker_of_this_machine(
    tmp_path: Path, source: str, options: tuple[str, ...], expected: tuple[str, str], remedy: str
) -> None:
    (tmp_path / "m.c").write_text(source, encoding="utf-8")

    error = provoke("gcc", "m.c", *options, cwd=tmp_path)

    assert (error.code, error.finding) == expected
    assert remedy in error.hint


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_diagnosis__reads_the_shell_of_this_machine(tmp_path: Path) -> None:
    error = provoke("sh", "-c", "swig-nowhere -python x.i", cwd=tmp_path)

    assert (error.code, error.finding) == ("tool-missing", "swig-nowhere")


KILL = "import os, signal; os.kill(os.getpid(), signal.{})"


@pytest.mark.parametrize(
    ("code", "expected", "finding"),
    [
        ("import nowhere_at_all", "module-missing", "nowhere_at_all"),
        ("import setuptools.nowhere_at_all", "requirement-too-new", "setuptools.nowhere_at_all"),
        ("from collections import Mapping", "removed-from-python", "collections.Mapping"),
        ("import inspect; inspect.getargspec", "removed-from-python", "inspect.getargspec"),
        ("print 'x'", "python-two", "Missing parentheses in call to 'print'"),
        ("x = [0] * 10**14", "build-out-of-memory", ""),
        ("raise PermissionError(13, 'Permission denied', '/x')", "build-access", "/x"),
        ("import subprocess; subprocess.run(['cmake'], env={'PATH': ''})", "tool-missing", "cmake"),
        ("raise OSError(28, 'No space left on device')", "build-disk-full", ""),
        ("raise ValueError('anything')", "backend-failed", ""),
        pytest.param(KILL.format("SIGKILL"), "build-out-of-memory", "SIGKILL", marks=needs_signals),
        pytest.param(KILL.format("SIGABRT"), "build-crashed", "SIGABRT", marks=needs_signals),
    ],
)
def test_diagnosis__reads_this_python(
    code: str, expected: str, finding: str, tmp_path: Path
) -> None:
    if code.startswith("import setuptools"):
        (tmp_path / "setuptools.py").touch()

    error = provoke(sys.executable, "-c", code, cwd=tmp_path)

    assert (error.code, error.finding) == (expected, finding)


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("numpy", ('add "numpy" to `requires` below `[build-system]` in the project\'s '
         "pyproject.toml; without changing the project, "
         '`build-requires.add = ["numpy"]` in a file for `--overrides` does the same')),
        ("tomllib", "it came with Python 3.11: build with that or a newer one (`--python`)"),
    ],
)  # fmt: skip
def test_missing_module__hint_says_what_to_write_where(
    module: str, hint: str, tmp_path: Path
) -> None:
    code = f"raise ModuleNotFoundError(\"No module named '{module}'\")"

    error = provoke(sys.executable, "-c", code, cwd=tmp_path)

    assert (error.code, error.hint) == ("module-missing", hint)
