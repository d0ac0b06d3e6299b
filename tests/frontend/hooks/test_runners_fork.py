"""When a hook is forked, when it is not, and what becomes of it if the server dies."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyproject_hooks import BackendUnavailable

from tests.support.codes import raises
from tests.support.hooks import LINUX_ONLY, Place, kill, wait_until
from tests.support.processes import in_threads
from wheelforge.errors import HookFailedError
from wheelforge.hooks.runner import HookRunner
from wheelforge.hooks.server import ForkServer

pytestmark = LINUX_ONLY

HOOKS = "\ndef get_requires_for_build_wheel(config_settings=None):\n    return [str(VALUE)]\n"


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("place"))


@pytest.fixture
def place(shared_place: Place) -> Iterator[Place]:
    shared_place.endings.clear()
    yield shared_place
    (shared_place.project / "pids").unlink(missing_ok=True)


def ask_backend(place: Place, code: str, **variables: str) -> tuple[Any, str]:
    """Return what a backend with that code answers in a hook, and why it was not forked."""
    place.add("special", code + HOOKS)
    with place.serve("special") as server, HookRunner(place.terms(), server) as runner:

        def run(
            cmd: Sequence[str],
            cwd: str | None = None,
            extra_environ: Mapping[str, str] | None = None,
        ) -> None:
            runner(cmd, cwd, {**(extra_environ or {}), **variables})

        caller = place.caller(runner, "special")
        with caller.subprocess_runner(run):
            answer = caller.get_requires_for_build_wheel()
    return answer, place.endings[-1].reason


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "from threading import Event, Thread; Thread(target=Event().wait, daemon=True).start()",
            "threads",
        ),
        ("import subprocess\np = subprocess.Popen(['sleep', '60'])", "starts processes"),
        ("import subprocess; subprocess.check_output(['env'])", "runs other programs"),
        ("print('hello')", "prints"),
        ("import os; os.write(2, b'x' * 2**18)", "prints"),
        ("import warnings; warnings.warn('old')", "warns"),
        ("import os; os.getcwd()", "reads the working directory"),
        ("from pathlib import Path; Path('x').absolute()", "reads the working directory"),
        ("import os; os.chdir('/')", "changes the working directory"),
        ("open('made', 'w').close()", "uses the relative path `made`"),
        ("import os; os.listdir()", "uses the relative path `.`"),
        ("import os; os.path.exists('../other')", "uses the relative path `../other`"),
        ("import os; os.path.exists('pyproject.toml')", "looks for `pyproject.toml`"),
        ("import os; os.path.exists(b'./pyproject.toml')", "looks for `pyproject.toml`"),
        ("import os; os.access('pyproject.toml', 0)", "looks for `pyproject.toml`"),
        ("from pathlib import Path; Path('pyproject.toml').is_file()", "looks for"),
        ("try: open('pyproject.toml')\nexcept OSError: pass", "looks for `pyproject.toml`"),
        ("import os; keep = [os.stat]", "keeps `os.stat`"),
        ("import warnings; warnings.showwarning = print", "changes how warnings are shown"),
        ("import weakref; weakref.finalize(weakref, id, 1)", "removed at exit"),
    ],
)
@pytest.mark.filterwarnings("ignore:old")
def test_server__import_that_cannot_be_shared_is_spawned(
    place: Place, code: str, words: str
) -> None:
    answer, reason = ask_backend(place, f"{code}\nVALUE = 1")

    assert answer == ["1"]
    assert words in reason


@pytest.mark.parametrize(
    ("code", "told", "reason"),
    [
        ("import nothing_like_it", "nothing_like_it", "cannot be imported"),
        ("raise SystemExit(3)", "status 3", "cannot be imported"),
        ("import os; os.abort()", "signal 6", "ended at its start"),
    ],
)
def test_server__failed_import_is_reported_by_a_fresh_process(
    place: Place, code: str, told: str, reason: str
) -> None:
    with pytest.raises((BackendUnavailable, Exception), match=told):
        ask_backend(place, code)

    assert reason in place.endings[0].reason


@pytest.mark.parametrize(
    ("code", "value", "reason"),
    [
        ("VALUE = 1", "1", ""),
        ("import os; VALUE = os.environ.get('EPOCH')", "7", "EPOCH"),
        ("import os; VALUE = os.getenv('EPOCH')", "7", "EPOCH"),
        ("import os; VALUE = os.environb.get(b'EPOCH')", "b'7'", "EPOCH"),
        ("import os; VALUE = 'EPOCH' in os.environ", "True", "EPOCH"),
        ("import os; VALUE = dict(os.environ)['EPOCH']", "7", "EPOCH"),
    ],
)
def test_server__variable_read_at_import_must_be_the_same(
    place: Place, code: str, value: str, reason: str
) -> None:
    answer, objection = ask_backend(place, code, EPOCH="7")

    assert answer == [value]
    assert reason in objection
    assert bool(reason) == bool(objection)


@pytest.mark.parametrize("name", ["PYTHONWARNINGS", "LC_ALL", "TZ"])
def test_server__variable_of_the_interpreter_must_be_the_same(place: Place, name: str) -> None:
    _, objection = ask_backend(place, "VALUE = 1", **{name: "C"})

    assert f"another `{name}`" in objection


LATE = "\nimport os\nVALUE = os.getpid()\n"
ASKING = """
def get_requires_for_build_wheel(config_settings=None):
    import os
    from parcel.late import VALUE
    return [str(VALUE), str(os.getppid())]
