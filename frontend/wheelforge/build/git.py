"""A commit of a git repository, fetched into a directory by the program `git`.

The revision is resolved to a commit first, and only that is fetched, without history. Where the
project does not state its version it may be made from the history, as setuptools-scm does: then all
commits and tags are fetched as well, but not the old files, if the server can leave them out.
Submodules come as with pip.

Credentials of a URL are given to git in a variable: no file of the checkout has them, which the
code of the project could read, and no list of processes. git never asks for any.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wheelforge.errors import BuildCancelledError, SourceError, plain_text
from wheelforge_isolation import ensure_directory, kill_group, remove_tree
from wheelforge_isolation.formats.git_urls import is_commit
from wheelforge_isolation.formats.requirements import find_name
from wheelforge_isolation.formats.tables import as_table
from wheelforge_isolation.formats.text import find_meant
from wheelforge_isolation.formats.urls import redact, without_credentials

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.build.sources import GitTerms
    from wheelforge_isolation.formats.git_urls import GitUrl

_VERSIONERS = {
    *("dunamai", "hatch-vcs", "pbr", "poetry-dynamic-versioning", "setuptools-git-versioning"),
    *("setuptools-scm", "uv-dynamic-versioning", "vcs-versioning", "versioningit"),
}
"""Build requirements that make versions of tags."""
_GLANCE_SECONDS = 0.1
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,}")
_PROTOCOLS = "https:http:ssh:git"
_REPOSITORY_VARIABLE = re.compile(r"GIT_(DIR|WORK_TREE|INDEX_FILE|NAMESPACE|PREFIX|.*OBJECT_.*)")
"""Variables that say which repository is meant, as in a hook of git."""
_COUNT = "GIT_CONFIG_COUNT"
_REASON = re.compile(r"^(?:fatal|error|remote|ssh): ", re.MULTILINE)


class Checkout(NamedTuple):
    """The files of a commit."""

    root: Path
    commit: str
    time: int
    """When it was committed, in seconds since 1970."""


def check_out(source: GitUrl, directory: Path, terms: GitTerms) -> Checkout:
    """Put the files of a revision into ``directory``, and nothing else."""
    git = _Git(source, directory, terms)
    remove_tree(str(directory))
    ensure_directory(str(directory))
    git.run("init", "--quiet")
    git.run("remote", "add", "origin", git.url)
    commit = git.fetch(terms.commit or git.resolve())
    git.run("checkout", "--quiet", "--detach", commit)
    if (directory / ".gitmodules").is_file():
        git.run("submodule", "--quiet", "update", "--init", "--recursive")
    root = directory / source.subdirectory
    if not root.is_dir():
        reason = f"it has no directory `{source.subdirectory}`"
        raise SourceError("source-invalid", git.label, reason)
    if git.is_shallow and not _states_version(root):
        git.run("fetch", "--quiet", "--unshallow", "--tags", "--filter=blob:none", "origin", commit)
    # A user may have git show signatures as well.
    show = ("-c", "log.showSignature=false", "show", "-s", "--format=%ct")
    return Checkout(root, commit, int(git.run(*show, commit)))


class _Git:
    def __init__(self, source: GitUrl, directory: Path, terms: GitTerms) -> None:
        self._revision = source.revision
        self._directory = directory
        self._is_cancelled = terms.is_cancelled
        is_ssh = source.url.startswith("ssh:")  # its user is part of the address
        self.url = source.url if is_ssh else without_credentials(source.url)
        self.label = redact(source.url)
        self.is_shallow = False
        """Whether a commit is there without those before it."""
        self._variables = _make_variables(source.url, self.url, terms)

    def resolve(self) -> str:
        """Return the commit that the revision names, or the revision if it may be part of one."""
        name = self._revision
        if is_commit(name):
            return name
        listed = self.run("ls-remote", "--quiet", "origin")
        refs = {ref: commit for commit, ref in (line.split("\t") for line in listed.splitlines())}
        # As with pip: a branch comes before a tag; of a tag, the commit that it is of.
        places = (f"refs/heads/{name}", f"refs/tags/{name}^{{}}", f"refs/tags/{name}", name)
        for ref in places if name else ("HEAD",):
            if ref in refs:
                return refs[ref]
        if name and _SHORT_COMMIT.fullmatch(name):
            return name
        known = (re.sub(r"^refs/(heads|tags)/|\^\{\}$", "", ref) for ref in refs)
        raise SourceError("revision-unknown", self.label, name or "HEAD", find_meant(name, known))

    def fetch(self, commit: str) -> str:
        """Fetch a commit, alone if the server gives it so, and return its whole name."""
        if is_commit(commit):
            with contextlib.suppress(SourceError):
                self.run("fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit)
                self.is_shallow = True
                return commit
        self.run("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        try:
            return self.run("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}").strip()
        except SourceError as error:
            raise SourceError("revision-unknown", self.label, commit, "") from error

    def run(self, *words: str) -> str:
        """Run git in the directory, and return what it prints."""
        try:
            process = subprocess.Popen(
                ["git", *words],  # ruff: ignore[start-process-with-partial-path]
                cwd=self._directory,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Without a terminal neither git nor ssh asks for anything there.
                start_new_session=True,
            )
        except OSError as error:
            raise SourceError("git-missing", self.label) from error
        with process:
            try:
                out, err = self._wait(process)
            except BaseException:
                kill_group(process)
                raise
        if process.returncode:
            raise SourceError("git-failed", self.label, _find_reason(plain_text(err)))
        return os.fsdecode(out)

    def _wait(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=_GLANCE_SECONDS)
            if self._is_cancelled():
                raise BuildCancelledError(self.label)


def _make_variables(url: str, bare: str, terms: GitTerms) -> dict[str, str]:
    """Return the variables of git, by which it finds credentials where ``bare`` has none."""
    protocols = f"file:{_PROTOCOLS}" if url.startswith("file:") else _PROTOCOLS
    given = terms.variables.items()
    made = {
        **{key: text for key, text in given if not _REPOSITORY_VARIABLE.fullmatch(key)},
        "GIT_ALLOW_PROTOCOL": "file" if terms.is_offline else protocols,
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS": "",  # a window, which git opens for passwords of other protocols, too
        "SSH_ASKPASS_REQUIRE": "never",
        "LC_ALL": "C",
    }
    if url != bare:
        count = made.get(_COUNT, "")
        number = int(count) if count.isdecimal() else 0
        end = len(url) - len(url.partition("://")[2].partition("/")[2])
        made |= {
            _COUNT: str(number + 1),
            f"GIT_CONFIG_KEY_{number}": f"url.{url[:end]}.insteadOf",
            f"GIT_CONFIG_VALUE_{number}": bare[: end - len(url) + len(bare)],
        }
    return made


def _find_reason(text: str) -> str:
    """Return what git says is wrong, in one line, without its advice and without credentials."""
    lines = [line.strip() for line in redact(text).splitlines() if line.strip()]
    wrong = [line for line in lines if _REASON.match(line)]
    return "; ".join(_REASON.sub("", line) for line in wrong or lines[-1:]) or "nothing"


def _states_version(root: Path) -> bool:
    """Return whether the version stands in pyproject.toml."""
    return isinstance(as_table(_read_project(root).get("project")).get("version"), str)


def find_versioner(root: Path) -> str:
    """Return the build requirement that makes the version of the repository, if there is one.

    An sdist states its version, so that nothing is made of anything else there.
    """
    if (root / "PKG-INFO").is_file() or _states_version(root):
        return ""
    requires = as_table(_read_project(root).get("build-system")).get("requires")
    texts = cast("list[object]", requires) if isinstance(requires, list) else []
    names = (find_name(str(text)) for text in texts)
    return next((name for name in names if name in _VERSIONERS), "")


def _read_project(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
