"""Files of `/etc` in a sandbox of root: those that not everybody may read stay hidden."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.users import make_users
from wheelforge.hooks.sandbox.ladder import Sandbox, try_rungs
from wheelforge.hooks.sandbox.policy import list_public, make_policy

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the rungs are those of Linux"),
    pytest.mark.xdist_group("users"),
]
_LOOK = """
import sys
print("ready", flush=True)
sys.stdin.readline()
for name in ("passwd", "shadow"):
    try:
        open("/etc/" + name).read()
    except OSError:
        continue
    print(name)
"""


def find_rung(name: str) -> Sandbox:
    found = {each.rung: each for each in try_rungs("/usr/bin:/bin")}
    if name not in found:
        pytest.skip(f"this machine has no {name}")
    return found[name]


@pytest.mark.parametrize("rung", ["bubblewrap", "unshare", "landlock"])
def test_settings__file_that_is_replaced_meanwhile_stays_hidden(rung: str) -> None:
    policy = make_policy(python=sys.executable, variables={}, writable=())
    prefix = find_rung(rung).write_prefix(policy)
    look = (sys.executable, "-I", "-c", _LOOK)

    with (
        make_users("carol") as (carol,),
        prefix.opening(look) as (command, descriptors),
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=descriptors,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        change = [shutil.which("usermod") or "usermod", "--comment", "Carol", "--unlock"]
        subprocess.run([*change, carol.name], check=False, capture_output=True)
        found, _ = process.communicate("\n", timeout=60)

    assert set(found.split()) <= {"passwd"}


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    for name, mode in {"a/b/open": 0o644, "a/shut": 0o600, "whole/x": 0o644, "own": 0o640}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="ascii")
        path.chmod(mode)
    (tmp_path / "link").symlink_to("a/shut")
    (tmp_path / "whole" / "link").symlink_to("x")
    (tmp_path / "closed").mkdir(mode=0o700)
    return tmp_path


def test_settings__of_root_are_listed_as_high_as_can_be(tree: Path) -> None:
    with make_users():  # which only root can
        found = list_public(tree)

    assert {str(path.relative_to(tree)) for path in found.places} == {"a/b", "whole"}
    assert found.links == (tree / "link",)
