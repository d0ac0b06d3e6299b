"""The content of a project's directory, by which its wheel is used again or built.

Every file counts by path, mode and bytes, whatever its times say, and those that git ignores as
well: backends can read them all. Left out is only what no wheel is made from: the wheels and sdists
of earlier builds, compiled modules, hidden caches that are marked as such, virtual environments. Of
a git repository the commit, the tags and the list of tracked files count, as backends make versions
and sdists of them, but no file of its own: it notes times there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge_isolation import digest
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import (
    SDIST_SUFFIXES,
    WHEEL_SUFFIX,
    parse_sdist_name,
    parse_wheel_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wheelforge.models import BuildRequest

_MOST_FILES = 1000
"""Of more files, a document names the directories at the top."""
_DIGITS = 32
_GIT = (
    ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z"),
    ("for-each-ref", "refs/tags", "--format=%(refname) %(objectname) %(*objectname)"),
    ("ls-files", "-z"),
    ("rev-parse", "--path-format=absolute", "--git-path", "info/exclude"),
    ("config", "--type=path", "--default=", "--get", "core.excludesFile"),
)
_HISTORY = ("commit", "branch", "tags", "changed")
_OTHERS = (".hg", ".svn", ".bzr", "_darcs", ".jj", ".pijul", ".fslckout")
"""Repositories of other programs, whose history is not read."""
_UPSTREAM = (b"# branch.upstream", b"# branch.ab")


class UnknownContentError(Exception):
    """Something of a directory cannot be told, so that its wheel is not used again."""


class DirectoryContent:
    """The files of a directory as they are now, but results of the ``request``, and our ``cache``.

    Raises `UnknownContentError` if a backend could read what cannot be told.
    """

    def __init__(self, request: BuildRequest, root: Path, cache: Path) -> None:
        self._facts = (request, root, cache)
        self._through = "" if request.kinds else "sdist"
        self._variables = request.variables or {}
        self._root = root = root.resolve()
        outputs = {root / "dist", request.output.resolve()}
        self._files: dict[str, str] = {}
        self._stamps: dict[str, tuple[int, int, int]] = {}
        try:
            for path in _list_paths(root, outputs, cache.resolve()):
                name, status = path.relative_to(root).as_posix(), path.lstat()
                self._files[name] = _describe(path, status, root)
                self._stamps[name] = (status.st_size, status.st_mtime_ns, status.st_ino)
            self._repository = _describe_repository(root, self._variables)
        except OSError as error:
            raise UnknownContentError(str(error)) from error

    @property
    def names(self) -> Iterable[str]:
        """The files in it, with the directories that they are in."""
        return self._files.keys()

    def describe(self, *, with_history: bool) -> dict[str, Any]:
        """Return what a key document has of it."""
        files, git = self._files, self._repository
        if not with_history:
            git = {name: fact for name, fact in git.items() if name not in _HISTORY}
        if len(files) > _MOST_FILES:
            parts: dict[str, list[tuple[str, str]]] = {}
            for path, each in files.items():
                parts.setdefault(path.partition("/")[0], []).append((path, each))
            files = {name: _shorten(repr(each).encode()) for name, each in parts.items()}
        return {"files": files, "git": git, "through": self._through}

    def is_unchanged(self) -> bool:
        """Return whether nothing was written meanwhile but products of a build.

        A file that was written and is the same may have been edited, and edited back. One that is
        new is a product where builds put them, or where git ignores it.
        """
        try:
            now = DirectoryContent(*self._facts)
        except UnknownContentError:
            return False
        before = self._files.items()
        if self._repository != now._repository or not before <= now._files.items():
            return False
        written = now._stamps.items() - self._stamps.items()
        strange = {path for path, _ in written if not _is_product(path)}
        return not strange or strange <= _find_ignored(self._root, strange, self._variables)


class UnknownContent:
    """A directory whose content cannot be told: its wheel is neither used again nor kept."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    @property
    def names(self) -> Iterable[str]:
        """Nothing, as no key has it."""
        return ()

    def describe(self, *, with_history: bool) -> dict[str, Any]:
        """Return what a key document has of it, which is never stored."""
        del with_history
        return {"unknown": self._reason}

    def is_unchanged(self) -> bool:
        """Return that it may have changed."""
        return False


def read_directory(
    request: BuildRequest, root: Path, cache: Path
) -> DirectoryContent | UnknownContent:
    """Return what is in a directory now, as far as that can be told."""
    try:
        return DirectoryContent(request, root, cache)
    except UnknownContentError as error:
        return UnknownContent(str(error))


def list_project_files(
    request: BuildRequest, root: Path, cache: Path, variables: Mapping[str, str]
) -> list[Path]:
    """Return the files, links and empty directories of a project that an sdist may hold.

    Raises `UnknownContentError` if one of them is of no such kind. Paths are below ``root``, which
    is resolved. Results of the ``request``, our ``cache`` and all that git ignores are left out.
    """
    try:
        paths = list(_list_paths(root, {root / "dist", request.output.resolve()}, cache.resolve()))
        for path in paths:
            mode = path.lstat().st_mode
            if not any(is_kind(mode) for is_kind in (stat.S_ISREG, stat.S_ISLNK, stat.S_ISDIR)):
                raise UnknownContentError(f"`{path}` is no file")
    except OSError as error:
        raise UnknownContentError(str(error)) from error
    ignored = _find_ignored(root, (str(path.relative_to(root)) for path in paths), variables)
    return [path for path in paths if str(path.relative_to(root)) not in ignored]


