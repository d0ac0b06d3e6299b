"""A forked hook finds what a spawned one finds: with own backends here, with all others when asked.

The long part installs every backend of `backends.toml` for each Python of this machine, which
takes about an hour: ``pytest -m "network and stress" tests/fork_equals_fresh``.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fork_equals_fresh.comparison import Bench, Pair, find_unexplained
from tests.support.hooks import LINUX_ONLY
from tests.support.hooks import Place as HookPlace
from tests.support.interpreters import real
from wheelforge.errors import HookFailedError

pytestmark = LINUX_ONLY

BACKENDS = tomllib.loads(Path(__file__).with_name("backends.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
LATE = "import parcel.part\nclass Late:\n    pass\n"
PARCEL = """
import logging, os, pathlib, random, re, signal, tempfile, threading, warnings
os.environ["MADE"] = "x"
os.umask(0o027)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
warnings.simplefilter("ignore", DeprecationWarning)
logging.getLogger("parcel").addHandler(logging.NullHandler())
seen = os.path.exists("absent"), pathlib.Path("absent").exists()
class Bound:
    here, look = os.getcwd, os.stat

def build_wheel(directory, config_settings=None, metadata_directory=None):
    import parcel.late
"""


class Case(NamedTuple):
    """A backend, as it is installed."""

    module: str
    requires: tuple[str, ...]
    not_forked: str

    def __str__(self) -> str:
        return "+".join(self.requires)


def list_cases() -> Iterator[Case]:
    for backend in BACKENDS["backend"]:
        for requires in backend["requires"]:
            yield Case(backend["module"], tuple(requires), backend.get("not_forked", ""))


def check(bench: Bench, not_forked: str = "") -> None:
    bench.prepare()
    pair = bench.compare()
    if not_forked:
        assert not_forked in pair.objection
        return
    assert not pair.objection
    assert find_unexplained(pair) == {}
    assert pair.find_repeated() == []


@pytest.mark.parametrize("backend", ["obedient", "parcel.api"])
def test_forked_hook__finds_what_a_spawned_one_finds(tmp_path: Path, backend: str) -> None:
    place = HookPlace.make(tmp_path)
    place.add("parcel/__init__", "")
    place.add("parcel/part", "")
    place.add("parcel/late", LATE)
    place.add("parcel/api", PARCEL)

    check(Bench(python=Path(place.python), backend=backend, place=tmp_path / "place"))


def test_comparison__sees_what_the_list_does_not_explain() -> None:
    facts = {"os / umask": "18", "random / state": "1", "rest / frozen": "7"}
    other = {"os / umask": "23", "random / state": "1", "rest / frozen": "0"}
    pair = Pair(forked=facts, again=facts, spawned=other, objection="")

    assert find_unexplained(pair) == {"os / umask": ("18", "23")}
    assert pair.find_repeated() == ["random / state"]


@pytest.mark.network
@pytest.mark.stress
@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("case", list(list_cases()), ids=str)
def test_forked_hook__of_a_backend_in_use(tmp_path: Path, version: str, case: Case) -> None:
    python = real(version, tmp_path / "cache").executable
    uv = str(Path(sys.executable).with_name("uv"))
    environment = tmp_path / "environment"
    subprocess.run([uv, "venv", "-q", "--python", python, str(environment)], check=True)
    own = environment / "bin" / "python"
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(own)]
    done = subprocess.run([*install, *case.requires], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot be installed for {version}: {done.stderr.strip()[-200:]}")
    bench = Bench(python=own, backend=case.module, place=tmp_path / "place")
    try:
        check(bench, case.not_forked)
    except (ImportError, HookFailedError) as error:
        if isinstance(error, HookFailedError) and "pkgutil.ImpImporter" not in str(error):
            raise
        pytest.skip(f"cannot be imported by {version}: {str(error)[-200:]}")