"""


def ask_parcel(place: Place, late: str) -> tuple[list[str], str]:
    """Return what a backend answers whose hook imports ``late``, and why it was not forked."""
    place.add("parcel/__init__", "")
    place.add("parcel/late", late)
    place.add("parcel/api", ASKING)
    with place.serve("parcel.api") as server, HookRunner(place.terms(), server) as runner:
        answer = place.caller(runner, "parcel.api").get_requires_for_build_wheel()
        return [*answer, str(server.pid)], place.endings[-1].reason


def test_late_import__of_the_own_package_is_made_before_the_fork(place: Place) -> None:
    (imported_in, _, server), reason = ask_parcel(place, LATE)

    assert (imported_in, reason) == (server, "")


def test_late_import__failure_comes_where_it_is_wanted(place: Place) -> None:
    with pytest.raises(HookFailedError) as caught:
        ask_parcel(place, "import does_not_exist")

    assert b"does_not_exist" in caught.value.output
    assert place.endings[-1].forked


def test_late_import__is_watched_as_the_backend_is(place: Place) -> None:
    (imported_in, _, server), reason = ask_parcel(place, f"{LATE}os.getcwd()")

    assert imported_in != server
    assert "reads the working directory" in reason


def test_server__variables_changed_at_import_are_changed_in_each_hook(place: Place) -> None:
    code = "import os; os.environ['MADE'] = 'x'; os.environ.pop('LANG'); VALUE = 1"
    late = "\nclass Late:\n    def __str__(self):\n        return str(sorted(os.environ))"

    (answer,), objection = ask_backend(place, f"{code}{late}\nVALUE = Late()")

    assert not objection
    assert "'MADE'" in answer
    assert "'LANG'" not in answer


LOOKS = """
import os, shutil
from os import stat
from pathlib import Path
class Bound:
    here, look = os.getcwd, stat
def take(function=os.getcwd):
    pass
class Answer:
    def __str__(self):
        found = [os.getcwd, os.stat, os.lstat, stat, Bound.here, Bound().look, os.listdir]
        facts = [type(it).__name__ for it in found]
        facts += [Bound().here() == os.getcwd(), os.path.isfile("pyproject.toml")]
        facts += [os.stat in os.supports_fd, shutil.rmtree.avoids_symlink_attacks]
        return str([*facts, Path("pyproject.toml").exists(), Path.cwd().name])
