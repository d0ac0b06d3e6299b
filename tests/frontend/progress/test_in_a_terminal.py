"""The screen of a real terminal while slow builds run."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.builds import write_project

_PATIENCE_SECONDS = 120
_TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(_TMUX is None, reason="there is no tmux")

WAIT = "import os, time\nwhile not os.path.exists({gate!r}): time.sleep(0.02)\n{then}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A terminal of 80 columns that runs one command."""

    socket: Path

    def open(self, command: str) -> None:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.socket.parent),
            "LC_ALL": "C.UTF-8",
        }
        told = [f"{name}={value}" for name, value in variables.items()]
        clean = shlex.join(["env", "-i", *told, "TERM=screen-256color", "sh", "-c", command])
        self._ask("-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "30", clean)

    def look(self) -> str:
        """Return what is on the screen."""
        return self._ask("capture-pane", "-p").rstrip()

    def resize(self, columns: int) -> None:
        self._ask("resize-window", "-x", str(columns))

    def send(self, key: str) -> None:
        self._ask("send-keys", key)

    def await_text(self, is_there: Callable[[str], object]) -> str:
        """Return what is on the screen as soon as it is so."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not is_there(text := self.look()):
            assert time.monotonic() < end, text
            time.sleep(0.05)
        return text

    def _ask(self, *words: str) -> str:
        command = [str(_TMUX), "-u", "-S", str(self.socket), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Yield a terminal that is gone afterwards."""
    opened = Terminal(socket=tmp_path / "socket")
    yield opened
    with contextlib.suppress(subprocess.CalledProcessError):
        opened._ask("kill-server")


def write_slow(tmp_path: Path, name: str, then: str = "") -> Path:
    """Write a project whose wheel is built when a file of its name is there."""
    code = WAIT.format(gate=str(tmp_path / "open" / name), then=then)
    return write_project(tmp_path / "in" / name, name=name, own=True, build_wheel=code)


def test_live__shows_builds_at_work_below_results(tmp_path: Path, terminal: Terminal) -> None:
    (tmp_path / "open").mkdir()
    names = ["first", "a_name_that_is_longer_than_any_terminal_is_wide_and_is_shortened", "third"]
    sources = [str(write_slow(tmp_path, name)) for name in names]
    sources.append(str(write_slow(tmp_path, "fourth", "raise RuntimeError('no steel today')")))
    places = ["-o", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]
    words = ["-w", "-j", "2", "--keep-going", *places, *sources]
    command = shlex.join([sys.executable, "-m", "wheelforge", *words])

    terminal.open(f"{command}; echo the end; exec sleep 600")
    early = terminal.await_text(lambda text: text.count("building wheel") == 2)
    (tmp_path / "open" / "first").touch()
    later = terminal.await_text(lambda text: "1 done" in text and text.count("building") == 2)
    terminal.resize(50)
    narrow = terminal.await_text(lambda text: "1 done" in text and "building" not in text)
    terminal.resize(80)
    for name in ("fourth", *names):
        (tmp_path / "open" / name).touch()
    end = terminal.await_text(lambda text: "the end" in text)

    *flights, totals = early.splitlines()
    second, first = sorted(flights)  # Two that start at once may be in either order.
    assert re.fullmatch(r"\u2022 first +building wheel( +\d+ s)?", first)
    assert re.fullmatch(r"\u2022 a_name\S+\u2026? +building wheel( +\d+ s)?", second)
    assert re.fullmatch(r"  \S{24}  2 waiting( +\d+ s)?", totals)
    assert re.match(r"\u2713 +\d+\.\ds  first-1\.0-py3-none-any\.whl\n\u2022", later)
    assert "1 done \u00b7 1 waiting" in later
    assert max(map(len, narrow.splitlines())) <= 50
    assert "building wheel" not in end
    assert re.search(r"^done: 3 built, 1 failed in \d+\.\d s \(", end, re.MULTILINE)
    assert "no steel today" in end


def test_live__ctrl_c_leaves_no_lines(tmp_path: Path, terminal: Terminal) -> None:
    source = str(write_slow(tmp_path, "slow"))
    places = ["-o", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]
    command = shlex.join([sys.executable, "-m", "wheelforge", "-w", source, *places])

    terminal.open(f"trap : INT; {command}; echo code $?; exec sleep 600")
    terminal.await_text(lambda text: "building wheel" in text)
    terminal.send("C-c")
    end = terminal.await_text(lambda text: "code 130" in text)

    assert "\u2022" not in end
    assert end.splitlines()[-1] == "code 130"
