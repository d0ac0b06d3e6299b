"""Repositories as sources: real ones, fetched by the real git."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import Ground, write_project
from wheelforge.build.git import check_out
from wheelforge.build.sources import GitTerms
from wheelforge.cli import main
from wheelforge.errors import BuildCancelledError, SourceError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.git_urls import GitUrl, parse_git_url

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = {
    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "log.showSignature",
    "GIT_CONFIG_VALUE_0": "true",
}
DYNAMIC = "[build-system]\nrequires = []\n[project]\nname = 'demo'\ndynamic = ['version']\n"
URL = "git+https://host/demo"


def git(place: Path, *words: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", *words]
    done = subprocess.run(command, cwd=place, env=VARIABLES, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def commit(place: Path, version: str, *more: str) -> str:
    """Commit the project in that version, and return the commit."""
    write_project(place, own=True, version=version)
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", version, *more)
    return git(place, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return one with four versions: by tag, by commit, by branch, and the default branch."""
    path = tmp_path / "repositories" / "demo.git"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, "1.0")
    git(path, "tag", "-a", "v1.0", "-m", "tagged")
    commit(path, "2.0")
    git(path, "checkout", "-q", "-b", "feature/x")
    commit(path, "3.0")
    git(path, "checkout", "-q", "main")
    commit(path, "4.0")
    return path


def fetch(place: Path, url: GitUrl, *revision: str, **variables: str) -> tuple[Path, str]:
    terms = GitTerms(variables={**VARIABLES, **variables})
    found = check_out(
        url._replace(**dict(zip(("revision",), revision, strict=False))), place, terms
    )
    return found.root, found.commit


@pytest.mark.parametrize(
    ("revision", "version"),
    [
        ("", "4.0"),
        ("@main", "4.0"),
        ("@v1.0", "1.0"),
        ("@feature/x", "3.0"),
        ("@refs/heads/feature/x", "3.0"),
        ("@COMMIT", "2.0"),
        ("@SHORT", "2.0"),
    ],
)
def test_git__a_revision_is_built(
    ground: Ground, repository: Path, revision: str, version: str
) -> None:
    wanted = git(repository, "rev-parse", "main~1")
    revision = revision.replace("COMMIT", wanted).replace("SHORT", wanted[:9])
    beginning = "demo @ " if version == "4.0" else ""
    source = f"{beginning}git+{repository.as_uri()}{revision}"

    outcome = ground.build(source, repository.parent / "out", kinds=())

    assert [artifact.path.name for artifact in outcome.artifacts] == [
        f"demo-{version}-py3-none-any.whl"
    ]
    assert outcome.request.label == "demo" + revision
    assert git(repository, "show", f"{outcome.commit}:pyproject.toml").count(f'"{version}"')
    assert outcome.notes == (f"built from the commit {outcome.commit}",)


@pytest.mark.parametrize(("inside", "version"), [("inner", "4.0"), ("inner/deep", "5.0")])
def test_git__a_subdirectory_and_submodules_are_built(
    tmp_path: Path, ground: Ground, repository: Path, inside: str, version: str
) -> None:
    commit(repository / "deep", "5.0")
    whole = repository.parent / "whole"
    whole.mkdir()
    git(whole, "init", "-q")
    git(whole, "submodule", "--quiet", "add", "../demo.git", "inner")
    git(whole, "commit", "-q", "-m", "whole")

    source = f"git+{whole.as_uri()}#subdirectory={inside}&egg=demo"
    outcome = ground.build(source, tmp_path / "out")

    assert outcome.artifacts[0].version == version
    with pytest.raises(SourceError, match="it has no directory `absent`"):
        ground.build(f"git+{whole.as_uri()}#subdirectory=absent", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "count", "tags"), [("", "1", ""), (DYNAMIC, "4", "v1.0"), ("[", "4", "v1.0")]
)
def test_git__history_comes_where_the_version_may_be_made_of_it(
    tmp_path: Path, repository: Path, text: str, count: str, tags: str
) -> None:
    if text:
        (repository / "pyproject.toml").write_text(text, encoding="utf-8")
        git(repository, "commit", "-q", "-a", "-m", "dynamic")

    root, _ = fetch(tmp_path / "out", parse_git_url(f"git+{repository.as_uri()}"))

    assert git(root, "rev-list", "--count", "HEAD") == count
    assert git(root, "tag") == tags
    assert not git(root, "status", "--porcelain")


def test_git__a_lock_holds_the_commit(
    tmp_path: Path, own: Ground, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, source = tmp_path / "pylock.build.toml", f"git+{repository.as_uri()}@main"
    assert main(["lock", *own.words(source, "-o", lock)]) == 0
    locked = git(repository, "rev-parse", "main")
    assert f'commit = "{locked}"' in lock.read_text(encoding="utf-8")
    commit(repository, "5.0")
    capsys.readouterr()

    assert main(own.words(source, "-o", tmp_path / "out", "--locked", lock)) == 0
    assert Path(capsys.readouterr().out.strip()).name == "demo-4.0-py3-none-any.whl"
    assert main(["lock", *own.words(source, "-o", lock, "--check")]) == 1
    assert f"  - source demo@main, commit:{locked[:12]} for " in capsys.readouterr().err


@pytest.fixture
def server(repository: Path) -> Iterator[GitUrl]:
    """Serve the repository by plain files, to those who know the password."""
    word = base64.b64encode(b"me:secret").decode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] == f"Basic {word}":
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    git(repository, "update-server-info")
    directory = repository.parent
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=directory)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{running.server_address[1]}/demo.git/.git"
        yield GitUrl(f"http://me:secret@{place}", "main", "")
        running.shutdown()


