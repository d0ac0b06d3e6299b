"""Diagnoses of failed hooks, from the real output of compilers and build tools."""

from __future__ import annotations

import pickle
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wheelforge import errors
from wheelforge.diagnosis import diagnose, find_missing_module
from wheelforge.errors import BackendFailedError, Failure

if TYPE_CHECKING:
    from pathlib import Path

CODES = sorted(BackendFailedError.kinds.keys() - {"backend-failed"})


def fail(output: str | bytes, status: int = 1, hook: str = "build_wheel") -> BackendFailedError:
    raw = output if isinstance(output, bytes) else output.encode()
    return diagnose(Failure(source="demo-1.0.tar.gz", hook=hook, status=status, output=raw))


def provoke(*command: str, cwd: Path) -> BackendFailedError:
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return fail(done.stdout, done.returncode)


MESSAGES = [
    # The machine.
    ("OSError: [Errno 28] No space left on device", "build-disk-full", "", ""),
    (
        "x.cpp:9: fatal error: error writing to /tmp/ccX.s: No space left on device",
        "build-disk-full",
        "",
        "",
    ),
    ("MemoryError", "build-out-of-memory", "", ""),
    (
        (
            "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
            "error: command '/usr/bin/c++' failed with exit code 1"
        ),
        "build-out-of-memory",
        "",
        "",
    ),
    (
        "subprocess.CalledProcessError: Command '['make']' died with <Signals.SIGSEGV: 11>.",
        "build-crashed",
        "SIGSEGV",
        "",
    ),
    (
        "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>",
        "build-network",
        "",
        "",
    ),
    (
        "fatal: unable to access 'https://example.com/x/': Could not resolve host: example.com",
        "build-network",
        "example.com",
        "",
    ),
    (
        "Caused by:\n  [6] Could not resolve hostname (Could not resolve host: index.crates.io)",
        "build-network",
        "index.crates.io",
        "",
    ),
    (
        'status_string: "Could not resolve hostname"\n  Could not resolve: archives.boost.io:443',
        "build-network",
        "archives.boost.io",
        "",
    ),
    (
        "PermissionError: [Errno 13] Permission denied: '/usr/share/x'",
        "build-access",
        "/usr/share/x",
        "",
    ),
    ("error: could not create '/opt/x': Permission denied", "build-access", "/opt/x", ""),
    # Headers.
    (
        (
            "m.c:1:10: fatal error: libxml/xmlversion.h: No such file or directory\n"
            '    1 | #include "libxml/xmlversion.h"\n      |          ^~~~~~~~~~~~~~~~~~~~~\n'
            "compilation terminated.\nerror: command '/usr/bin/gcc' failed with exit code 1"
        ),
        "header-missing",
        "libxml/xmlversion.h",
        "`libxml2-dev`",
    ),
    (
        "m.c:1:10: fatal error: 'ffi.h' file not found\n1 error generated.",
        "header-missing",
        "ffi.h",
        "`libffi-dev`",
    ),
    (
        (
            "m.c(1): fatal error C1083: Cannot open include file: 'jpeglib.h': "
            "No such file or directory\r\nerror: command 'cl.exe' failed with exit code 2\r\n"
        ),
        "header-missing",
        "jpeglib.h",
        "`libjpeg-dev`",
    ),
    (
        "src/m.h:3:10: fatal error: Python.h: No such file or directory",
        "header-missing",
        "Python.h",
        "of this Python (`python3-dev`",
    ),
    ("m.c:1: error: ffi.h: No such file or directory", "header-missing", "ffi.h", "`libffi-dev`"),
    (
        "m.c:2:10: fatal error: boost/config.hpp: No such file or directory",
        "header-missing",
        "boost/config.hpp",
        "",
    ),
    ("../meson.build:2:24: ERROR: C header 'no.h' not found", "header-missing", "no.h", ""),
    # Libraries.
    (
        (
            "/usr/bin/ld: cannot find -lxslt: No such file or directory\n"
            "collect2: error: ld returned 1 exit status"
        ),
        "library-missing",
        "xslt",
        "`libxslt1-dev`",
    ),
    ("ld: library not found for -lnowhere", "library-missing", "nowhere", ""),
    ("ld: library 'ssl' not found", "library-missing", "ssl", "`libssl-dev`"),
    ("ld.lld: error: unable to find library -lz", "library-missing", "z", "`zlib1g-dev`"),
    (
        "LINK : fatal error LNK1181: cannot open input file 'libpq.lib'",
        "library-missing",
        "libpq",
        "`libpq-dev`",
    ),
    (
        '../meson.build:2:0: ERROR: Dependency "openblas" not found (tried pkg-config and cmake)',
        "library-missing",
        "openblas",
        "`libopenblas-dev`",
    ),
    (
        "../meson.build:2:24: ERROR: C shared or static library 'nowhere' not found",
        "library-missing",
        "nowhere",
        "",
    ),
    (
        (
            "CMake Error at /x/FindPackageHandleStandardArgs.cmake:290 (message):\n"
            "  Could NOT find HDF5 (missing: HDF5_LIBRARIES HDF5_INCLUDE_DIRS)\n"
            "Call Stack (most recent call first):\n-- Configuring incomplete, errors occurred!"
        ),
        "library-missing",
        "HDF5",
        "`libhdf5-dev`",
    ),
    (
        (
            "CMake Error at CMakeLists.txt:3 (find_package):\n"
            '  By not providing "FindNowhere.cmake" in CMAKE_MODULE_PATH this project has\n'
            '  asked CMake to find a package configuration file provided by "Nowhere", but\n'
        ),
        "library-missing",
        "Nowhere",
        "",
    ),
    (
        (
            "CMake Error at CMakeLists.txt:3 (find_package):\n"
            '  Could not find a package configuration file provided by "Nowhere" with any\n'
        ),
        "library-missing",
        "Nowhere",
        "",
    ),
    (
        (
            "CMake Error at /x/FindPkgConfig.cmake:1093 (message):\n"
            "  The following required packages were not found:\n\n   - cairo\n\nCall Stack\n"
        ),
        "library-missing",
        "cairo",
        "`libcairo2-dev`",
    ),
    ("No package 'dbus-1' found", "library-missing", "dbus-1", "`libdbus-1-dev`"),
    # Programs.
    (
        "error: command 'gcc' failed: No such file or directory",
        "tool-missing",
        "gcc",
        "`build-essential`",
    ),
    (
        "unable to execute 'x86_64-linux-gnu-gcc': No such file or directory",
        "tool-missing",
        "x86_64-linux-gnu-gcc",
        "",
    ),
    (
        "error: [Errno 2] No such file or directory: 'aarch64-linux-gnu-g++'",
        "tool-missing",
        "aarch64-linux-gnu-g++",
        "",
    ),
    (
        "FileNotFoundError: [Errno 2] No such file or directory: 'cmake'",
        "tool-missing",
        "cmake",
        "`cmake`",
    ),
    ("/bin/sh: 1: swig: not found", "tool-missing", "swig", "`swig`"),
    ("bash: line 1: swig: command not found", "tool-missing", "swig", "`swig`"),
    (
        "'protoc' is not recognized as an internal or external command,\r\noperable program",
        "tool-missing",
        "protoc",
        "`protobuf-compiler`",
    ),
    (
        (
            "../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]\n"
            'The following exception(s) were encountered:\nRunning `gcc --version` gave "[Errno 2] '
            "No such file or directory: 'gcc'\""
        ),
        "tool-missing",
        "cc",
        "`build-essential`",
    ),
    (
        "CMake Error at CMakeLists.txt:2 (project):\n  No CMAKE_CXX_COMPILER could be found.\n",
        "tool-missing",
        "c++",
        "`build-essential`",
    ),
    (
        (
            "CMake Error at /x/CMakeDetermineCCompiler.cmake:48 (message):\n"
            "  Could not find the compiler specified in the environment variable CC:\n\n  gcc.\n"
            "CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage"
        ),
        "tool-missing",
        "cc",
        "`build-essential`",
    ),
    (
        (
            'CMake Error: CMake was unable to find a build program corresponding to "Ninja".\n'
            "CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage"
        ),
        "tool-missing",
        "ninja",
        "`ninja-build`",
    ),
    (
        "running build_rust\nerror: can't find Rust compiler\n\nIf you are using an outdated pip",
        "tool-missing",
        "rustc",
        "`cargo`",
    ),
    (
        "Cargo, the Rust package manager, is not installed or is not on PATH.",
        "tool-missing",
        "cargo",
        "`cargo`",
    ),
    (
        "error: Microsoft Visual C++ 14.0 or greater is required. Get it with",
        "tool-missing",
        "Microsoft Visual C++",
        "Build Tools for Visual Studio",
    ),
    ("Error: pg_config executable not found.", "tool-missing", "pg_config", "`libpq-dev`"),
    (
        "/bin/sh: 1: mysql_config: not found",
        "tool-missing",
        "mysql_config",
        "`default-libmysqlclient-dev`",
    ),
    ("ERROR: Program 'swiggy' not found or not executable", "tool-missing", "swiggy", ""),
    ('meson-python: error: meson executable "meson" not found', "tool-missing", "meson", ""),
    # Modules.
    ("ModuleNotFoundError: No module named 'numpy'", "module-missing", "numpy", "numpy"),
    (
        "ModuleNotFoundError: No module named 'skbuild.x'",
        "module-missing",
        "skbuild.x",
        "scikit-build",
    ),
    ("ModuleNotFoundError: No module named 'versioneer'", "module-missing", "versioneer", ""),
    ("/venv/bin/python: No module named pip", "module-missing", "pip", "pip"),
    ("error: invalid command 'bdist_wheel'", "module-missing", "wheel", "wheel"),
    (
        (
            "/venv/bin/python: No module named pip\ndistutils.errors.DistutilsError: Command "
            "'['/venv/bin/python', '-m', 'pip', '--no-input', 'wheel', '--no-deps', "
            "'-w', '/tmp/x', '--quiet', 'wanted']' returned non-zero exit status 1."
        ),
        "module-missing",
        "wanted",
        "",
    ),
    # Modules and names that were removed.
    (
        "ModuleNotFoundError: No module named 'distutils'",
        "removed-from-python",
        "distutils",
        "3.11",
    ),
    ("ModuleNotFoundError: No module named 'imp'", "removed-from-python", "imp", "3.11"),
    (
        (
            "AttributeError: module 'pkgutil' has no attribute 'ImpImporter'. Did you mean: "
            "'zipimporter'?"
        ),
        "removed-from-python",
        "pkgutil.ImpImporter",
        "3.11",
    ),
    (
        "AttributeError: module 'configparser' has no attribute 'SafeConfigParser'",
        "removed-from-python",
        "configparser.SafeConfigParser",
        "3.11",
    ),
    (
        "ImportError: cannot import name 'Mapping' from 'collections' (/x/collections/__init__.py)",
        "removed-from-python",
        "collections.Mapping",
        "3.9",
    ),
    (
        "AttributeError: module 'ast' has no attribute 'Str'",
        "removed-from-python",
        "ast.Str",
        "3.13",
    ),
    (
        "AttributeError: module 'platform' has no attribute 'linux_distribution'",
        "removed-from-python",
        "platform.linux_distribution",
        "",
    ),
    (
        "ModuleNotFoundError: No module named 'pkg_resources'",
        "requirement-too-new",
        "pkg_resources",
        "setuptools<82",
    ),
    (
        "ModuleNotFoundError: No module named 'distutils.msvccompiler'",
        "requirement-too-new",
        "distutils.msvccompiler",
        "setuptools<74",
    ),
    (
        "ModuleNotFoundError: No module named 'setuptools.gone'",
        "requirement-too-new",
        "setuptools.gone",
        "setuptools",
    ),
    (
        "ImportError: cannot import name 'Feature' from 'setuptools' (/x/setuptools/__init__.py)",
        "requirement-too-new",
        "setuptools.Feature",
        "setuptools<46",
    ),
    (
        "error in demo setup command: use_2to3 is invalid.",
        "requirement-too-new",
        "use_2to3",
        "setuptools<58",
    ),
    ("error: invalid command 'test'", "requirement-too-new", "test", "setuptools<72"),
    (
        (
            "setuptools.errors.InvalidConfigError: Invalid dash-separated key 'description-file' "
            "in 'metadata' (setup.cfg), please use the underscore name 'description_file' instead."
        ),
        "requirement-too-new",
        "description-file",
        "setuptools<78",
    ),
    (
        (
            "setuptools.errors.InvalidConfigError: License classifiers have been superseded by "
            "license expressions"
        ),
        "requirement-too-new",
        "License classifiers",
        "setuptools<77",
    ),
    ("AttributeError: cython_sources", "requirement-too-new", "cython_sources", "Cython<3"),
    (
        "AttributeError: module 'numpy' has no attribute 'int'.\n`np.int` was a deprecated alias",
        "requirement-too-new",
        "numpy.int",
        "numpy<1.24",
    ),
    # Versions, of the project and of Python.
    (
        "LookupError: setuptools-scm was unable to detect version for /x.\n\nMake sure you're",
        "version-unknown",
        "setuptools-scm",
        "SETUPTOOLS_SCM_PRETEND_VERSION",
    ),
    (
        (
            "Exception: Versioning for this project requires either an sdist tarball, or access to "
            "an upstream git repository."
        ),
        "version-unknown",
        "pbr",
        "PBR_VERSION",
    ),
    (
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?",
        "python-two",
        "Missing parentheses in call to 'print'",
        "",
    ),
    (
        "SyntaxError: multiple exception types must be parenthesized",
        "python-two",
        "multiple exception types must be parenthesized",
        "",
    ),
    ("ModuleNotFoundError: No module named 'urllib2'", "python-two", "import urllib2", ""),
    (
        "NameError: name 'unicode' is not defined",
        "python-two",
        "name 'unicode' is not defined",
        "",
    ),
    (
        "ERROR: Package 'm' requires a different Python: 3.13.0 not in '>=4'",
        "python-refused",
        "3.13.0 not in '>=4'",
        "",
    ),
    (
        "meson-python: error: The package requires Python version >=4, running on 3.13.0",
        "python-refused",
        "Python version >=4, running on 3.13.0",
        "",
    ),
    (
        (
            "RuntimeError: Cannot install on Python version 3.13.0; only versions >=3.8,<3.12 are "
            "supported."
        ),
        "python-refused",
        "Python version 3.13.0; only versions >=3.8,<3.12 are supported.",
        "",
    ),
    (
        (
            "error: the configured Python interpreter version (3.14) is newer than PyO3's maximum "
            "supported version (3.13)"
        ),
        "python-refused",
        "PyO3 there knows Python 3.13 at most, this is 3.14",
        "PYO3_USE_ABI3_FORWARD_COMPATIBILITY=1",
    ),
]