take.__defaults__ = None
absent = Path("absent").exists(), os.path.exists("/"), os.path.exists("")
VALUE = Answer()
"""


def test_paths__functions_are_builtins_and_look_at_the_project_in_a_fork(place: Place) -> None:
    forked, reason = ask_backend(place, LOOKS)
    place.add("special", LOOKS + HOOKS)
    with HookRunner(place.terms()) as runner:
        spawned = place.caller(runner, "special").get_requires_for_build_wheel()

    assert (reason, forked) == ("", spawned)


def test_paths__a_server_neither_reads_nor_writes_where_this_process_is(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version.txt").write_text("of the caller", encoding="utf-8")
    (place.project / "version.txt").write_text("of the project", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    answer, _ = ask_backend(place, "VALUE = open('version.txt').read(); open('made', 'w').close()")

    assert answer == ["of the project"]
    assert (place.project / "made").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["version.txt"]


STREAMS = """
import sys
sys.stdout.reconfigure(errors="replace")
answer = []
for name in ("stdin", "stdout", "stderr"):
    stream = getattr(sys, name)
    facts = [name, stream.seekable(), stream.isatty(), stream.fileno(), stream.encoding]
    facts += [stream.errors, stream.line_buffering, stream.write_through, stream.mode]
    answer.append(facts + [repr(stream.buffer), stream.buffer.seekable()])
"""


def test_streams__a_fork_has_those_of_a_fresh_process(place: Place) -> None:
    with place.serve() as server, HookRunner(place.terms(), server) as runner:
        forked = place.ask(runner, STREAMS)
    with HookRunner(place.terms()) as runner:
        spawned = place.ask(runner, STREAMS)

    assert forked == spawned
    assert [ending.forked for ending in place.endings] == [True, False]


def test_server__backend_in_the_project_is_spawned(place: Place) -> None:
    (place.project / "own.py").write_text("VALUE = 5" + HOOKS, encoding="utf-8")
    with place.serve("own") as server, HookRunner(place.terms(), server) as runner:
        caller = place.caller(runner, "own")
        caller.backend_path = [str(place.project)]

        assert caller.get_requires_for_build_wheel() == ["5"]

    assert "own tree" in place.endings[0].reason


def test_server__key_holds_all_that_it_depends_on(place: Place) -> None:
    keys = {place.serve().key, place.serve().key, place.serve("other").key}
    other = ForkServer(python=place.python, backend="obedient", environment={"A": "b"})

    assert len(keys | {other.key}) == 3


def test_server__death_leaves_the_running_hook_alone(place: Place) -> None:
    with place.serve() as server, HookRunner(place.terms(), server) as runner:
        code = """
import os, time
open("pids", "x").close()
while os.path.exists("pids"):
    time.sleep(0.005)
answer = ["done"]
"""
        with in_threads(lambda: place.ask(runner, code)) as answers:
            wait_until((place.project / "pids").exists)
            assert server.pid is not None
            kill(server.pid)
            (place.project / "pids").unlink()

        assert answers == [["done"]]
        assert place.ask(runner, "answer = 'next'") == "next"
        assert place.ask(runner, "answer = 'last'") == "last"
        assert [ending.forked for ending in place.endings] == [True, False, True]
        assert "ended" in place.endings[1].reason


def test_keeper__death_ends_its_hook(place: Place) -> None:
    with place.serve() as server, HookRunner(place.terms(), server) as runner:
        code = """
import os, signal, time
print("last words", flush=True)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
"""
        with raises("hook-lost") as caught:
            place.ask(runner, code)

    assert caught.value.output in {b"", b"last words\n"}


def test_server__closed_one_forks_no_more(place: Place) -> None:
    server = place.serve()
    with contextlib.closing(server.start()), HookRunner(place.terms(), server) as runner:
        place.ask(runner, "")
        server.close()
        place.ask(runner, "")

    assert [ending.reason for ending in place.endings] == ["", "the server is closed"]


def test_server__ends_at_once_although_another_process_has_its_channel(place: Place) -> None:
    place.add("special", "VALUE = 1" + HOOKS)
    with place.serve("special") as server, HookRunner(place.terms(), server) as runner:
        place.caller(runner, "special").get_requires_for_build_wheel()
        process = server._process
        assert process is not None
        assert process.channel is not None
        with process.channel.dup():
            begun = time.monotonic()
            server.close()
            assert time.monotonic() - begun < 2
