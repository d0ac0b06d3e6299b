"""A hook that starts processes without end, as an ordinary user: `--max-processes` stops it."""

import sys
from pathlib import Path

import pytest

from tests.security.users import make_users
from tests.support.builds import write_sdist

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the rungs are those of Linux"),
    pytest.mark.xdist_group("users"),
]
_MOST = 40
_BOMB = f"""
import os, signal, time
started = []
while len(started) < {3 * _MOST}:
    try:
        pid = os.fork()
    except BlockingIOError:
        break
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    started.append(pid)
for pid in started:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
assert len(started) < {_MOST}, len(started)
print("STOPPED")
"""


@pytest.mark.parametrize("sandbox", ["none", "strict", "unshare", "tcp-off"])
def test_limits__of_processes_hold_against_a_bomb(sandbox: str) -> None:
    with make_users("dora") as (dora,):
        sdist = write_sdist(dora.home, own=True, build_wheel=_BOMB)
        dora.own(dora.home)
        bin_of_nothing = dora.home / "bin"
        bin_of_nothing.mkdir()
        path = str(bin_of_nothing) if sandbox == "unshare" else "/usr/bin:/bin"
        words: list[str | Path] = [sdist, "-o", dora.home / "out", "--no-index", "-v"]
        words += ["--sandbox", "strict" if sandbox == "unshare" else sandbox]

        done = dora.wheelforge(*words, "--max-processes", str(_MOST), variables={"PATH": path})

    if "error[sandbox-unavailable]" in done.stderr:
        pytest.skip("this machine has no such sandbox")
    assert done.returncode == 0, done.stderr
    assert "STOPPED" in done.stdout + done.stderr