def _find_ignored(root: Path, paths: Iterable[str], variables: Mapping[str, str]) -> set[str]:
    """Return those of ``paths``, which are relative to ``root``, that git ignores."""
    asked = b"\0".join(map(os.fsencode, paths))
    try:
        found = _run_git(root, variables, ("check-ignore", "-z", "--stdin"), asked)
    except UnknownContentError:  # none is ignored, or there is no repository
        return set()
    return {os.fsdecode(each) for each in found.split(b"\0") if each}


def _list_paths(root: Path, outputs: Iterable[Path], cache: Path) -> Iterator[Path]:
    """Yield every file and link below ``root``, and every directory that is empty."""
    left_out = partial(_is_left_out, root, cache)
    for place, folders, names in os.walk(root, onerror=_raise):
        directory = Path(place)
        if directory != root and not folders and not names:
            yield directory
        kept = [name for name in sorted(folders) if not left_out(directory / name)]
        links = [name for name in kept if (directory / name).is_symlink()]
        folders[:] = [name for name in kept if name not in links]
        results = _list_results(names) if directory in outputs else ()
        for name in sorted([*names, *links]):
            if name != ".git" and name not in results:
                yield directory / name


def _raise(error: OSError) -> None:
    raise error


def _is_left_out(root: Path, cache: Path, directory: Path) -> bool:
    if directory.name in {".git", "__pycache__"} or directory == cache:
        return True
    is_hidden = any(part.startswith(".") for part in directory.relative_to(root).parts)
    if is_hidden and (directory / "CACHEDIR.TAG").is_file():
        return True
    programs = ("bin/python", "Scripts/python.exe")
    is_environment = any(os.path.lexists(directory / each) for each in programs)
    return is_environment and (directory / "pyvenv.cfg").is_file()


def _list_results(names: Iterable[str]) -> set[str]:
    """Return the wheels, the sdists of the same projects, and the statements beside them."""
    wheels: dict[str, str] = {}
    sdists: dict[str, str] = {}
    for name in names:
        with contextlib.suppress(FormatError):
            if name.endswith(WHEEL_SUFFIX):
                wheels[name] = parse_wheel_name(name).name
            elif name.endswith(SDIST_SUFFIXES):
                sdists[name] = parse_sdist_name(name).name
    own = (*wheels, *(name for name, each in sdists.items() if each in wheels.values()))
    beside = tuple(f"{each}." for each in own)
    return {*own, *(name for name in names if name.startswith(beside))}


def _describe(path: Path, status: os.stat_result, root: Path) -> str:
    """Return mode and digest of a file, or where a link leads."""
    if stat.S_ISREG(status.st_mode):
        return f"{stat.S_IMODE(status.st_mode):03o} {digest(path)[:_DIGITS]}"
    if stat.S_ISDIR(status.st_mode):
        return "directory"
    if not stat.S_ISLNK(status.st_mode):
        raise UnknownContentError(f"`{path}` is no file")
    text, target = f"-> {path.readlink()}", path.resolve()
    if target.is_relative_to(root) or not target.exists():
        return text
    if not target.is_file():
        raise UnknownContentError(f"`{path}` leads out of the directory")
    return f"{text} {digest(target)[:_DIGITS]}"


def _is_product(path: str) -> bool:
    first, *_ = parts = path.split("/")
    return first == "build" or any(part.endswith(".egg-info") for part in parts[:-1])


# The repository


def _describe_repository(root: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what backends learn from git; nothing without a repository."""
    places = (root, *root.parents)
    top = next((place for place in places if os.path.lexists(place / ".git")), None)
    if top is None:
        _refuse_others(root)
        return {}
    status, tags, tracked, own, users = (_run_git(root, variables, words) for words in _GIT)
    lines = [each for each in status.split(b"\0") if each and not each.startswith(_UPSTREAM)]
    head = [os.fsdecode(each.split()[-1]) for each in lines if each.startswith(b"# branch.")]
    commit, branch, *_ = (*head, "", "")
    changed = [each for each in lines if not each.startswith(b"#")]
    home = Path(variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME", ""), ".config"))
    rules = [Path(os.fsdecode(text).rstrip("\n")) for text in (own, users) if text.strip()]
    rules += [] if users.strip() else [home / "git" / "ignore"]
    rules += [place / ".gitignore" for place in places[1:] if place.is_relative_to(top)]
    return {
        "commit": commit,
        "branch": branch,
        "tags": _shorten(tags),
        "tracked": _shorten(tracked),
        "changed": _shorten(b"\0".join(changed)) if changed else "",
        "ignored": _shorten(b"\0".join(path.read_bytes() for path in rules if path.is_file())),
    }


def _refuse_others(root: Path) -> None:
    """Raise an error where a backend may ask another program than git for the history."""
    for place in root.parents:
        for name in _OTHERS:
            if os.path.lexists(place / name):
                found = place / name
                raise UnknownContentError(f"it is in a repository that is not read: `{found}`")


def _run_git(
    root: Path, variables: Mapping[str, str], words: Iterable[str], text: bytes = b""
) -> bytes:
    """Return what git prints to what it is told; its own files are left as they are."""
    try:
        return subprocess.run(
            ["git", *words],  # ruff: ignore[start-process-with-partial-path]
            cwd=root,
            env={**variables, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            input=text,
            capture_output=True,
            check=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        reason = os.fsdecode(error.stderr).partition("\n")[0]
        raise UnknownContentError(f"git says: {reason or error.returncode}") from error
    except (OSError, ValueError) as error:
        raise UnknownContentError(f"git cannot be run: {error}") from error


def _shorten(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
