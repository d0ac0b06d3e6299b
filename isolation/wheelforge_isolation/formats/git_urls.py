"""URLs of git repositories, as pip and requirements write them: `git+https://host/name.git@v1`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.urls import check_url, fragment_of, scheme_of, without_fragment

_URL = re.compile(
    r"git\+(?P<url>(?:https|ssh|file)://(?P<host>[^/?#]*)/[^?#@]*(?:\?[^#@]*)?)(@(?P<revision>.*))?"
)
_SCHEMES = {"git+https", "git+ssh", "git+file"}
_REVISION = re.compile(r"[A-Za-z0-9_](?:[\w./+-]*[\w+-])?", re.ASCII)
_PART = re.compile(r"(?:^|@\s*)git\+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GitUrl(NamedTuple):
    """A repository, and what of it is meant."""

    url: str
    """As git takes it, with credentials if there are any."""
    revision: str
    """A branch, a tag or a commit; nothing: the default branch."""
    subdirectory: str

    @property
    def name(self) -> str:
        """The last part of the path, which is how people call it."""
        path = self.url.partition("?")[0].rstrip("/")
        name = path.rpartition("/")[2].removesuffix(".git")
        # The directory of the checkout is called so, and nothing else may be meant by it.
        return "repository" if name in {"", ".", ".."} or "\\" in name else name

    @property
    def label(self) -> str:
        """The name and the revision."""
        return f"{self.name}@{self.revision}" if self.revision else self.name


def is_git_url(text: str) -> bool:
    """Return whether ``text`` is such a URL, or a requirement with one."""
    return _PART.search(text) is not None


def label_git_url(text: str) -> str:
    """Return the name and the revision in such a URL, without anything secret."""
    try:
        return parse_git_url(text[text.index("git+") :]).label
    except FormatError:
        return "repository"


def is_commit(text: str) -> bool:
    """Return whether ``text`` is the whole name of a commit."""
    return _COMMIT.fullmatch(text) is not None


def parse_git_url(text: str) -> GitUrl:
    """Return what such a URL means; nothing in it can be taken for an option by git or ssh."""
    text = text.strip()
    check_url(text)
    found = _URL.fullmatch(without_fragment(text))
    if found is None and scheme_of(text) in _SCHEMES:
        raise FormatError("it is not like `git+https://host/name.git`")
    if found is None:
        raise FormatError("only `git+https:`, `git+ssh:` and `git+file:` repositories are fetched")
    if found["host"].rpartition("@")[2].startswith("-") or found["host"].startswith("-"):
        raise FormatError("its host begins with a `-`")
    revision = found["revision"] or ""
    if found["revision"] is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise FormatError(f"`{revision}` is no name of a branch, a tag or a commit")
    subdirectory = fragment_of(text).get("subdirectory", "")
    inside = PurePosixPath(subdirectory)
    if inside.is_absolute() or ".." in inside.parts or "\\" in subdirectory:
        raise FormatError(f"its subdirectory `{subdirectory}` is not inside the repository")
    return GitUrl(found["url"], revision, subdirectory)