@pytest.mark.parametrize(("output", "code", "finding", "remedy"), MESSAGES)
def test_diagnosis__a_known_message_has_a_cause(
    output: str, code: str, finding: str, remedy: str
) -> None:
    error = fail(f"running build\n{output}\n")

    assert (error.code, error.finding) == (code, finding)
    assert remedy in error.remedy
    assert bool(remedy) == bool(error.remedy)


def test_diagnosis__every_code_has_a_message_here() -> None:
    assert set(CODES) == {code for _, code, _, _ in MESSAGES}


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


def test_diagnosis__of_two_causes_the_last_counts() -> None:
    error = fail(
        "ModuleNotFoundError: No module named 'Cython'\n"
        "During handling of the above exception, another exception occurred:\n"
        "m.c:1:10: fatal error: zlib.h: No such file or directory\n"
        "error: command '/usr/bin/gcc' failed with exit code 1\n"
    )

    assert (error.code, error.finding) == ("header-missing", "zlib.h")


def test_diagnosis__a_probe_after_the_missing_header_is_ignored() -> None:
    error = fail(
        "m.c:1:10: fatal error: zlib.h: No such file or directory\n"
        "_configtest.c:1:10: fatal error: ffi.h: No such file or directory\n"
    )

    assert error.finding == "zlib.h"


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
        "a",
        "a.",
        ":1",
        "'",
        "'pip', ",
        "error: ",
        "fatal error: ",
        "a_config ",
        "\x1b[",
        "\x1b]",
        "\n",
        " ",
        "CMake Error at x\n",
        "sh: 1: ",
        "ERROR: ",
        "lib-",
    ],
)
def test_diagnosis__a_hostile_output_does_not_keep_the_rules_busy(unit: str) -> None:
    program = (
        "import sys\n"
        "from wheelforge.diagnosis import Failure, diagnose\n"
        "output = (sys.argv[1] * 65536).encode()[:65536]\n"
        "print(diagnose(Failure(source='x', hook='h', status=1, output=output)).code)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, unit],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
        check=True,
    )

    assert done.stdout == "backend-failed\n"


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


