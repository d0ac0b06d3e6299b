"""The laws of the house, held by a test: who may import whom, and through which door."""

import ast
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.source import MODULES, PACKAGES, ROOT, parse, room
from tests.support.source import imports as imports_of

FLOORS = {
    "wheelforge_isolation": [
        {"errors", "lazy", "formats"},
        {"files"},
        {"archive", "interpreter"},
        {"wheels"},
        {"environments"},
        {"cache"},
        {"__init__"},
    ],
    "wheelforge": [
        {"errors", "version"},
        {"models"},
        {"events", "index", "hooks", "diagnosis"},
        {"resolve"},
        {"lockfile", "overrides", "provenance"},
        {"settings"},
        {"remote"},
        {"build"},
        {"batch", "report", "progress", "verify"},
        {"service"},
        {"cli"},
        {"__init__", "__main__"},
    ],
}
"""The rooms from the ground up: each imports only what stands on a floor below its own."""
UNTOLD = {"__init__", "__main__", "version"}
"""Rooms that the maps leave out."""
PRIVATE = {"files", "archive", "interpreter", "wheels", "cache", "environments"}
"""The rooms of the lower package that the upper one enters through the facade only."""
DOORS = {
    "filelock": {"files"},
    "platformdirs": {"cache", "cli"},
    "installer": {"wheels", "environments"},
    "build": {"build"},
    "pyproject_hooks": {"build"},
    "resolvelib": {"resolve"},
    "rich": {"progress"},
    "shutil": {"files"},
    "tempfile": {"files"},
    "subprocess": {
        *("batch", "build", "environments", "hooks", "interpreter"),
        "errors",  # a base class only
    },
    "tarfile": {"archive"},
    "zipfile": {"archive"},
    "argparse": {"cli"},
    "tomli_w": {"lockfile"},
    "cryptography": {"provenance"},
    "obstore": {"remote"},
    "urllib3": {"index"},
    "aiohttp": {"service"},
    "jinja2": {"service"},
    "sqlite3": {"service"},
    "dask": {"batch"},
    "distributed": {"batch"},
}
VOCABULARY = {"packaging", "wheelforge", "wheelforge_isolation"}
"""Packages that every room may import."""
OS_CHANGES = {
    *("chmod", "chown", "copy_file_range", "fchmod", "fchown", "ftruncate", "lchmod", "lchown"),
    *("link", "makedirs", "mkdir", "mkfifo", "mknod", "open", "pwrite", "remove", "removedirs"),
    *("removexattr", "rename", "renames", "replace", "rmdir", "sendfile", "setxattr", "symlink"),
    *("truncate", "unlink", "utime", "write", "writev"),
}
PATH_CHANGES = {
    *("chmod", "hardlink_to", "lchmod", "mkdir", "rename", "rmdir", "symlink_to", "touch"),
    *("unlink", "write_bytes", "write_text"),
}
"""But for ``replace``, which texts have as well."""
CHANGES = {
    "batch/machine": {"os.open", "os.mkfifo", "os.write"},  # a fifo, which ends with the batch
    "batch/executors/task_worker": {"open(w)"},  # events, through an opener of `files`
    "build/session": {"open(w)"},  # through an opener of `files`
    "cli/background": {"os.open", "os.write"},  # a log for standard streams, and to a pipe
    "cli/summary": {"open(w)"},  # added to the file that GitHub names
    "cli/command_line": {"os.open"},  # of the null device, in the place of a closed stream
    "hooks/sandbox/enter": {  # in a root of its own, which ends with a hook, and messages
        *("os.chmod", "os.makedirs", "os.open", "os.symlink", "os.write", "open(w)"),
    },
    "hooks/sandbox/prefix": {"os.write"},  # to a pipe
    "hooks/in_process": {"os.open", "unlink", "open(w)"},  # in the Python of a backend
    "hooks/path_probe": {"os.mkdir", "os.rmdir"},  # in the Python of a backend
    "hooks/serve": {"os.write"},  # to a pipe
    "index/downloads": {"unlink", "open(w)"},  # a draft of the cache, removed on failure
    "service/access": {"os.fchmod"},  # of a file with tokens, which it has just made
    "service/retention": {"os.truncate"},  # of a log that others append to
    "service/active": {"os.open", "open(w)"},  # streams and events of a run, in its directory
    "report/stream": {"open(w)"},  # line by line, for a reader beside the build
}
"""Changes to a file system outside `files`, each with its reason."""
ELSEWHERE = {"enter", "job", "path_probe", "import_probe", "serve", "start"}
"""Executed by path in the Python of a build environment: the process they look at is their own."""
RETIRED = {
    "module": {
        *(
            "crew",
            "cores",
            "delivery",
            "drafts",
            "exchange",
            "foresight",
            "ground",
            "guide",
            "host",
        ),
        *(
            "housekeeping",
            "inventory",
            "judgement",
            "means",
            "memory",
            "past",
            "places",
            "provision",
        ),
        *("question", "rehearsal", "remedies", "remote", "shelf", "shop", "spelling", "terms"),
        *("turns", "watch", "wishes", "words", "work", "workshop", "world"),
    },
    "class": {
        *("Ahead", "Aim", "Bucket", "Copier", "Cost", "Crew", "Ending", "Exchange", "Family"),
        *("Goal", "Ground", "Guess", "Guide", "Holder", "Item", "Journal", "Ledger", "Linker"),
        *("Means", "Need", "Parts", "Provision", "Provisioner", "Shelf", "Survey", "Terms"),
        *("Wish", "Work"),
    },
    "function": {
        *(
            "arrange",
            "chain",
            "furnish",
            "hand_over",
            "hear",
            "judge",
            "obtain",
            "place",
            "provide",
        ),
        *("recall", "refuse", "remember", "spell", "strays", "survey", "take", "tell", "words"),
        *("translated", "world"),
    },
}
"""Names that do not say what the thing is or does; a function does not begin with one either."""
KEPT_NAMES = {"PartialFile.tell"}
"""A method that every file has."""
_PRONOUN = r"(?i:what|whatever|who|whoever|whom|nobody|somebody)\b"
VAGUE_SUBJECT = re.compile(_PRONOUN)
VAGUE_BEGINNING = re.compile(rf"[\"'#]\s*{_PRONOUN}")


