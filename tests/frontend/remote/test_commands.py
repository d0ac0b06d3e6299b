"""The commands and options of remote caches: keys, trust, files of options, another user."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest

from tests.support.forge import Done, Place
from tests.support.maker import maker, write_thing
from tests.support.processes import NOBODY
from tests.support.source import ROOT
from wheelforge.cli.arguments import parse_words
from wheelforge.cli.settings import make_settings


def make_place(path: Path) -> Place:
    write_thing(path)
    wheels = path / "wheels"
    wheels.mkdir()
    (wheels / maker().name).write_bytes(maker().content)
    return Place(path=path, variables={"XDG_CONFIG_HOME": str(path / "config")})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def build(place: Place, machine: str, *more: str | Path, **variables: str) -> Done:
    """Build on a machine, whose cache is its own; the shared one is a directory."""
    wheels = place.path / "wheels"
    words = (
        place.path / "thing-1.0.tar.gz",
        "-o",
        place.path / machine,
        "--no-index",
        "-f",
        wheels,
    )
    own = {"WHEELFORGE_CACHE_DIR": str(place.path / f"{machine}-cache"), **variables}
    own["WHEELFORGE_REMOTE_CACHE"] = str(place.path / "shared")
    return place.run(*words, "--report", place.path / f"{machine}.json", *more, **own)


def read_outcome(place: Place, machine: str) -> str:
    report = json.loads((place.path / f"{machine}.json").read_text(encoding="utf-8"))
    return str(report["builds"][0]["outcome"])


def fill(place: Place) -> Path:
    """Build on the first machine with a new key, and return the public one."""
    key = place.path / "team.pem"
    assert place.run("cache", "keygen", key).code == 0
    done = build(place, "first", "--remote-key", key, "--remote-sandbox", "none")
    assert done.code == 0, done.err
    return key.with_name("team.pem.pub")


def test_keygen__private_key_is_private_and_stays(place: Place) -> None:
    key = place.path / "team.pem"

    done = place.run("cache", "keygen", key)

    assert done.code == 0
    assert f"public key:  {key}.pub" in done.out
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    again = place.run("cache", "keygen", key)
    assert (again.code, again.error, key.read_bytes()) == (2, "option-invalid", before)


def test_trust__wheel_of_another_machine_is_used_from_then_on(place: Place) -> None:
    public = fill(place)
    assert build(place, "second").code == 0
    assert read_outcome(place, "second") == "built"

    done = place.run("cache", "trust", public)

    assert (done.code, done.out[:9]) == (0, "trusted: ")
    assert build(place, "third").code == 0
    assert read_outcome(place, "third") == "reused"


def test_trust__file_that_is_no_key_is_refused(place: Place) -> None:
    done = place.run("cache", "trust", place.path / "thing-1.0.tar.gz")

    assert (done.code, done.error) == (3, "provenance-invalid")


def test_why__says_where_a_wheel_came_from(place: Place) -> None:
    build_with = ("--remote-trust", fill(place))
    build(place, "second", *build_with)

    done = place.run("why", "thing", WHEELFORGE_CACHE_DIR=str(place.path / "second-cache"))

    assert f"it was taken from the remote cache {place.path / 'shared'}" in done.out


def test_remote_key__is_hidden_from_hooks(place: Place) -> None:
    fill(place)
    key, shared = place.path / "team.pem", place.path / "shared"

    words = ["x", "--remote-key", str(key), "--remote-cache", str(shared)]
    settings = make_settings(parse_words(words))

    assert key in settings.sandbox.hidden
    assert settings.remote.signer is not None


def test_remote_options__stand_in_a_configuration_file(place: Place) -> None:
    public = fill(place)
    config = place.path / "team.toml"
    config.write_text(
        f'remote-cache = ["shared?read-only"]\nremote-trust = ["{public.name}"]\n', encoding="utf-8"
    )

    done = build(place, "second", "--config", config)

    assert done.code == 0
    assert read_outcome(place, "second") == "reused"


@pytest.mark.parametrize("own", [False, True])
def test_remote_trust__is_refused_in_the_file_of_a_project(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    public = fill(place)
    directory = place.path / "config" / "wheelforge" if own else place.path
    directory.mkdir(parents=True, exist_ok=True)
    text = f"remote-cache = ['{place.path}/shared']\nremote-trust = ['{public}']\n"
    (directory / "wheelforge.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(place.path)

    done = build(place, "second", XDG_CONFIG_HOME=str(place.path / "config"))

    assert done.code == (0 if own else 2), done.err
    assert ("a project may not say `remote-trust`" in done.err) is not own


@pytest.mark.parametrize(
    "words",
    [
        ("--remote-cache", "ftp://example.org"),
        ("--remote-key", "absent.pem"),
        ("--remote-sandbox", "some"),
        ("--remote-timeout", "soon"),
    ],
)
def test_remote_options__nonsense_is_refused_before_anything_is_built(
    place: Place, words: tuple[str, ...]
) -> None:
    done = build(place, "first", *words)

    assert done.code == 2
    assert not (place.path / "shared").exists()


_SYSTEM_PYTHON = "/usr/bin/python3"
_AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_remote_cache__another_user_takes_wheels_into_an_empty_cache() -> None:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own are closed to others
        path = Path(directory)
        path.chmod(0o711)
        take_as_another_user(make_place(path))


def take_as_another_user(place: Place) -> None:
    paths = (ROOT / "frontend", ROOT / "isolation", sysconfig.get_path("purelib"))
    path = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PATH": "/usr/bin:/bin", "HOME": "/"}
    other = place.path / "other"
    other.mkdir()
    os.chown(other, NOBODY, NOBODY)
    probe = [*_AS_NOBODY, _SYSTEM_PYTHON, "-c", "import wheelforge.cli, build, cryptography"]
    if subprocess.run(probe, env=path, check=False, capture_output=True).returncode:
        pytest.skip("another user cannot run this wheelforge with a Python of the system")
    key = place.path / "team.pem"
    place.run("cache", "keygen", key)
    shared = {**place.variables, **path, "WHEELFORGE_REMOTE_CACHE": str(place.path / "shared")}
    words = (place.path / "thing-1.0.tar.gz", "--no-index", "-f", place.path / "wheels")
    signing = ("--remote-key", key, "--remote-sandbox", "none", "-o", place.path / "out")
    taking = ("--remote-trust", f"{key}.pub", "--report", other / "report.json", "-o", other)
    own = {**shared, "WHEELFORGE_CACHE_DIR": str(other / "cache")}
    second = Place(path=place.path, variables=own)

    first = Place(path=place.path, variables=shared).call(*words, *signing, python=_SYSTEM_PYTHON)
    done = second.call(*words, *taking, before=_AS_NOBODY, python=_SYSTEM_PYTHON)

    assert (first.code, done.code) == (0, 0), first.err + done.err
    report = json.loads((other / "report.json").read_text(encoding="utf-8"))
    assert report["builds"][0]["outcome"] == "reused"
