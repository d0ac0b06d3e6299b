"""What a Python is: where it lives, which wheels it takes, what it answers to markers.

A Python is asked once, by running it, and its answer is remembered in a file named by the path of
its executable. The file opens with a seal: the digest of the answer and of all that the answer
depends on, namely the executable (where it leads, size, time), the settings of its virtual
environment, the system's kernel and C library, and the release of `packaging` that worked it out.
A seal that differs means an answer that is damaged, outdated or not ours, which are all the same:
the Python is asked again. So no field of a remembered answer needs to be checked.

What starts another Python than itself, as a pyenv shim does, may start a different one tomorrow.
It stands for the Python that it starts now, and is asked every time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from wheelforge_isolation import _fs
from wheelforge_isolation.errors import (
    InterpreterNotFoundError,
    InterpreterTooOldError,
    InterpreterUnusableError,
    IsolationError,
    quoted,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.machinery import ModuleSpec

OLDEST = (3, 9)
"""What `packaging` still runs on, which says what a Python's tags are."""
TIMEOUT_SECONDS = 30.0

_ON_WINDOWS = os.name == "nt"
_BIN, _SUFFIX = ("Scripts", ".exe") if _ON_WINDOWS else ("bin", "")
_SETTINGS = "pyvenv.cfg"
_FORMAT = 1
_NAME_LENGTH = 32
_IDENTITY_LENGTH = 16
_MOST_OUTPUT_BYTES = 1 << 20
_PATHS = ("executable", "prefix", "base_prefix", "base_executable")
_TUPLES = ("version_info", "tags")
_DECISIVE = ("implementation", "soabi", "extension_suffix", "platform", "base_executable")
"""What decides, with the build and the time of the base, what an environment looks like."""

_REQUEST = re.compile(r"(python|cpython|pypy)?-?(\d+(?:\.\d+){0,2})(t?)")
_ANY_NAMES = ("python", "python3", "pypy3")
_OWN_NAME = re.compile(r"(?:python|pypy)3\.(\d+)t?(?:\.exe)?")
_STEERING = ("PYTHON", "_PYTHON", "__PYVENV", "MACOSX_DEPLOYMENT_TARGET", "ARCHFLAGS")
"""How variables begin that make a Python answer something else."""

