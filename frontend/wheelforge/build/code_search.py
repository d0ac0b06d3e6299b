"""The inputs that code speaks of: variables of a CI run, and the history of a repository.

Both change with every run or commit, and few builds look at them; so they count only where the code
of the source or of a build requirement might. In doubt they count, and a wheel is built that could
have been used again.
"""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.key_document import CI_RUN, REPOSITORY, family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TEXTS = re.compile(
    r"[^.]+|meson\.(build|options)|CMakeLists\.txt|go\.mod"
    r"|.*\.(py|pyx|pxi|toml|cfg|ini|cmake|sh|mk|in|am|ac|rs|build|json|c|cc|cpp|cxx|h|hpp|m4|pl|go)"
)
_BINARIES = re.compile(r".*\.(so|pyd|dylib|dll|exe|node|wasm)(\.\d+)*")
_MAGICS = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_PROSE = {"PKG-INFO", "METADATA", "RECORD", "LICENSE", "README", "CHANGES", "NEWS", "AUTHORS"}
_SETTINGS = (".toml", ".cfg", ".ini", ".json", ".in")
"""Files that are no code: they speak of history by a command, or by the word for a plug-in."""
_OF_WORKSPACES = ("Cargo.toml", "go.mod")
"""Files of tools that read directories above, and run code that comes from elsewhere."""
_WORD = re.compile(rb"[A-Z][A-Z0-9_]{4,}")
_GIT = re.compile(rb"git(?:(?<![\w.@/:+-]git)(?:\.exe)?(?![\w.:/+-])|(?<=[\"'/\\]\.git)\b|2\b)")
_OTHER_NAMES = (b"GIT_EXECUTABLE", b"dulwich", b"vcs_tag")
_HISTORY = (
    rb"\b(?:describe|log|show|status|diff|tags?|branch|head|HEAD|commit|archive|Repo|vcs_tag"
    rb"|(?:rev|symbolic|show|for-each|name|ls|cat)[-_](?:parse|list|ref|rev|tree|file))\b"
)
_HISTORY_WORD = re.compile(_HISTORY)
_COMMAND = re.compile(
    rb"git[\"',\s]+(?:-\S+[\"',\s]+|[./][\"',\s]+)*"
    + _HISTORY
    + rb"|[\"'](?:scm|vcs)[\"']|\buse_scm\b"
)
_UPWARDS = re.compile(rb"(?:\.\.[/\\])+|\.\.(?=[\"'])")
_PARENTS = re.compile(
    rb"\.parent\.parent\b|\bparents\[[1-9]|dirname\(\s*(?:os\.path\.)?dirname|\bpardir\b"
)
_MOST_BYTES = 1 << 20
_ABOUT = ".dist-info"


class _File(NamedTuple):
    name: str
    """With the directories that it is in."""
    content: bytes | mmap.mmap
    is_binary: bool

    @property
    def base(self) -> str:
        return self.name.rpartition("/")[2]

    def list_variables(self) -> Iterator[str]:
        """Yield variables of a CI run; of programs whole families, as texts may have no end."""
        for word in map(bytes.decode, set(_WORD.findall(self.content))):
            if self.is_binary:
                if found := CI_RUN.search(word):
                    yield family_of(found[0])
            elif CI_RUN.fullmatch(word):
                yield word

    def speaks_of_history(self) -> bool:
        """Return whether it may ask a repository for more than which files there are."""
        content = self.content
        if self.base in _PROSE:
            return False
        if self.name.endswith(_SETTINGS):
            return bool(_COMMAND.search(content))
        is_named = any(content.find(each) >= 0 for each in _OTHER_NAMES)
        return (is_named or bool(_GIT.search(content))) and bool(_HISTORY_WORD.search(content))

    def leads_out(self) -> bool:
        """Return whether it may lead to files that are beside the project that it is in."""
        depth = self.name.count("/")
        if self.base in _OF_WORKSPACES:
            return True
        if self.base in _PROSE or self.is_binary:
            return False
        # Where a module looks depends on where it runs: those at the top run there.
        if self.base.endswith(".py"):
            patterns = (_UPWARDS, _PARENTS)
            return not depth and any(each.search(self.content) for each in patterns)
        return any(text.count(b"..") > depth for text in _UPWARDS.findall(self.content))


def find_named_variables(root: Path) -> list[str]:
    """Return the variables of a CI run that the files of an sdist below ``root`` speak of."""
    files = _open_files(root, _list_names(root))
    return sorted({name for file in files for name in file.list_variables()})


def find_inputs_of_wheel(root: Path) -> list[str]:
    """Return the inputs that the files of a wheel below ``root`` speak of."""
    return _search(_open_files(root, _list_names(root)), is_project=False)


def find_inputs_of_project(root: Path, names: Iterable[str]) -> list[str]:
    """Return the inputs that the files of a project speak of, which may lead out of its directory.

    What is beside it counts with the history, as far as git knows it.
    """
    return _search(_open_files(root, names), is_project=True)


def _search(files: Iterable[_File], *, is_project: bool) -> list[str]:
    found = set[str]()
    for file in files:
        found.update(file.list_variables())
        if REPOSITORY not in found and (
            file.speaks_of_history() or (is_project and file.leads_out())
        ):
            found.add(REPOSITORY)
    return sorted(found)


def _list_names(root: Path) -> Iterator[str]:
    for directory, _, files in os.walk(root):
        above = Path(directory).relative_to(root).as_posix()
        yield from (name if above == "." else f"{above}/{name}" for name in files)


def _open_files(root: Path, names: Iterable[str]) -> Iterator[_File]:
    for name in names:
        path, above = root / name, name.split("/")[:-1]
        # The recipes of CI services are hidden, and what describes a wheel is no code.
        is_left_out = any(each[0] == "." or each.endswith(_ABOUT) for each in above)
        is_binary = bool(_BINARIES.fullmatch(path.name))
        if is_left_out or not (is_binary or _TEXTS.fullmatch(path.name)):
            continue
        if not path.is_file() or path.is_symlink():
            continue
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
            if content and (is_binary or content.startswith(_MAGICS)):
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                    yield _File(name, whole, is_binary=True)
            else:
                yield _File(name, content, is_binary=False)