def floor(package: str, name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS[package]) if name in rooms)


def neighbours(path: Path) -> set[str]:
    """Return the rooms of its own package that a module imports, its own room left out."""
    package, own = room(path)
    parts = [name.split(".") for name in imports_of(path)]
    return {rest[0] for top, *rest in parts if top == package and rest} - {own}


def violations(find: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """Return what ``find`` objects to, by module: one test a law, not one a module."""
    found = {str(path.relative_to(ROOT)): sorted(find(path)) for path in MODULES}
    return {path: objections for path, objections in found.items() if objections}


def test_rooms__import_only_rooms_on_lower_floors() -> None:
    def find(path: Path) -> Iterator[str]:
        package, own = room(path)
        level = floor(package, own)
        return (name for name in neighbours(path) if floor(package, name) >= level)

    assert violations(find) == {}


def test_packages__meet_at_the_facade_only() -> None:
    def find(path: Path) -> set[str]:
        parts = [name.split(".") for name in imports_of(path)]
        if room(path)[0] == "wheelforge_isolation":
            return {top for top, *_ in parts} & {"wheelforge"}
        return {rest[0] for top, *rest in parts if top == "wheelforge_isolation"} & PRIVATE

    assert violations(find) == {}


def test_dependencies__have_one_door_each() -> None:
    def find(path: Path) -> Iterator[str]:
        _, own = room(path)
        tops = {name.partition(".")[0] for name in imports_of(path)}
        foreign = tops - sys.stdlib_module_names - VOCABULARY
        return (top for top in foreign | (tops & DOORS.keys()) if own not in DOORS[top])

    assert violations(find) == {}


def test_process__is_looked_at_by_the_command_line_only() -> None:
    def find(path: Path) -> set[str]:
        if room(path)[1] == "cli" or path.stem in ELSEWHERE:
            return set()
        nodes = list(ast.walk(parse(path)))
        reads = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        calls = {node.id for node in nodes if isinstance(node, ast.Name)}
        return (reads & {"environ", "getenv", "getcwd", "cwd", "chdir"}) | (calls & {"print"})

    assert violations(find) == {}


def test_rooms__are_all_on_a_floor() -> None:
    rooms = {room(path) for path in MODULES}

    assert {pair for pair in rooms if pair[1] not in set[str]().union(*FLOORS[pair[0]])} == set()


@pytest.mark.parametrize(
    ("package", "root"), [("wheelforge", "frontend"), ("wheelforge_isolation", "isolation")]
)
def test_map__has_every_room(package: str, root: str) -> None:
    text = (ROOT / root / "README.md").read_text(encoding="utf-8")
    rooms = {name for floor in FLOORS[package] for name in floor} - UNTOLD

    assert len(text.splitlines()) <= 150
    assert {
        name for name in rooms if not re.search(rf"^\| `{name}(\.py|/)` \|", text, re.MULTILINE)
    } == set()


def changes(path: Path) -> set[str]:
    """Return the calls in a module that change a file system, or may."""
    found: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "os":
                found |= {f"os.{node.attr}"} & {f"os.{name}" for name in OS_CHANGES}
            else:
                found |= {node.attr} & PATH_CHANGES
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "open":
            words = {str(word.value) for word in ast.walk(node) if isinstance(word, ast.Constant)}
            if any(re.fullmatch(r"[rb]*[waxt+][bt+]*", word) for word in words):
                found.add("open(w)")
    return found


def test_files__is_the_only_room_that_changes_a_file_system() -> None:
    def find(path: Path) -> set[str]:
        package, own = room(path)
        if (package, own) == ("wheelforge_isolation", "files"):
            return set()
        place = path.relative_to(PACKAGES[package]).with_suffix("").as_posix()
        allowed = CHANGES.get(place, set()) if package == "wheelforge" else set[str]()
        return changes(path) - allowed

    assert violations(find) == {}


def test_files__changes_file_systems() -> None:
    paths = [path for path in MODULES if room(path) == ("wheelforge_isolation", "files")]

    found = set[str]().union(*map(changes, paths))

    assert found >= {"os.open", "os.mkdir", "os.unlink", "os.replace", "os.utime", "os.symlink"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings and comments of a module, each with the line where it begins."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value).strip()
    last = 0
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                line, is_alone = token.start[0], token.line.lstrip().startswith("#")
                if not is_alone or line != last + 1:  # no further line of the same comment
                    yield line, token.string.lstrip("# ")
                last = line if is_alone else 0


def vague_texts(path: Path) -> list[str]:
    """Return those that begin with a pronoun instead of the thing itself."""
    if not VAGUE_BEGINNING.search(path.read_text(encoding="utf-8")):
        return []  # parsing all modules takes seconds
    found = sorted(texts(path))
    return [f"{path}:{line}: {text}" for line, text in found if VAGUE_SUBJECT.match(text)]


def list_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of a module and of all in it that is public."""
    yield "module", path.stem
    for node in parse(path).body:
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            yield "class", node.name
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name[0] != "_":
                    yield "function", f"{node.name}.{inner.name}"
        elif isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            yield "function", node.name


def is_retired(kind: str, name: str) -> bool:
    last = name.rpartition(".")[2]
    return name not in KEPT_NAMES and any(
        last == word or (kind == "function" and last.startswith(f"{word}_"))
        for word in RETIRED[kind]
    )


def test_names__say_what_the_thing_is_or_does() -> None:
    def find(path: Path) -> Iterator[str]:
        return (name for kind, name in list_names(path) if is_retired(kind, name))

    assert violations(find) == {}


def test_docstrings_and_comments__name_their_subject() -> None:
    paths = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]

    assert [text for path in paths for text in vague_texts(path)] == []


def test_vague_texts__are_found_in_docstrings_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    content = """'What a module has.'
# Whoever reads it.
VALUE = 1  # nobody needs it
'''Whatever it is.'''
# A comment of two lines, which says
# what it is about.
WHAT = 'What no docstring is.'
"""
    path.write_text(content, encoding="utf-8")

    assert [text.split(":")[-2] for text in vague_texts(path)] == ["1", "2", "3", "4"]


def test_support__lists_every_helper() -> None:
    support = ROOT / "tests" / "support"
    text = (support / "README.md").read_text(encoding="utf-8")

    assert {path.stem for path in support.glob("*.py")} == set(
        re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    )


def test_tests__import_no_other_test() -> None:
    found = [
        (path.name, name)
        for path in (ROOT / "tests").rglob("*.py")
        for name in imports_of(path)
        if re.match(r"tests\.(\w+\.)*test_", name)
    ]

    assert found == []


def test_tests__are_collected_from_every_directory(pytestconfig: pytest.Config) -> None:
    """Directories named `build` or `dist` are left out unless that is said otherwise."""
    left_out = pytestconfig.getini("norecursedirs")
    directories = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}

    assert directories
    assert not [name for name in directories for glob in left_out if fnmatch(name, glob)]