_PROBE = os.path.join(os.path.dirname(__file__), "_probe.py")
_MARK = "wheelforge-probe:"
# Understood by Python 2 as well, so that what is too old can say so. Never started with the
# working directory on its path: that belongs to a project, and may hold a json.py.
_START = f"""
import sys
sys.path[:] = [entry for entry in sys.path if entry]
if sys.version_info < {OLDEST}:
    print('\\n{_MARK}{{"version": "' + ".".join(map(str, sys.version_info[:3])) + '"}}')
else:
    with open(sys.argv[1], "rb") as script:
        exec(compile(script.read(), sys.argv[1], "exec"))
"""
# One by one what `-I` is, which Python 2 does not know; -B as we do not own where it would write.
_FLAGS = ("-E", "-s", "-S", "-B", "-c", _START)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Where a virtual environment keeps things, relative to its root, with forward slashes."""

    purelib: str
    platlib: str
    scripts: str
    data: str
    headers: str
    """Each distribution has a directory of its own below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One Python, as it describes itself."""

    executable: Path
    """As it was found: what it links to may be in no virtual environment."""
    implementation: str
    version: str
    version_info: tuple[int, int]
    soabi: str
    extension_suffix: str
    abiflags: str
    is_free_threaded: bool
    is_debug: bool
    platform: str
    tags: tuple[str, ...]
    """Of the wheels it takes, best first."""
    markers: Mapping[str, str] = field(hash=False)
    prefix: Path
    base_prefix: Path
    base_executable: Path
    """In no virtual environment, and no link; what environments are made from."""
    scheme: Scheme
    identity: str
    """Equal for those whose environments are interchangeable."""


def find_interpreter(
    request: str | None,
    *,
    search: Sequence[Path],
    memory: Path,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Interpreter:
    """Return the Python that ``request`` asks for: the running one, one by path, or by version.

    A path is an absolute one, of an executable, a virtual environment or a prefix. Versions
    (``3.12``, ``python3.12.1``, ``3.13t``, ``pypy3.10``) and names of programs are looked for in
    the directories ``search``, and in the versions that belong to a pyenv directory among them;
    of those, the newest that fits. Answers are remembered below ``memory``. ``environment`` is
    what a Python is run with; on Windows it has to name SYSTEMROOT.
    """
    if environment is None:
        environment = {"PATH": os.pathsep.join([*map(str, search), os.defpath])}
    guide = _Guide(memory=str(memory), environment=environment, timeout_seconds=timeout_seconds)
    if request is None:
        # A program that Python is embedded in may have no executable that is a Python.
        request = sys.executable or f"python{_dotted(sys.version_info[:2])}"
    if os.path.isabs(request) or os.path.dirname(request):
        return guide.inspect(_find_executable(request))
    return _search(_parse_request(request), search, guide)


# Which executables: by path, or in directories.


def _find_executable(path: str) -> str:
    """Return the executable that ``path`` is, or that the environment or prefix there has."""
    path = os.path.abspath(path)
    candidates = [path]
    if os.path.isdir(path):
        candidates = [
            os.path.join(directory, name)
            for directory in (os.path.join(path, _BIN), path)
            for name in (*(name + _SUFFIX for name in _ANY_NAMES), *_list_own_names(directory))
        ]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise InterpreterNotFoundError(path, (path,))


def _list_own_names(directory: str) -> list[str]:
    """Return names like ``python3.12``: all that an alternative installation has; newest first."""
    matches = filter(None, map(_OWN_NAME.fullmatch, _list(directory)))
    return [match[0] for match in sorted(matches, key=lambda match: -int(match[1]))]


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A request that names no path."""

    text: str
    names: tuple[str, ...]
    """What an executable that may grant it is called, the likeliest first."""
    implementation: str = ""
    version: tuple[int, ...] = ()
    is_free_threaded: bool = False

    @property
    def is_for_minor_version(self) -> bool:
        return len(self.version) > 1

    def may_be_granted_by(self, version: tuple[int, ...]) -> bool:
        known = min(len(version), len(self.version))
        return version[:known] == self.version[:known]

    def is_granted_by(self, interpreter: Interpreter) -> bool:
        if not self.may_be_granted_by(_read_numbers(interpreter.version)):
            return False
        if self.implementation not in {"", interpreter.implementation}:
            return False
        threads = interpreter.is_free_threaded
        return threads == self.is_free_threaded or not self.is_for_minor_version


def _parse_request(text: str) -> _Wish:
    match = _REQUEST.fullmatch(text)
    if not match:
        return _Wish(text=text, names=(text + _SUFFIX,))
    implementation, version, threads = (group or "" for group in match.groups())
    numbers = _read_numbers(version)
    if numbers[:2] < OLDEST[: len(numbers)]:
        raise InterpreterTooOldError(text, version, _dotted(OLDEST))
    stem = "pypy" if implementation == "pypy" else "python"
    endings = (_dotted(numbers[:2]) + threads, _dotted(numbers[:2]), _dotted(numbers[:1]), "")
    return _Wish(
        text=text,
        names=tuple(dict.fromkeys(stem + ending + _SUFFIX for ending in endings)),
        implementation="" if implementation == "python" else implementation,
        version=numbers,
        is_free_threaded=bool(threads),
    )