def test_hook_missing__names_the_hook() -> None:
    missing = errors.HookMissingError("build_editable")
    unsupported = errors.BackendError("hook-unsupported", "build_sdist", "backend.Unsupported: no")

    assert "`build_editable`" in str(missing)
    assert "build-backend" in missing.hint
    assert "`build_sdist`" in str(unsupported)
    assert str(unsupported).endswith("\n  backend.Unsupported: no")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_diagnosis__reads_the_compiler_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "m.c").write_text('#include "libxml/nowhere.h"\n', encoding="utf-8")

    error = provoke("gcc", "-c", "m.c", "-fdiagnostics-color=always", cwd=tmp_path)

    assert (error.code, error.finding) == ("header-missing", "libxml/nowhere.h")
    assert "`libxml2-dev`" in error.hint


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_diagnosis__reads_the_linker_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "m.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")

    error = provoke("gcc", "m.c", "-lnowhere", cwd=tmp_path)

    assert (error.code, error.finding) == ("library-missing", "nowhere")


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_diagnosis__reads_the_shell_of_this_machine(tmp_path: Path) -> None:
    error = provoke("sh", "-c", "swig-nowhere -python x.i", cwd=tmp_path)

    assert (error.code, error.finding) == ("tool-missing", "swig-nowhere")


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
    ],
)
def test_diagnosis__reads_this_python(
    code: str, expected: str, finding: str, tmp_path: Path
) -> None:
    if code.startswith("import setuptools"):
        (tmp_path / "setuptools.py").touch()

    error = provoke(sys.executable, "-c", code, cwd=tmp_path)

    assert (error.code, error.finding) == (expected, finding)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals that end a process")
@pytest.mark.parametrize(
    ("name", "code"), [("SIGKILL", "build-out-of-memory"), ("SIGABRT", "build-crashed")]
)
def test_diagnosis__names_the_signal_that_ended_a_process(
    name: str, code: str, tmp_path: Path
) -> None:
    program = f"import os, signal; os.kill(os.getpid(), signal.{name})"

    error = provoke(sys.executable, "-c", program, cwd=tmp_path)

    assert (error.code, error.finding) == (code, name)
