"""Backends that come to a bad end, each of them with a clear word and without a trace."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.filesystems.mounts import mounted_tmpfs
from tests.support.builds import Ground, ask, names_in, write_project, write_sdist
from tests.support.codes import raises
from tests.support.hooks import (
    DAEMON,
    LINUX_ONLY,
    STUBBORN,
    is_running,
    read_pids,
    wait_until,
    wait_until_ended,
)
from wheelforge.cli import main
from wheelforge.errors import ResultInvalidError

pytestmark = LINUX_ONLY

NOTE = """
import os
with open("pids.new", "a") as file:
    file.write(f"{os.getpid()} ")
"""
GARBAGE = """
import os, sys
with open(os.path.join(sys.argv[2], "output.json"), "wb") as file:
    file.write({content!r})
os._exit(0)
"""


def fail(project: Path, ground: Ground, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Build through the command line in vain, check what always holds; return the message."""
    output = project.parent / "out"
    code = main(ground.words(project, "--wheel", "-o", output, *words))
    message = capsys.readouterr().err
    assert code == 4
    assert "Traceback" not in message
    assert not output.exists()
    assert ground.stages == []
    return message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", ["build-out-of-memory"]),
        ("os.kill(os.getpid(), signal.SIGSEGV)", ["build-crashed"]),
        ("os.abort()", ["build-crashed"]),
        ("os._exit(3)", ["backend-failed", "status 3"]),
        ("sys.exit('no steel')", ["backend-failed", "no steel"]),
        ("os._exit(0)", ["hook-answer-invalid", "a file, and there is: none"]),
        ("os.close(1); os.close(2); os._exit(5)", ["backend-failed", "status 5"]),
        ("sys.stdout.write('x' * 2**20); os._exit(5)", ["backend-failed"]),
        ("print('y\\n' * 2**19 + 'the end', flush=True); os._exit(5)", ["the end"]),
        ("os.write(1, b'\\xff\\xfe no text'); os._exit(5)", ["\ufffd\ufffd no text"]),
        ("os.write(1, b'\\x1b[31mred'); os._exit(5)", ["\n  red\n"]),
    ],
)
def test_hook__each_kind_of_failure_has_its_own_message(
    tmp_path: Path, ground: Ground, capsys: pytest.CaptureFixture[str], code: str, words: list[str]
) -> None:
    project = write_project(tmp_path / "project", build_wheel=f"import os, signal, sys; {code}")

    message = fail(project, ground, capsys)

    assert [word for word in words if word not in message] == []
    assert len(message) < 100_000


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"5", b"\xff", b"null", b'{"warnings": 5}', b'{"warnings": [1]}']
)
def test_hook__garbled_answer_is_refused(tmp_path: Path, ground: Ground, content: bytes) -> None:
    code = GARBAGE.format(content=content)
    project = write_project(tmp_path / "project", get_requires_for_build_wheel=code)

    with raises("hook-answer-invalid", match="`get_requires_for_build_wheel` should"):
        ground.build(project, tmp_path / "out")


@pytest.mark.parametrize(
    "answer", ["5", "None", "'demo'", "['demo', 5]", "{'a': 1}", "'x' * 2**20"]
)
def test_hook__requirements_must_be_a_list_of_texts(
    tmp_path: Path, ground: Ground, answer: str
) -> None:
    code = f"answer = {answer}"
    project = write_project(tmp_path / "project", get_requires_for_build_wheel=code)

    with raises("hook-answer-invalid", match="a list of requirements") as caught:
        ground.build(project, tmp_path / "out")

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("answer", ["'x' * 2**20", "'x' * 2**20 + '.whl'", "['x'] * 2**18"])
def test_hook__overlong_name_is_not_repeated(tmp_path: Path, ground: Ground, answer: str) -> None:
    project = write_project(tmp_path / "project", build_wheel=f"answer = {answer}")

    with pytest.raises(ResultInvalidError) as caught:
        ground.build(project, tmp_path / "out")

    assert len(str(caught.value)) < 500


def test_hook__that_takes_the_place_of_the_results_is_told(tmp_path: Path, ground: Ground) -> None:
    code = "import pathlib; place = pathlib.Path('../../wheel'); place.rmdir(); place.touch()"
    sdist = write_sdist(tmp_path, get_requires_for_build_wheel=code)

    with ground.forge() as forge, raises("file-access", match="is not a directory"):
        forge.build(ask(sdist, tmp_path / "out"))


def test_daemon__ends_with_its_hook_and_the_build_succeeds(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", build_wheel=NOTE + DAEMON)

    outcome = ground.build(project, tmp_path / "out")

    wait_until_ended(project / "pids")
    assert outcome.notes == ("`build_wheel` left 1 processes behind; they were ended",)


def test_timeout__ends_the_hook_and_all_that_it_has_started(
    tmp_path: Path, ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project", build_wheel=NOTE + DAEMON + "time.sleep(600)")

    assert fail(project, ground, capsys, "--timeout", "4").startswith("error[hook-timed-out]: ")
    assert not any(map(is_running, read_pids(project / "pids")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt__ends_every_process_and_leaves_nothing(
    tmp_path: Path, ground: Ground, number: signal.Signals
) -> None:
    project = write_project(tmp_path / "project", build_wheel=STUBBORN)
    words = ground.words(project, "--wheel", "-o", tmp_path / "out")
    command = [sys.executable, "-m", "wheelforge", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    wait_until((project / "pids").exists)

    process.send_signal(number)
    output, message = process.communicate()

    assert (process.returncode, output, message) == (130, "", "interrupted\n")
    assert not any(map(is_running, read_pids(project / "pids")))
    assert ground.stages == []
    assert names_in(tmp_path) == ["project"]


@pytest.mark.parametrize(
    ("option", "shown"),
    [("-q", []), ("-o", ["old"]), ("-v", ["old"])],
    ids=["quiet", "normal", "verbose"],
)
def test_warning_of_a_backend__is_shown_once_and_is_none_of_this_process(
    tmp_path: Path,
    ground: Ground,
    capsys: pytest.CaptureFixture[str],
    option: str,
    shown: list[str],
) -> None:
    warn = "__import__('warnings').warn('old')"
    hooks: dict[str, Any] = dict.fromkeys(
        ("get_requires_for_build_wheel", "build_wheel", "build_sdist"), warn
    )
    project = write_project(tmp_path / "project", own=True, **hooks)
    words = [option, *([] if option == "-o" else ["-o"])]

    assert main(ground.words(project, *words, tmp_path / "out")) == 0

    warnings = re.findall(r"^warning: (.*)$", capsys.readouterr().err, re.MULTILINE)
    assert warnings == [f"project: {text}" for text in shown]


@pytest.mark.filesystems
def test_log__full_disk_is_our_own_fault(tmp_path: Path) -> None:
    ground = Ground.make(tmp_path)
    project = write_project(tmp_path / "project", build_wheel="print('x' * 2**16, flush=True)")
    logs = ground.cache / "logs-v1"
    ground.cache.mkdir(mode=0o700)
    with mounted_tmpfs(logs, kibibytes=16, inodes=8), ground.forge() as forge:
        outcome = forge.try_build(ask(project, tmp_path / "out"))

    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.exit_code) == ("disk-full", 5)
