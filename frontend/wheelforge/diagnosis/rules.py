"""The messages of the programs that take part in a build, and what each of them means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from wheelforge.diagnosis.known_packages import (
    find_distribution,
    find_last_python,
    find_older,
    is_python_two,
    is_tool,
    suggest_package,
)


class Cause(NamedTuple):
    """The code of an error, and what it says beside the failure itself."""

    code: str = "backend-failed"
    finding: str = ""
    remedy: str = ""


UNKNOWN = Cause()
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".f", ".f90", ".m", ".pyx", ".s", ".S")
_PROBES = ("conftest.", "_configtest.", "testfile.c", "CMakeScratch")
_LANGUAGES = {"C": "cc", "CC": "cc", "CXX": "c++", "Fortran": "gfortran", "FC": "gfortran"}
_MSVC = "the Build Tools for Visual Studio, with C++"
_FLAT = "name the packages in its pyproject.toml: `packages` below `[tool.setuptools]`"
_SCM = "SETUPTOOLS_SCM_PRETEND_VERSION"


def conclude(rule: Cause, match: re.Match[str]) -> Cause | None:
    """Return what a match of a rule means; nothing if it means nothing.

    The finding of a rule is a template for the match; without one it is the group that has caught
    something, as some patterns have several.
    """
    finding = match.expand(rule.finding) if rule.finding else ""
    if not finding and match.lastindex:
        finding = match[match.lastindex].strip()
    judge = _JUDGES.get(rule.code)
    return judge(finding, match) if judge else rule._replace(finding=finding)


def _judge_header(name: str, match: re.Match[str]) -> Cause | None:
    last = find_last_python(name)
    line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.end()]
    if any(probe in line for probe in _PROBES):
        return None  # the project tries out whether it is there
    if name.endswith(_SOURCES):
        return UNKNOWN
    if last is not None:
        return Cause("removed-from-python", name, last)
    return Cause("header-missing", name, suggest_package(name))


def _judge_library(name: str, _: re.Match[str]) -> Cause:
    name = name.removesuffix(".lib")
    return Cause("library-missing", name, suggest_package(name))


def _judge_tool(name: str, _: re.Match[str]) -> Cause:
    if re.match(r"/.*/|[A-Z]:\\", name) and is_tool(re.split(r"[\\/]", name)[-1]):
        return Cause("tool-missing", name)  # a variable names that path
    name = re.split(r"[\\/]", name)[-1]
    return Cause("tool-missing", name, suggest_package(name))


def _judge_file(name: str, match: re.Match[str]) -> Cause:
    """Return nothing sure for a file that may be any: only some names are those of programs."""
    return _judge_tool(name, match) if is_tool(re.split(r"[\\/]", name)[-1]) else UNKNOWN


def _judge_language(name: str, match: re.Match[str]) -> Cause:
    return _judge_tool(_LANGUAGES.get(name, name), match)


def _judge_module(name: str, match: re.Match[str]) -> Cause:
    known = _judge_attribute(name, match)
    if known is not UNKNOWN:
        return known
    if is_python_two(name):
        return Cause("python-two", f"import {name}")
    return Cause("module-missing", name, find_distribution(name))


def _judge_attribute(name: str, _: re.Match[str]) -> Cause:
    last = find_last_python(name)
    if last is not None:
        return Cause("removed-from-python", name, last)
    older = find_older(name)
    return Cause("requirement-too-new", name, older) if older else UNKNOWN


_JUDGES: dict[str, Callable[[str, re.Match[str]], Cause | None]] = {
    "a header": _judge_header,
    "a library": _judge_library,
    "a tool": _judge_tool,
    "a file": _judge_file,
    "a language": _judge_language,
    "a module": _judge_module,
    "an attribute": _judge_attribute,
}
"""Rules with one of these instead of a code depend on what was found."""
_HEADER = Cause("a header")
_LIBRARY = Cause("a library")
_TOOL = Cause("a tool")
_FILE = Cause("a file")
_LANGUAGE = Cause("a language")
_MODULE = Cause("a module")
_REFUSED = Cause("python-refused")
_TWO = Cause("python-two", r"\g<0>")
_PYO3 = Cause(
    "python-refused",
    r"PyO3 there knows Python \2 at most, this is \1",
    "PYO3_USE_ABI3_FORWARD_COMPATIBILITY=1",
)
_TABLE: tuple[tuple[str, Cause], ...] = (
    # The machine.
    (
        r"No space left on device|There is not enough space on the disk|Disk quota exceeded",
        Cause("build-disk-full"),
    ),
    (
        (
            r"^(?:MemoryError\b|Killed$)|Killed signal terminated program|virtual memory exhausted"
            r"|signal: 9, SIGKILL|SIGKILL: 9|exit status -9\b|std::bad_alloc"
            r"|LLVM ERROR: out of memory|compiler is out of heap space|Cannot allocate memory"
            r"|JavaScript heap out of memory"
        ),
        Cause("build-out-of-memory"),
    ),
    (r"died with <Signals\.(SIG[A-Z]+): \d+>", Cause("build-crashed")),
    (
        (
            r"[Cc]ould not resolve(?: host| proxy)?: ([\w.-]+)"
            r"|Name or service not known|nodename nor servname provided|getaddrinfo failed"
            r"|Temporary failure in name resolution|Network is unreachable|No route to host"
            r"|<urlopen error \[Errno (?:111|61)\]|NewConnectionError"
        ),
        Cause("build-network"),
    ),
    (
        (
            r"\b(?:PermissionError|error): \[(?:Errno 1|Errno 13|WinError 5)\] [^\n:]{1,80}"
            r"(?:: '([^'\n]+)')?"
            r"|\berror: [^\n']{0,80}'([^'\n]+)': Permission denied"
        ),
        Cause("build-access"),
    ),
    # Compilers, linkers and what looks for them.
    (r"fatal error: ([^\n:']{1,200}): No such file or directory", _HEADER),
    (r"\berror: ([^\n:']{1,200}\.h\w{0,2}): No such file or directory", _HEADER),
    (r"fatal error: '([^'\n]+)' file not found", _HEADER),
    (r"fatal error C1083: Cannot open include file: '([^'\n]+)'", _HEADER),
    (r"ERROR: (?:C|C\+\+|Fortran) header '([^'\n]+)' not found", _HEADER),
    (r"cannot find -l:?([\w.+-]+)|library not found for -l([\w.+-]+)", _LIBRARY),
    (r"ld: library '([^'\n]+)' not found|unable to find library -l([\w.+-]+)", _LIBRARY),
    (r"fatal error LNK(?:1181|1104): cannot open (?:input )?file '([^'\n]+\.lib)'", _LIBRARY),
    (r"ERROR: Dependency ['\"]([^'\"\n]+)['\"] not found", _LIBRARY),
    (r"ERROR: \S+ (?:shared or static |shared |static )?library '([^'\n]+)' not found", _LIBRARY),
    (r"^CMake Error at [^\n]{1,400}\n\s+Could NOT find (\w+)", _LIBRARY),
    (r"^CMake Error at [^\n]{1,400}\n\s+By not providing \"Find(\w+)\.cmake\"", _LIBRARY),
    (
        (
            r"^CMake Error at [^\n]{1,400}\n\s+Could not find a package configuration file\s+"
            r"provided by\s+\"(\w+)\""
        ),
        _LIBRARY,
    ),
    (r"The following required packages were not found:\s+- ([\w.+-]+)", _LIBRARY),
    (r"No package '([\w.+-]+)' found|Package ([\w.+-]+) was not found in the pkg-config", _LIBRARY),
    (r"headers or library files could not be found for (\w+)", _LIBRARY),
    (r"make sure the (libxml2) and libxslt development packages are installed", _LIBRARY),
    (r"Could not find directory of (OpenSSL) installation", _LIBRARY),
    (r"command '([^'\n]+)' failed: No such file or directory", _TOOL),
    (r"unable to execute '([^'\n]+)': No such file or directory", _TOOL),
    (r"[eE]rror: \[Errno 2\] No such file or directory: '([^'\n]+)'", _FILE),
    (r"sh: (?:line )?(?:\d+: )?([\w.+-]+): (?:command )?not found", _TOOL),
    (r"\bmake(?:\[\d+\])?: ([\w.+-]+): (?:No such file or directory|[Cc]ommand not found)", _TOOL),
    (r"'([\w.+-]+)' is not recognized as an internal or external command", _TOOL),
    (r"ERROR: Unknown compiler\(s\): \[\['([^'\n]+)'", _TOOL),
    (r"ERROR: Program '([^'\n]+)' not found", _TOOL),
    (r"meson executable \"(meson)\" not found", _TOOL),
    (r"\b(\w{1,30}[-_]config)\b(?: executable|:)? not found", _TOOL),
    (r"Could not find the compiler specified in the environment variable\s+(CC|CXX|FC)", _LANGUAGE),
    (r"No CMAKE_(\w+)_COMPILER could be found", _LANGUAGE),
    (r"unable to find a build program corresponding to \"Ninja\"", Cause("a tool", "ninja")),
    (
        r"unable to find a build program corresponding to \"Unix Makefiles\"",
        Cause("a tool", "make"),
    ),
    (r"Could not detect Ninja", Cause("a tool", "ninja")),
    (r"CMake must be installed|Could not find CMake\b", Cause("a tool", "cmake")),
    (r"can't find Rust compiler", Cause("a tool", "rustc")),
    (r"Cargo, the Rust package manager, is not installed", Cause("a tool", "cargo")),
    (
        r"Microsoft Visual C\+\+ [\d.]+ (?:or greater )?is required|Unable to find vcvarsall\.bat",
        Cause("tool-missing", "Microsoft Visual C++", _MSVC),
    ),
    # Python, and what the project expects of its requirements.
    (r"\bModuleNotFoundError: No module named '?([\w.]+)", _MODULE),
    (r"\bpython[\d.]*(?:\.exe)?: No module named ([\w.]+)", _MODULE),
    (r"'pip', [^\n]{1,400}'--quiet', '([^'\n]+)'\]' returned non-zero", Cause("module-missing")),
    (r"error: invalid command '(bdist_wheel)'", Cause("module-missing", "wheel", "wheel")),
    (r"\bImportError: cannot import name '(\w+)' from '([\w.]+)'", Cause("an attribute", r"\2.\1")),
    (
        r"\bAttributeError: module '([\w.]+)' has no attribute '(\w+)'",
        Cause("an attribute", r"\1.\2"),
    ),
    (
        r"\bAttributeError: cython_sources",
        Cause("requirement-too-new", "cython_sources", "Cython<3"),
    ),
    (r"\buse_2to3 is invalid", Cause("requirement-too-new", "use_2to3", "setuptools<58")),
    (r"error: invalid command 'test'", Cause("requirement-too-new", "test", "setuptools<72")),
    (
        r"InvalidConfigError: Invalid (?:dash-separated|uppercase) key '([^'\n]+)'",
        Cause("requirement-too-new", remedy="setuptools<78"),
    ),
    (
        r"InvalidConfigError: (License classifiers) have been superseded",
        Cause("requirement-too-new", remedy="setuptools<77"),
    ),
    (
        r"(setuptools-scm|vcs-versioning) was unable to detect version",
        Cause("version-unknown", remedy=_SCM),
    ),
    (
        r"Versioning for this project requires either an sdist tarball",
        Cause("version-unknown", "pbr", "PBR_VERSION"),
    ),
    (r"Missing parentheses in call to '(?:print|exec)'", _TWO),
    (r"multiple exception types must be parenthesized", _TWO),
    (r"name '(?:basestring|execfile|raw_input|unicode|xrange)' is not defined", _TWO),
    (r"requires a different Python: ([^\n]{1,100})", _REFUSED),
    (r"(?i:requires) (Python (?:version )?'?[<>=!~]=? ?\d[^\n]{0,80})", _REFUSED),
    (r"Error: (Python version [<>=!~]+ ?[\d.]+) required", _REFUSED),
    (r"Cannot install on (Python version [^\n]{1,100})", _REFUSED),
    (r"version \(([\d.]+)\) is newer than PyO3's maximum supported version \(([\d.]+)\)", _PYO3),
    (r"^[^\n]{0,80}\bfor Python 2(?:\.7)?(?: only\b|\.?$)", _TWO),
    (
        r"error: Multiple top-level (?:packages|modules) discovered in a flat-layout",
        Cause(remedy=_FLAT),
    ),
    # Errors that say nothing of this kind, and outweigh whatever went wrong before.
    (
        (
            r"^(?:\w+\.)*(?:Assertion|Attribute|FileNotFound|Import|Index|Key|Name|NotImplemented|Syntax"
            r"|Type|UnicodeDecode|UnicodeEncode|Value|ZeroDivision)Error(?::|$)"
        ),
        UNKNOWN,
    ),
    (r":\d+: error: |\(\d+\): error C\d+|^error\[E\d+\]|undefined reference to ", UNKNOWN),
)
RULES = tuple((re.compile(pattern, re.MULTILINE), rule) for pattern, rule in _TABLE)