def test_git__credentials_are_in_no_file_and_no_message(
    tmp_path: Path, repository: Path, server: GitUrl
) -> None:
    root, found = fetch(tmp_path / "out", server)

    assert found == git(repository, "rev-parse", "main")
    assert not [
        path for path in root.rglob("*") if path.is_file() and b"secret" in path.read_bytes()
    ]
    with pytest.raises(SourceError) as caught:
        fetch(tmp_path / "out", server._replace(url=server.url.replace(":secret", ":wrong")))
    assert caught.value.code == "git-failed"
    assert "Authentication failed" in str(caught.value)
    assert not re.search(r"me:|wrong", str(caught.value))


def test_git__nobody_is_asked_for_a_password(tmp_path: Path, server: GitUrl) -> None:
    window, url = tmp_path / "window", server.url.replace("me:secret@", "")
    window.write_text("#!/bin/sh\necho a password\n", encoding="utf-8")
    window.chmod(0o755)

    with pytest.raises(SourceError, match="terminal prompts disabled"):
        fetch(tmp_path / "out", server._replace(url=url), SSH_ASKPASS=str(window))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{URL}@--upload-pack=touch", "`--upload-pack=touch` is no name of a branch"),
        (f"{URL}@-x", "`-x` is no name"),
        (f"{URL}@a..b", "`a..b` is no name"),
        (f"{URL}@a:b", "`a:b` is no name"),
        (f"{URL}@", "`` is no name"),
        (f"{URL}#subdirectory=../x", "subdirectory `../x` is not inside"),
        (f"{URL}#subdirectory=/x", "subdirectory `/x` is not inside"),
        ("git+ssh://-oProxyCommand=x/y", "its host begins with a `-`"),
        ("git+ssh://a@-oProxyCommand=x/y", "its host begins with a `-`"),
        ("git+ext::sh -c x", "only `git+https:`"),
        ("git+http://host/demo", "only `git+https:`"),
        ("git+git@host:demo", "only `git+https:`"),
        ("git+file://host", "it is not like `git+https://host/name.git`"),
    ],
)
def test_git__what_is_hostile_or_unknown_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=re.escape(reason)):
        parse_git_url(text)


@pytest.mark.parametrize("place", ["..", ".", "...git", "..git", ".git", "a\\..\\b"])
def test_git__a_repository_is_called_by_no_other_directory(place: str) -> None:
    assert parse_git_url(f"git+https://host/{place}").name == "repository"


def test_git__a_revision_that_is_not_there_is_told(tmp_path: Path, repository: Path) -> None:
    url = parse_git_url(f"git+{repository.as_uri()}")
    for revision, hint in (("mains", "did you mean `main`?"), ("0" * 40, ""), ("abcdef0", "")):
        with pytest.raises(SourceError) as caught:
            fetch(tmp_path / "out", url, revision)
        assert (caught.value.code, caught.value.hint) == ("revision-unknown", hint)


def test_git__that_is_missing_is_told(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(SourceError, match="there is no program `git`"):
        fetch(tmp_path / "out", parse_git_url(f"git+{repository.as_uri()}"), PATH=str(tmp_path))


def test_git__a_cancelled_build_ends_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = f"sh -c 'echo $$ > {pids}; sleep 100'"
    terms = GitTerms({**VARIABLES, "GIT_SSH_COMMAND": command}, pids.exists)

    with pytest.raises(BuildCancelledError):
        check_out(parse_git_url("git+ssh://host/demo"), tmp_path / "out", terms)

    number = pids.read_text(encoding="ascii").strip()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{number}").exists()


def test_git__offline_submodules_are_not_from_elsewhere(
    tmp_path: Path, own: Ground, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    text = '[submodule "far"]\npath = far\nurl = https://127.0.0.1:1/far\n'
    (repository / ".gitmodules").write_text(text, encoding="utf-8")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},far")
    git(repository, "add", ".gitmodules")
    git(repository, "commit", "-q", "-m", "far")
    source = f"git+{repository.as_uri()}"

    assert main(own.words(source, "-o", tmp_path / "out", "--offline")) == 5
    assert "transport 'https' not allowed" in capsys.readouterr().err


@pytest.mark.parametrize("source", [URL, "https://host/demo-1.0.tar.gz"])
def test_git__no_url_is_fetched_offline_because_the_index_is_here(
    tmp_path: Path, own: Ground, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    words = own.words(source, "-o", tmp_path / "out", "--offline", "--no-index")

    assert main(words) == 5
    assert f"error[offline]: `{source.removeprefix('git+')}`" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "code"), [(["--editable"], 2), (["--offline"], 5), (["-s"], 0)])
def test_git__options_of_other_sources(
    tmp_path: Path, own: Ground, repository: Path, words: list[str], code: int
) -> None:
    place = repository.as_uri() if code != 5 else "https://host/demo"

    assert main(own.words(f"git+{place}", "-o", tmp_path / "out", *words)) == code
