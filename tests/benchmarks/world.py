"""Where children run: a directory, a composed environment that is the same for all, real sdists."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.pairing import Contender
from tests.benchmarks.peers import Tools
from tests.support.corpus import SDISTS, Sdist, fetch_missing

Command = tuple[str, ...]

PURE = (
    "typing_extensions-4.8.0.tar.gz",  # flit_core
    "six-1.17.0.tar.gz",  # setuptools, without a pyproject.toml
    "pyjwt-2.15.1.tar.gz",  # setuptools, with one
    "attrs-23.2.0.tar.gz",  # hatchling and two plugins
    "rich-13.7.1.tar.gz",  # poetry-core
    "packaging-26.3.tar.gz",  # flit_core, many files
)
COMPILED = "MarkupSafe-2.1.5.tar.gz"
"""A C extension: most of its time is the compiler's, so it stands beside the mean."""

_HANDED_ON = (
    *("SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that a machine needs to work, or to reach an index."""
_COMPLAINT_LENGTH = 2000


class SkipError(Exception):
    """A bench cannot be run here, and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The settings of every benchmark."""

    place: Path
    """Private; on the disk that is to be measured."""
    rounds: int = 7
    is_quick: bool = False
    """Whether only to see that it works."""
    uses_real_index: bool = False
    tools: Tools = field(default_factory=Tools)

    def sdists(self, *, with_compiled: bool = True) -> list[Sdist]:
        """Return the sdists to build; one is enough to see that it works."""
        names = PURE[:1] if self.is_quick else (*PURE, *((COMPILED,) if with_compiled else ()))
        chosen = {sdist.file: sdist for sdist in SDISTS}
        found = [chosen[name] for name in names]
        problems = fetch_missing(found)
        if problems:
            raise SkipError(problems[0])
        return found

    def compose(self, place: Path, index_url: str = "", **more: str) -> dict[str, str]:
        """Return the variables of a child, with caches of all tools below ``place``."""
        home, temporary = place / "home", place / "tmp"
        for directory in (home, temporary):
            directory.mkdir(parents=True, exist_ok=True)
        found = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        return {
            **found,
            "PATH": os.defpath if os.name == "nt" else "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "PIP_CACHE_DIR": str(place / "pip"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_CACHE_DIR": str(place / "uv"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON": self.tools.python_of_peers,
            "WHEELFORGE_CACHE_DIR": str(place / "wheelforge"),
            "WHEELFORGE_NO_REUSE": "1",  # a build is to be measured, unless it is said otherwise
            **({"PIP_INDEX_URL": index_url, "UV_DEFAULT_INDEX": index_url} if index_url else {}),
            **more,
        }

    def build_with_ours(self, source: Path) -> Command:
        """Return the words that make wheelforge build a wheel, but for the output directory."""
        return (*self.tools.wheelforge, "build", "--wheel", str(source), "--outdir")

    def build_with_uv(self, source: Path) -> Command:
        """Return the same for uv."""
        return (self.tools.uv, "build", "--wheel", str(source), "--out-dir")


OFFLINE = {"UV_OFFLINE": "1", "WHEELFORGE_OFFLINE": "1"}
"""For caches that are warm; pip has no such thing and asks the index on loopback."""


def run_child(
    command: Sequence[str], variables: Mapping[str, str], place: Path, *, may_fail: bool = False
) -> None:
    """Run a process to its end; what it prints goes to a file in ``place``."""
    printed = place / "printed"
    with printed.open("wb") as output:
        done = subprocess.run(
            command,
            env=variables,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode and not may_fail:
        complaint = printed.read_text(encoding="utf-8", errors="replace")[-_COMPLAINT_LENGTH:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{complaint}")


def building(command: Command, variables: Mapping[str, str]) -> Contender:
    """Return a contender that builds into a fresh directory, and fails unless a wheel is there."""

    def build(place: Path) -> None:
        output = place / "dist"
        run_child((*command, str(output)), variables, place)
        assert list(output.glob("*.whl")), f"{command[0]} built nothing"

    return Contender(build)
