"""The files of the hooks of one build: what they may read, what they may write, what is hidden."""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.hooks.in_process import find_hook_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/nix/store", "/gnu/store", "/sys/devices/system/cpu"),
)
"""Read by every program of a machine, as is `/etc` but for files that not everybody may read."""
_OF_MACOS = (
    *("/System", "/Library/Frameworks", "/Library/Developer", "/Applications/Xcode.app", "/dev"),
    *("/private/var/select", "/private/var/db/timezone", "/private/var/db/xcode_select_link"),
)
_OWN = Path(__file__).parents[1]
_PROGRAM_DIRECTORIES = {"bin", "sbin"}
_TOOL_VARIABLES = ("CC", "CXX", "CPP", "FC", "AR", "LD", "RANLIB", "NVCC", "PKG_CONFIG")
_HOMES = {"RUSTUP_HOME": ".rustup"}
"""Toolchains that programs look for in the home directory, unless a variable says where."""
_PRIVATE_HOMES = {"CARGO_HOME": ".cargo"}
_TEMPORARY = ("TMPDIR", "TMP", "TEMP")
_SECRET = re.compile(
    r".*(TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY)\w*"
    r"|(AWS|AZURE|GOOGLE|GCLOUD|DOCKER|KUBE|VAULT|TWINE|NETRC|ACTIONS)_?\w*|NPM_CONFIG_\w*"
    r"|(HTTPS?|ALL|FTP)_PROXY"
)
"""Variables that are credentials, or lead to some; proxies may have a password in their URL."""
_AGENTS = re.compile(r"SSH_\w+|GPG_\w+|DBUS_\w+|XDG_\w+|XAUTHORITY|DISPLAY|WAYLAND_DISPLAY|TMUX\w*")
"""Variables that lead to sockets of a session, or to directories of its user."""
_OFFLINE = {"CARGO_NET_OFFLINE": "true", "GOPROXY": "off", "GOFLAGS": "-mod=mod"}
"""Build tools say at once that a file is missing, and do not try for minutes to fetch it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxPolicy:
    """The places of one build; every path is absolute, and those that are not there are left out.

    A place inside another one has the rule of its own.
    """

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    links: tuple[Path, ...] = ()
    """Symbolic links, which look as they are."""
    network: bool = False

    def hide(self, hidden: Path) -> SandboxPolicy:
        """Return the same policy without that file: what is around it is named one by one."""
        readable, links = list[Path](), list(self.links)
        for place in self.readable:
            if not hidden.is_relative_to(place):
                readable.append(place)
                continue
            for each in _list_around(place, hidden):
                (links if each.is_symlink() else readable).append(each)
        return replace(self, readable=tuple(readable), links=tuple(links))


def _list_around(place: Path, hidden: Path) -> Iterator[Path]:
    """Yield all that is below ``place`` but one file."""
    for name in hidden.relative_to(place).parts:
        yield from (each for each in place.iterdir() if each.name != name)
        place /= name


def make_policy(
    *,
    python: str,
    variables: Mapping[str, str],
    writable: Iterable[Path],
    readable: Iterable[Path] = (),
    network: bool = False,
) -> SandboxPolicy:
    """Return the policy for hooks that ``python`` runs with ``variables``."""
    found = [
        *map(Path, (*_SYSTEM, *(_OF_MACOS if sys.platform == "darwin" else ()))),
        *_list_interpreter(Path(python)),
        _OWN,
        Path(find_hook_script().path).parent,
        *_list_toolchain(variables),
        *readable,
    ]
    settings = list_public(Path("/etc"))
    if network:
        found += [Path("/run/systemd/resolve"), Path("/run/resolvconf")]
    return SandboxPolicy(
        readable=tuple(dict.fromkeys([*filter(Path.exists, found), *settings.places])),
        writable=tuple(dict.fromkeys(filter(Path.exists, writable))),
        links=settings.links,
        network=network,
    )


def change_variables(
    variables: Mapping[str, str], private: Path, *, own: Iterable[str] = (), network: bool = False
) -> dict[str, str]:
    """Return the variables of a hook in a sandbox: without credentials, and with homes of its own.

    The directories of ``private`` have to be made. Names in ``own`` are kept in any case.
    """
    kept = set(own)
    found = {
        name: value
        for name, value in variables.items()
        if name in kept
        or not (_SECRET.fullmatch(name.upper()) or _AGENTS.fullmatch(name.upper()))
        or (network and name.upper().endswith("_PROXY"))
    }
    home = Path(variables.get("HOME") or "/nonexistent")
    homes = {name: str(home / place) for name, place in _HOMES.items() if (home / place).is_dir()}
    changed = {**dict.fromkeys(_TEMPORARY, str(private / "tmp")), "HOME": str(private / "home")}
    changed |= {name: str(private / "home" / place) for name, place in _PRIVATE_HOMES.items()}
    changed |= {} if network else _OFFLINE
    return {**homes, **found, **{key: each for key, each in changed.items() if key not in kept}}


def _list_interpreter(python: Path) -> Iterator[Path]:
    """Yield the environment of ``python``, and the prefix of the Python that it is made of."""
    seen = {python}
    for _ in range(16):
        yield _find_prefix(python)
        home = _read_home(python.parent.parent / "pyvenv.cfg")
        if home is not None:
            yield _find_prefix(home / "python")
        if not python.is_symlink():
            break
        python = Path(os.path.normpath(python.parent / python.readlink()))
        if python in seen:
            break
        seen.add(python)
    yield _find_prefix(Path(os.path.realpath(python)))


def _find_prefix(python: Path) -> Path:
    """Return the directory of a Python that holds its library; if in doubt, that of its program."""
    prefix = python.parent.parent
    is_one = (prefix / "pyvenv.cfg").is_file() or any(prefix.glob("lib*/python3*"))
    return prefix if is_one and prefix != Path("/") else python.parent


def _read_home(path: Path) -> Path | None:
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    values = (line.partition("=") for line in lines)
    return next((Path(value.strip()) for name, _, value in values if name.strip() == "home"), None)


def _list_toolchain(variables: Mapping[str, str]) -> Iterator[Path]:
    """Yield the directories of programs on PATH, and of those that variables name."""
    home = Path(variables.get("HOME") or "/nonexistent")
    homes = (home, Path.home())
    words = (variables.get(name, "").split()[:1] for name in _TOOL_VARIABLES)
    named = [Path(word).parent for each in words for word in each if Path(word).is_absolute()]
    places = [Path(each) for each in variables.get("PATH", "").split(os.pathsep)]
    for place in (*places, *named):
        if not place.is_absolute() or place in {*homes, Path("/")}:
            continue
        prefix = place.parent if place.name in _PROGRAM_DIRECTORIES else place
        is_alone = any(place.is_relative_to(each) or each.is_relative_to(prefix) for each in homes)
        yield place if is_alone else prefix
    for name, default in _HOMES.items():
        yield Path(variables.get(name) or home / default)


class Public(NamedTuple):
    """The files below a directory that everybody may read."""

    places: tuple[Path, ...]
    """Each as high as possible: a directory stands for all that is in it."""
    links: tuple[Path, ...] = ()


def list_public(directory: Path) -> Public:
    """Return the files below ``directory`` that everybody may read.

    For other users than root the system hides the rest by itself. Files are named one by one, and
    not covered: a cover is gone when the file that it lies on is replaced, as `useradd` does it.
    """
    if not hasattr(os, "geteuid") or os.geteuid():
        return Public((directory,) if directory.exists() else ())
    places: list[str] = []
    links: list[str] = []
    is_whole = _walk_public(str(directory), places, links)
    if is_whole:
        return Public((directory,))
    return Public(tuple(map(Path, places)), tuple(map(Path, links)))


def _walk_public(directory: str, places: list[str], links: list[str]) -> bool:
    """Add the places and links below a directory; return whether that is all that is there.

    Each build of root waits for this: a link is known without a further call.
    """
    is_whole = True
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return False
    for entry in entries:
        if entry.is_symlink():
            links.append(entry.path)
            continue
        is_directory = entry.is_dir(follow_symlinks=False)
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except FileNotFoundError:  # as a lock of `useradd`
            continue
        needed = stat.S_IROTH | (stat.S_IXOTH if is_directory else 0)
        if mode & needed != needed:
            is_whole = False
            continue
        before = len(places), len(links)
        if not is_directory or _walk_public(entry.path, places, links):
            del places[before[0] :], links[before[1] :]
            places.append(entry.path)
        else:
            is_whole = False
    return is_whole
