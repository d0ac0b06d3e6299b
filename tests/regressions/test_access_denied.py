"""astral-sh/uv#15108: a scanner has what was just written, and wheels of two platforms met."""

# ruff: file-ignore[any-type]

import errno
import os
import random
import sysconfig
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.support.builds import Ground, write_sdist
from tests.support.caches import ignore
from tests.support.forge import Place
from tests.support.stock import chance_of
from wheelforge_isolation import WheelKey, open_cache

HERE = sysconfig.get_platform().replace("-", "_").replace(".", "_")
ELSEWHERE = "win_amd64" if HERE != "win_amd64" else "linux_x86_64"
WRITING = os.O_WRONLY | os.O_RDWR
LOOK = "import helper; files['seen'] = helper.FOR"


class DeniedError(PermissionError):
    """The error of Windows while a scanner has the file open."""

    winerror = 5


@dataclass(slots=True, kw_only=True)
class Scanner:
    """Has every file that was written for some seconds; time passes only while somebody waits."""

    top: str
    """It sees no file that is not below this directory."""
    chance: random.Random
    now: float = 1_700_000_000.0
    held: dict[str, float] = field(default_factory=dict[str, float])
    """Until when it has a file."""
    denied: int = 0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def open(self, function: Callable[..., int]) -> Callable[..., int]:
        """Return what opens files, and lets nobody write to one that the scanner has."""

        def opened(path: Any, flags: int, *words: Any, **more: Any) -> int:
            is_written = bool(flags & WRITING) and str(path).startswith(self.top)
            if is_written:
                self._look(path)
            descriptor = function(path, flags, *words, **more)
            if is_written:
                self.held[str(path)] = self.now + self.chance.uniform(0, 3)
            return descriptor

        return opened

    def move(self, function: Callable[..., None]) -> Callable[..., None]:
        """Return what renames or removes files, but none that the scanner has."""

        def moved(path: Any, *words: Any, **more: Any) -> None:
            for place in (path, *words):
                self._look(place)
            function(path, *words, **more)
            self.held.pop(str(path), None)

        return moved

    def _look(self, path: Any) -> None:
        if self.now < self.held.get(str(path), 0) and os.path.lexists(path):
            self.denied += 1
            raise DeniedError(errno.EACCES, "Access is denied")


def refuse_to_clone(*_: str) -> NoReturn:
    """Say what Windows would: this way exists on Linux only."""
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


@pytest.fixture(params=range(3))
def scanner(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Scanner:
    scanner = Scanner(top=str(tmp_path), chance=chance_of(request.param))
    monkeypatch.setattr("wheelforge_isolation.files.fs.time", scanner)
    monkeypatch.setattr("wheelforge_isolation.files.capabilities._clone_file", refuse_to_clone)
    monkeypatch.setattr(os, "open", scanner.open(os.open))
    for name in ("replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, scanner.move(getattr(os, name)))
    return scanner


def add_helper(ground: Ground, platform: str) -> WheelKey:
    """Offer a wheel of one version for that platform."""
    files = {"helper.py": f"FOR = {platform!r}\n".encode()}
    return ground.stock.add("helper", "1.0", files, tag=f"py3-none-{platform}")


def test_wheel_cache__scanner_delays_and_wheels_of_two_platforms_never_meet(
    tmp_path: Path, scanner: Scanner
) -> None:
    ground = Ground.make(tmp_path)
    keys = {platform: add_helper(ground, platform) for platform in (ELSEWHERE, HERE)}
    sdist = write_sdist(tmp_path, requires=("helper==1.0",), build_wheel=LOOK)
    place = Place(path=tmp_path)
    with open_cache(place.layout, ignore) as cache:
        cache.wheels.add(ground.links / keys[ELSEWHERE].file_name)

    done = place.run(*ground.words("build", sdist, "-o", tmp_path / "out"))

    assert (done.code, done.err) == (0, "")
    (wheel,) = done.paths
    assert zipfile.ZipFile(wheel).read("seen").decode() == HERE
    with open_cache(place.layout, ignore) as cache:
        stored = {platform: cache.wheels.find(key) for platform, key in keys.items()}
        seen = {
            platform: (found.item.path / "helper.py").read_text(encoding="utf-8")
            for platform, found in stored.items()
            if found is not None
        }
    assert seen == {platform: f"FOR = {platform!r}\n" for platform in keys}
    assert scanner.denied > 0
