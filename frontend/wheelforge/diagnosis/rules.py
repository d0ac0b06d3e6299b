"""What the programs that take part in a build say when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from wheelforge.diagnosis import known_packages as remedies


class Cause(NamedTuple):
    """The code of an error, and what it says beside the failure itself."""

    code: str = "backend-failed"
    finding: str = ""
    remedy: str = ""


_Conclusion = Callable[[re.Match[str]], Cause | None]
"""What makes a cause of a match; nothing if it means nothing."""
UNKNOWN = Cause()
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".f", ".f90", ".m", ".pyx", ".s", ".S")
_PROBES = ("conftest.", "_configtest.", "testfile.c", "CMakeScratch")
_LANGUAGES = {"C": "cc", "CC": "cc", "CXX": "c++", "Fortran": "gfortran", "FC": "gfortran"}
_MSVC = "the Build Tools for Visual Studio, with C++"


def _caught(match: re.Match[str]) -> str:
    """Return what the group has caught that took part in the match; some patterns have several."""
    return match[match.lastindex].strip() if match.lastindex else ""


def _header(match: re.Match[str]) -> Cause | None:
    """Return nothing for what a project tries out to see whether it is there."""
    line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.end()]
    if any(probe in line for probe in _PROBES):
        return None
    name = _caught(match)
    if name.endswith(_SOURCES):
        return UNKNOWN
    return Cause("header-missing", name, remedies.suggest_package(name))


def _library(match: re.Match[str]) -> Cause:
    name = _caught(match).removesuffix(".lib")
    return Cause("library-missing", name, remedies.suggest_package(name))


def _tool(match: re.Match[str]) -> Cause:
    name = re.split(r"[\\/]", match[1])[-1]
    return Cause("tool-missing", name, remedies.suggest_package(name))


def _known_tool(match: re.Match[str]) -> Cause:
    """Return nothing sure for a file that may be any: only some names are those of programs."""
    return _tool(match) if remedies.is_tool(match[1]) else UNKNOWN


def _language(match: re.Match[str]) -> Cause:
    name = _LANGUAGES.get(match[1], match[1])
    return Cause("tool-missing", name, remedies.suggest_package(name))


def _module(match: re.Match[str]) -> Cause:
    name = match[1]
    last = remedies.find_last_python(name)
    if last is not None:
        return Cause("removed-from-python", name, last)
    if older := remedies.find_older(name):
        return Cause("requirement-too-new", name, older)
    if remedies.is_python_two(name):
        return Cause("python-two", f"import {name}")
    return Cause("module-missing", name, remedies.find_distribution(name))


def _attribute(module: str, name: str) -> Cause:
    full = f"{module}.{name}"
    last = remedies.find_last_python(full)
    if last is not None:
        return Cause("removed-from-python", full, last)
    if older := remedies.find_older(full):
        return Cause("requirement-too-new", full, older)
    return UNKNOWN


def _missing_name(match: re.Match[str]) -> Cause:
    return _attribute(match[2], match[1])


def _missing_attribute(match: re.Match[str]) -> Cause:
    return _attribute(match[1], match[2])


def _says(code: str, remedy: str = "") -> _Conclusion:
    """Return what makes a cause of a match and what it has caught, if it has."""

    def conclude(match: re.Match[str]) -> Cause:
        return Cause(code, _caught(match), remedy)

    return conclude


def _quotes(code: str) -> _Conclusion:
    return lambda match: Cause(code, match[0])


def _too_new(finding: str, remedy: str) -> _Conclusion:
    return lambda _: Cause("requirement-too-new", finding, remedy)


def _tool_called(name: str, remedy: str = "") -> _Conclusion:
    known = remedy or remedies.suggest_package(name)
    return lambda _: Cause("tool-missing", name, known)


def _pyo3(match: re.Match[str]) -> Cause:
    finding = f"PyO3 there knows Python {match[2]} at most, this is {match[1]}"
    return Cause("python-refused", finding, "PYO3_USE_ABI3_FORWARD_COMPATIBILITY=1")


def _unknown(_: re.Match[str]) -> Cause:
    return UNKNOWN


_SCM = "SETUPTOOLS_SCM_PRETEND_VERSION"
_TABLE: tuple[tuple[str, _Conclusion], ...] = (
    # The machine.
    (
        r"No space left on device|There is not enough space on the disk|Disk quota exceeded",
        _says("build-disk-full"),
    ),
    (
        (
            r"^(?:MemoryError\b|Killed$)|Killed signal terminated program|virtual memory exhausted"
            r"|signal: 9, SIGKILL|SIGKILL: 9|exit status -9\b|std::bad_alloc"
            r"|LLVM ERROR: out of memory|compiler is out of heap space|Cannot allocate memory"
            r"|JavaScript heap out of memory"
        ),
        _says("build-out-of-memory"),
    ),
    (r"died with <Signals\.(SIG[A-Z]+): \d+>", _says("build-crashed")),
    (
        (
            r"[Cc]ould not resolve (?:host|proxy)(?: name)?:? ?\(?"
            r"(?:Could not resolve \w+: )?([\w.-]*)"
            r"|Name or service not known|nodename nor servname provided|getaddrinfo failed"
            r"|Temporary failure in name resolution|Network is unreachable|No route to host"
            r"|<urlopen error \[Errno (?:111|61)\]|NewConnectionError"
        ),
        _says("build-network"),
    ),
    (
        (
            r"\b(?:PermissionError|error): \[(?:Errno 1|Errno 13|WinError 5)\] [^\n:]{1,80}"
            r"(?:: '([^'\n]+)')?"
            r"|\berror: [^\n']{0,80}'([^'\n]+)': Permission denied"
        ),
        _says("build-access"),
    ),
    # Compilers, linkers and what looks for them.
    (r"fatal error: ([^\n:']{1,200}): No such file or directory", _header),
    (r"\berror: ([^\n:']{1,200}\.h\w{0,2}): No such file or directory", _header),
    (r"fatal error: '([^'\n]+)' file not found", _header),
    (r"fatal error C1083: Cannot open include file: '([^'\n]+)'", _header),
    (r"ERROR: (?:C|C\+\+|Fortran) header '([^'\n]+)' not found", _header),
    (r"cannot find -l:?([\w.+-]+)|library not found for -l([\w.+-]+)", _library),
    (r"ld: library '([^'\n]+)' not found|unable to find library -l([\w.+-]+)", _library),
    (r"fatal error LNK(?:1181|1104): cannot open (?:input )?file '([^'\n]+\.lib)'", _library),
    (r"ERROR: Dependency ['\"]([^'\"\n]+)['\"] not found", _library),
    (r"ERROR: \S+ (?:shared or static |shared |static )?library '([^'\n]+)' not found", _library),
    (r"^CMake Error at [^\n]{1,400}\n\s+Could NOT find (\w+)", _library),
    (r"^CMake Error at [^\n]{1,400}\n\s+By not providing \"Find(\w+)\.cmake\"", _library),
    (
        (
            r"^CMake Error at [^\n]{1,400}\n\s+Could not find a package configuration file\s+"
            r"provided by\s+\"(\w+)\""
        ),
        _library,
    ),
    (r"The following required packages were not found:\s+- ([\w.+-]+)", _library),
    (r"No package '([\w.+-]+)' found|Package ([\w.+-]+) was not found in the pkg-config", _library),
    (r"headers or library files could not be found for (\w+)", _library),
    (r"make sure the (libxml2) and libxslt development packages are installed", _library),
    (r"Could not find directory of (OpenSSL) installation", _library),
    (r"command '([^'\n]+)' failed: No such file or directory", _tool),
    (r"unable to execute '([^'\n]+)': No such file or directory", _tool),
    (r"[eE]rror: \[Errno 2\] No such file or directory: '([\w+.-]+)'", _known_tool),
    (r"sh: (?:line )?(?:\d+: )?([\w.+-]+): (?:command )?not found", _tool),
    (r"\bmake(?:\[\d+\])?: ([\w.+-]+): (?:No such file or directory|[Cc]ommand not found)", _tool),
    (r"'([\w.+-]+)' is not recognized as an internal or external command", _tool),
    (r"ERROR: Unknown compiler\(s\): \[\['([^'\n]+)'", _tool),
    (r"ERROR: Program '([^'\n]+)' not found", _tool),
    (r"meson executable \"(meson)\" not found", _tool),
    (r"\b(\w{1,30}[-_]config)\b(?: executable|:)? not found", _tool),
    (r"Could not find the compiler specified in the environment variable\s+(CC|CXX|FC)", _language),
    (r"No CMAKE_(\w+)_COMPILER could be found", _language),
    (r"unable to find a build program corresponding to \"Ninja\"", _tool_called("ninja")),
    (r"unable to find a build program corresponding to \"Unix Makefiles\"", _tool_called("make")),
    (r"Could not detect Ninja", _tool_called("ninja")),
    (r"CMake must be installed|Could not find CMake\b", _tool_called("cmake")),
    (r"can't find Rust compiler", _tool_called("rustc")),
    (r"Cargo, the Rust package manager, is not installed", _tool_called("cargo")),
    (
        r"Microsoft Visual C\+\+ [\d.]+ (?:or greater )?is required|Unable to find vcvarsall\.bat",
        _tool_called("Microsoft Visual C++", _MSVC),
    ),
    # Python, and what the project expects of its requirements.
    (r"\bModuleNotFoundError: No module named '?([\w.]+)", _module),
    (r"\bpython[\d.]*(?:\.exe)?: No module named ([\w.]+)", _module),
    (
        r"'pip', [^\n]{1,400}'--quiet', '([^'\n]+)'\]' returned non-zero",
        _says("module-missing"),
    ),
    (
        r"error: invalid command '(bdist_wheel)'",
        lambda _: Cause("module-missing", "wheel", "wheel"),
    ),
    (r"\bImportError: cannot import name '(\w+)' from '([\w.]+)'", _missing_name),
    (r"\bAttributeError: module '([\w.]+)' has no attribute '(\w+)'", _missing_attribute),
    (r"\bAttributeError: cython_sources", _too_new("cython_sources", "Cython<3")),
    (r"\buse_2to3 is invalid", _too_new("use_2to3", "setuptools<58")),
    (r"error: invalid command 'test'", _too_new("test", "setuptools<72")),
    (
        r"InvalidConfigError: Invalid (?:dash-separated|uppercase) key '([^'\n]+)'",
        _says("requirement-too-new", "setuptools<78"),
    ),
    (
        r"InvalidConfigError: (License classifiers) have been superseded",
        _says("requirement-too-new", "setuptools<77"),
    ),
    (
        r"(setuptools-scm|vcs-versioning) was unable to detect version",
        _says("version-unknown", _SCM),
    ),
    (
        r"Versioning for this project requires either an sdist tarball",
        lambda _: Cause("version-unknown", "pbr", "PBR_VERSION"),
    ),
    (r"Missing parentheses in call to '(?:print|exec)'", _quotes("python-two")),
    (r"multiple exception types must be parenthesized", _quotes("python-two")),
    (
        r"name '(?:basestring|execfile|raw_input|unicode|xrange)' is not defined",
        _quotes("python-two"),
    ),
    (r"requires a different Python: ([^\n]{1,100})", _says("python-refused")),
    (
        r"(?i:requires) (Python (?:version )?'?[<>=!~]=? ?\d[^\n]{0,80})",
        _says("python-refused"),
    ),
    (r"Error: (Python version [<>=!~]+ ?[\d.]+) required", _says("python-refused")),
    (r"Cannot install on (Python version [^\n]{1,100})", _says("python-refused")),
    (r"version \(([\d.]+)\) is newer than PyO3's maximum supported version \(([\d.]+)\)", _pyo3),
    # Errors that say nothing of this kind, and outweigh whatever went wrong before.
    (
        (
            r"^(?:\w+\.)*(?:Assertion|Attribute|FileNotFound|Import|Index|Key|Name|NotImplemented|Syntax"
            r"|Type|UnicodeDecode|UnicodeEncode|Value|ZeroDivision)Error(?::|$)"
        ),
        _unknown,
    ),
    (r":\d+: error: |\(\d+\): error C\d+|^error\[E\d+\]|undefined reference to ", _unknown),
)
RULES = tuple((re.compile(pattern, re.MULTILINE), conclude) for pattern, conclude in _TABLE)