def _read_numbers(version: str) -> tuple[int, ...]:
    """Return the one to three numbers at the start of a version."""
    match = re.match(r"\d+(?:\.\d+){0,2}", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _search(wish: _Wish, search: Sequence[Path], guide: _Guide) -> Interpreter:
    passed_over: list[str] = []
    for candidate in _list_candidates(wish, search):
        try:
            interpreter = guide.inspect(candidate)
        except (InterpreterUnusableError, InterpreterTooOldError) as error:
            passed_over.append(str(error))
            continue
        if wish.is_granted_by(interpreter):
            return interpreter
    searched = tuple(dict.fromkeys(map(str, search)))
    raise InterpreterNotFoundError(wish.text, searched, tuple(passed_over))


def _list_candidates(wish: _Wish, search: Sequence[Path]) -> Iterator[str]:
    """Yield what may be the Python wished for: by name first, so that few others are asked."""
    places = [place for path in search for place in _expand(os.path.abspath(path), wish)]
    directories = _list_distinct(places)
    for name in wish.names:
        for directory in directories:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield path


def _list_distinct(places: list[str]) -> list[str]:
    """Return those that exist, each by its first name only: on many systems /bin is /usr/bin."""
    directories: dict[tuple[int, int], str] = {}
    for place in places:
        with contextlib.suppress(OSError):
            status = os.stat(place)
            directories.setdefault((status.st_dev, status.st_ino), place)
    return list(directories.values())


def _expand(directory: str, wish: _Wish) -> list[str]:
    """Return ``directory``, and where Pythons are if it belongs to pyenv: its root, or its shims.

    A shim chooses among the versions by working directory, slowly, and fails for most of them;
    who names a version has chosen, and is not sent there.
    """
    is_shims = os.path.basename(directory) == "shims"
    versions = os.path.join(os.path.dirname(directory) if is_shims else directory, "versions")
    names = _list(versions)
    fitting = [name for name in names if wish.may_be_granted_by(_read_numbers(name))]
    fitting.sort(key=lambda name: (_read_numbers(name), name), reverse=True)
    places = [os.path.join(versions, name, "" if _ON_WINDOWS else _BIN) for name in fitting]
    if is_shims and names and wish.is_for_minor_version:
        return places
    return [directory, *places]


# Asking one executable, or remembering what it said.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guide:
    """Knows Pythons, from memory or by asking them."""

    memory: str
    environment: Mapping[str, str]
    timeout_seconds: float

    def inspect(self, executable: str) -> Interpreter:
        """Return what ``executable`` is."""
        name = hashlib.sha256(os.fsencode(executable)).hexdigest()[:_NAME_LENGTH]
        record = os.path.join(self.memory, f"{name}.json")
        ground = _describe_ground(executable)
        facts = _recall(record, ground)
        if facts is None:
            facts = self._ask(executable)
            if facts["executable"] == executable:
                self._remember(record, ground, facts)
        return _build(facts)

    def _ask(self, executable: str) -> dict[str, Any]:
        packaging_home = os.path.dirname(os.path.dirname(_find_packaging()))
        command = (executable, *_FLAGS, _PROBE, _MARK, packaging_home)
        facts = _parse_answer(executable, self._run(command))
        if _is_same(executable, facts["executable"]):
            facts["executable"] = executable
        facts["identity"] = _identify(facts, facts.pop("build"))
        return facts

    def _remember(self, record: str, ground: str, facts: dict[str, Any]) -> None:
        facts = {**facts, "base_stamp": _stamp(facts["base_executable"])}
        # Who may not write remembers nothing, and is none the worse for it.
        with contextlib.suppress(IsolationError):
            _fs.ensure_directory(self.memory)
            _fs.replace_file(record, _sealed(ground, json.dumps(facts).encode("ascii")))

    def _run(self, command: tuple[str, ...]) -> _Ending:
        """Run ``command`` to its end, or until its time is over or it has said too much."""
        import subprocess
        import threading

        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_without_steering(self.environment),
                process_group=None if _ON_WINDOWS else 0,
            )
        except OSError as error:
            raise InterpreterUnusableError(command[0], error.strerror or str(error)) from error
        deadline = time.monotonic() + self.timeout_seconds
        timer = threading.Timer(self.timeout_seconds, _kill, [process])
        timer.start()
        try:
            output = _listen(process)
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
        late_after = self.timeout_seconds if time.monotonic() >= deadline else None
        return _Ending(output=output, status=process.returncode, late_after=late_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """How a program ended."""

    output: bytes
    status: int
    late_after: float | None
    """Seconds, if that is how long it was waited for in vain."""

    def describe(self) -> str:
        """Return what is wrong with it as an answer."""
        if self.late_after is not None:
            return f"it did not answer within {self.late_after:g} s"
        outcome = f"it exits with {self.status}"
        if self.status < 0:
            outcome = f"signal {-self.status} ends it"
        lines = [line.strip() for line in self.output.decode(errors="replace").splitlines()]
        said = [line for line in lines if line]
        if not said:
            return f"{outcome}, and says nothing"
        # What a traceback is about comes last, anything else begins with the point.
        return f"{outcome}, and says {quoted(said[-1 if 'Traceback' in said[0] else 0])}"


def _listen(process: subprocess.Popen[bytes]) -> bytes:
    with process, cast("IO[bytes]", process.stdout) as stream:
        return stream.read(_MOST_OUTPUT_BYTES)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, and whatever it has started: that would keep its output open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _without_steering(environment: Mapping[str, str]) -> dict[str, str]:
    pairs = environment.items()
    return {name: value for name, value in pairs if not name.startswith(_STEERING)}


def _parse_answer(executable: str, ending: _Ending) -> dict[str, Any]:
    _, _, answer = ending.output.partition(_MARK.encode())
    try:
        facts: dict[str, Any] = json.loads(answer.partition(b"\n")[0])
    except ValueError:
        raise InterpreterUnusableError(executable, ending.describe()) from None
    if "tags" not in facts:
        raise InterpreterTooOldError(executable, facts["version"], _dotted(OLDEST))
    return facts


def _is_same(executable: str, reported: str) -> bool:
    """Return whether a Python is what was started, and not something that this started in turn."""
    try:
        return os.path.samefile(executable, reported)
    except OSError:
        return not reported


def _identify(facts: dict[str, Any], build: str) -> str:
    decisive = (build, *(facts[name] for name in _DECISIVE), _stamp(facts["base_executable"]))
    return hashlib.sha256(ascii(decisive).encode("ascii")).hexdigest()[:_IDENTITY_LENGTH]


def _build(facts: dict[str, Any]) -> Interpreter:
    paths = {name: Path(facts[name]) for name in _PATHS}
    tuples = {name: tuple(facts[name]) for name in _TUPLES}
    scheme = Scheme(**facts["scheme"])
    values: dict[str, Any] = {**facts, **paths, **tuples, "scheme": scheme}
    return Interpreter(**values)


def _describe_ground(executable: str) -> str:
    """Return all that what is known of ``executable`` depends on, short of asking it."""
    directory = os.path.dirname(executable)
    homes = (directory, os.path.dirname(directory))
    settings = [_stamp(os.path.join(home, _SETTINGS)) for home in homes]
    files = (executable, os.path.realpath(executable), _stamp(executable), settings)
    return ascii((_FORMAT, files, _describe_system(), _digest_authors()))


def _describe_system() -> object:
    """Return what tags and markers depend on and no Python carries with it."""
    if sys.platform == "win32":
        return tuple(sys.getwindowsversion())
    library = None
    with contextlib.suppress(ValueError, OSError):
        library = os.confstr("CS_GNU_LIBC_VERSION")
    system = os.uname()
    return library, system.sysname, system.release, system.version, system.machine


@functools.cache
def _find_packaging() -> str:
    """Return where our `packaging` begins, without importing it: that takes far too long."""
    from importlib.util import find_spec

    return cast("ModuleSpec", find_spec("packaging")).origin or ""


@functools.cache
def _digest_authors() -> str:
    """Return what tells apart the releases of those that work an answer out."""
    # Contents, not paths: several installations may share one memory.
    contents = (Path(path).read_bytes() for path in (_find_packaging(), _PROBE))
    return hashlib.sha256(b"".join(contents)).hexdigest()


def _stamp(path: str) -> list[int]:
    """Return what changes when the file ``path`` does, or nothing where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _sealed(ground: str, body: bytes) -> bytes:
    """Return a record of ``body``, which holds as long as ``ground`` does."""
    digest = hashlib.sha256(ground.encode("ascii") + body).hexdigest()
    return b'{"seal":"%b","answer":%b}' % (digest.encode("ascii"), body)


_BODY_START = len(_sealed("", b"")) - 1


def _recall(record: str, ground: str) -> dict[str, Any] | None:
    try:
        content = Path(record).read_bytes()
    except OSError:
        return None
    body = content[_BODY_START:-1]
    if content != _sealed(ground, body):
        return None
    facts: dict[str, Any] = json.loads(body)
    is_current = facts.pop("base_stamp") == _stamp(facts["base_executable"])
    return facts if is_current else None
