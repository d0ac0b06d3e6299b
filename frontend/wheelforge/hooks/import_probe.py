"""Run inside a build environment, by the server: imports the backend, and watches it.

A fork of a process that has imported a backend is not always what a fresh process would be. Each
way in which it could differ is either repeated in every hook or a reason not to fork at all:

| what the import does | what becomes of it |
|---|---|
| changes modules, paths, signals, umask, filters | every fork inherits it |
| changes variables | repeated in every fork |
| reads a variable | a hook for which that has another value is not forked |
| lists the variables | as if it had read all of them |
| looks at a relative path | a hook in whose directory there is something at it is not forked |
| uses relative paths in other ways, reads or changes the working directory | no forks |
| prints, warns, changes how warnings are shown | no forks |
| runs programs, starts threads, makes what is removed at exit | no forks |
| fails | no forks; a fresh process says why |

What the functions of the backend's module import of their own package is imported as well: a hook
begins with it, and with some backends it takes as long as all the rest. Where that fails, it does
so again in the hook.

Not seen: variables that C code reads, and what happens outside of this process.
"""

# ruff: file-ignore[private-member-access, blind-except, try-except-continue, exec-builtin, builtin-open, os-path-dirname, os-path-join, os-path-isdir, os-listdir, os-getcwd, subclass-builtin, read-whole-file]

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

    from wheelforge.hooks.path_probe import PathProbe

_thread = __import__("_thread")
ANYTHING = "*"
"""Stands for all variables: they were listed."""


class Record(dict[bytes, bytes]):
    """The data of `os.environ`, which remembers the names that were asked for."""

    def __init__(self, data: dict[bytes, bytes]) -> None:
        super().__init__(data)
        self.names: set[bytes] = set()

    def __getitem__(self, name: bytes) -> bytes:
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names.update([name] if isinstance(name, bytes) else [])
        return super().__contains__(name)

    def __iter__(self) -> Iterator[bytes]:
        self.names.add(ANYTHING.encode())
        return super().__iter__()


class Import:
    """The import of a backend, and what about it a fork could not repeat."""

    def __init__(self, script: str, code: CodeType, backend: str) -> None:
        self.backend = backend
        self.directory = os.path.dirname(script)
        self.environment = dict(os.environ)
        self.changed: dict[str, str | None] = {}
        self.names = find_words_of_site()
        self.absent: set[str] = set()
        self.reasons: list[str] = []
        self.code = code
        # Under a name other than `__main__` it defines its functions and imports what it needs,
        # as it would before it imports a backend; it runs no hook.
        exec(self.code, {"__name__": "rehearsal"})
        prepare_main(script)

    def run(self, printed: int, paths: PathProbe) -> None:
        """Import the backend; note every reason why a fork would differ from a fresh process.

        ``printed`` is the other end of the pipe that both standard streams lead to.
        """
        here = find_directory()
        paths.start()
        self._import_watched()
        paths.stop()
        self.absent = paths.absent
        self.reasons[:0] = map(self._describe, paths.found)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, ValueError, OSError):
                continue
        self._note("prints", is_so=has_output(printed))
        self._note("changes the working directory", is_so=find_directory() != here)
        self._note("runs other programs", is_so=has_run_programs())
        self._note("starts threads", is_so=has_threads())
        self._note("starts processes that go on", is_so=has_children())
        self._note("makes what is removed at exit", is_so=has_finalizers())
        before, after = self.environment, dict(os.environ)
        # With nothing for a value, where a variable was removed.
        names = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        self.changed = {name: after.get(name) for name in names}

    def repeat(self, argv: list[str], environment: dict[bytes, bytes]) -> None:
        """Make this fork what a fresh process is once it has imported the backend."""
        os.environb.clear()
        os.environb.update(environment)
        if "LC_CTYPE" in self.environment:  # the interpreter may have set it when it started
            os.environ["LC_CTYPE"] = self.environment["LC_CTYPE"]
        for name, value in self.changed.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})
        getattr(sys, "orig_argv", [])[:] = argv
        if not getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, self.directory)
        # Packages that were installed since are to be found.
        sys.path_importer_cache.clear()
        if "importlib.metadata" in sys.modules:
            sys.modules["importlib.metadata"].MetadataPathFinder().invalidate_caches()

    def _note(self, what: str, *, is_so: bool) -> None:
        if is_so:
            self.reasons.append(self._describe(what))

    def _describe(self, what: str) -> str:
        return f"`{self.backend}` {what} when it is imported"

    def _import_watched(self) -> None:
        record = Record(vars(os.environ)["_data"])
        replace_data(record)
        self._import_as_hooks_do()
        self.names.update(os.fsdecode(name) for name in record.names)
        replace_data(dict(record.items()))

    def _import_as_hooks_do(self) -> None:
        """Import the backend where warnings are caught; what it does to filters stays."""
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            show = warnings.showwarning
            try:
                __import__(self.backend)
            except BaseException as error:
                self.reasons.append(f"`{self.backend}` cannot be imported: {error!r}")
            else:
                import_late_ones(self.backend)
            self._note("changes how warnings are shown", is_so=warnings.showwarning is not show)
            filters = warnings.filters
        vars(warnings)["filters"][:] = filters
        self._note("warns", is_so=any(issubclass(it.category, UserWarning) for it in caught))


