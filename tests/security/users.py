"""Users of this machine, made for a test and removed after it, and a place that all can enter."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

_PYTHONS = (sys.executable, "/usr/bin/python3")
"""The interpreter of the tests may lie where only root can enter."""
_LIBRARIES = os.pathsep.join(place for place in sys.path if place and Path(place).is_dir())


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user with a home directory."""

    name: str
    uid: int
    gid: int
    home: Path
    python: str = ""

    def own(self, path: Path) -> Path:
        """Give ``path``, and all below it, to this user."""
        for place in (path, *path.rglob("*")):
            os.chown(place, self.uid, self.gid, follow_symlinks=False)
        return path

    def run(
        self, *argv: str | Path, variables: Mapping[str, str] | None = None, umask: int = 0o22
    ) -> subprocess.CompletedProcess[str]:
        """Run Python as this user, with our packages at hand."""
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"}
        return subprocess.run(
            [self.python, *map(str, argv)],
            env={**environ, "PYTHONPATH": _libraries(self.python), **(variables or {})},
            cwd=self.home.parent,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )

    def wheelforge(
        self, *argv: str | Path, variables: Mapping[str, str] | None = None, umask: int = 0o22
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line as this user."""
        return self.run("-m", "wheelforge", *argv, variables=variables, umask=umask)


def _libraries(python: str) -> str:
    """Return the path for ``python``; another interpreter has a standard library of its own."""
    if python == sys.executable:
        return _LIBRARIES
    own = (sys.prefix, sys.base_prefix)
    places = _LIBRARIES.split(os.pathsep)
    return os.pathsep.join(
        place for place in places if "site-packages" in place or not place.startswith(own)
    )


@contextlib.contextmanager
def make_users(*names: str) -> Generator[tuple[User, ...]]:
    """Yield new users whose homes lie beside one another; skip where there cannot be any."""
    if sys.platform != "linux" or os.geteuid() or shutil.which("useradd") is None:
        pytest.skip("needs root and useradd, to make users")
    with contextlib.ExitStack() as stack:
        commons = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wf-users-")))
        commons.chmod(0o755)
        yield tuple(_make_user(stack, commons, name) for name in names)


def _make_user(stack: contextlib.ExitStack, commons: Path, name: str) -> User:
    import pwd

    account = f"wf-{name}-{os.getpid()}"
    home = commons / name
    home.mkdir(mode=0o755)
    _administer("useradd", "--no-create-home", "--home-dir", str(home), "--no-log-init", account)
    stack.callback(_administer, "userdel", account)
    entry = pwd.getpwnam(account)
    user = User(name=account, uid=entry.pw_uid, gid=entry.pw_gid, home=home)
    user.own(home)
    return replace(user, python=_find_python(user))


def _administer(program: str, *argv: str) -> None:
    command = [shutil.which(program) or program, *argv]
    # It writes the list of users anew, which others read.
    subprocess.run(command, check=True, capture_output=True, umask=0o022)


def _find_python(user: User) -> str:
    for python in _PYTHONS:
        with contextlib.suppress(OSError):
            if (
                replace(user, python=python)
                .run("-c", "import wheelforge.cli, packaging")
                .returncode
                == 0
            ):
                return python
    pytest.skip("needs a Python >= 3.11, and our packages, where other users can read them")