def import_late_ones(backend: str) -> None:
    """Import what ``backend`` names in its functions, as far as it is of the same package."""
    function, package = type(import_late_ones), backend.partition(".")[0] + "."
    hooks = [it for it in vars(sys.modules[backend]).values() if isinstance(it, function)]
    # A name with a dot can be nothing else than that of a module.
    names = [name for hook in hooks for name in hook.__code__.co_names if name.startswith(package)]
    for name in sorted(names):
        try:
            __import__(name)
        except Exception:
            continue


def has_threads() -> bool:
    """Return whether this process has threads, be they Python's or a library's own."""
    tasks = "/proc/self/task"
    return bool(_thread._count()) or (os.path.isdir(tasks) and len(os.listdir(tasks)) > 1)


def has_children() -> bool:
    """Return whether there are processes that this one has started and not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def has_run_programs() -> bool:
    """Return whether this process has waited for others, which know its directory and variables."""
    was_there = "resource" in sys.modules
    resource = __import__("resource")
    if not was_there:
        del sys.modules["resource"]
    return bool(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def has_finalizers() -> bool:
    """Return whether something, as a temporary directory, would be removed by the first fork."""
    finalize = getattr(sys.modules.get("weakref"), "finalize", None)
    return bool(getattr(finalize, "_registry", None))


def has_output(reader: int) -> bool:
    """Return whether there is anything in the pipe."""
    try:
        return bool(os.read(reader, 1))
    except BlockingIOError:
        return False


def find_words_of_site() -> set[str]:
    """Return the words of all that ran before this file; a variable may be among them.

    That are the `.pth` files, from which `site` takes paths and code, and loaded modules that are
    no part of Python.
    """
    places = [place for place in sys.path if os.path.isdir(place)]
    paths = [os.path.join(place, name) for place in places for name in os.listdir(place)]
    paths = [path for path in paths if path.endswith(".pth")]
    library = os.path.dirname(os.__file__)
    for name, module in sys.modules.items():
        path = getattr(module, "__file__", None) or library
        is_python = path.startswith(library) and "site-packages" not in path
        if name != "__main__" and (not is_python or name.endswith("customize")):
            paths.append(path)
    blank = bytes(byte if chr(byte).isalnum() or byte == ord("_") else 32 for byte in range(256))
    words: set[str] = set()
    for path in paths:
        with open(path, "rb") as file:
            words.update(os.fsdecode(word) for word in file.read().translate(blank).split())
    return words


def find_directory() -> str:
    """Return the working directory, if it still is anywhere."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def prepare_main(script: str) -> None:
    """Put a module in the place of this one, as a script finds it."""
    main = sys.modules["__main__"]
    fresh = type(sys)("__main__")
    fresh.__file__ = script
    fresh.__loader__ = type(vars(main)["__loader__"])("__main__", script)
    vars(fresh)["__builtins__"] = vars(main)["__builtins__"]
    # Which of these a script has differs from release to release.
    rest: dict[str, Any] = {"__cached__": None, "__annotations__": {}}
    for name in rest.keys() & vars(main).keys():
        vars(fresh)[name] = rest[name]
    sys.modules["__main__"] = fresh
    sys.argv[:] = [script]


def replace_data(data: dict[bytes, bytes]) -> None:
    """Let `os.environ` and its twin of bytes look into ``data``."""
    vars(os.environ)["_data"] = vars(os.environb)["_data"] = data
