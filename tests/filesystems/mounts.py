"""Real file systems, made in image files and mounted for a while; needs root on Linux."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a file system is made and mounted; words in braces stand for the image and the place."""

    make: str
    mount: str
    mebibytes: int
    package: str
    """The Debian package that its tools are in."""


RECIPES = {
    "ntfs": Recipe(
        make="mkntfs --fast --force --quiet {image}",
        mount="lowntfs-3g -o windows_names,ignore_case {device} {place}",
        mebibytes=100,
        package="ntfs-3g",
    ),
    "exfat": Recipe(
        make="mkfs.exfat {image}",
        mount="mount.exfat-fuse {device} {place}",
        mebibytes=100,
        package="exfatprogs, exfat-fuse",
    ),
    "xfs": Recipe(
        make="mkfs.xfs -q -m reflink=1 {image}",
        mount="mount -t xfs {device} {place}",
        mebibytes=300,
        package="xfsprogs",
    ),
    "btrfs": Recipe(
        make="mkfs.btrfs --quiet {image}",
        mount="mount -t btrfs {device} {place}",
        mebibytes=400,
        package="btrfs-progs",
    ),
}


@contextlib.contextmanager
def mounted(kind: str, directory: Path, recipe: Recipe | None = None) -> Generator[Path]:
    """Yield where a new file system of ``kind`` is mounted, or skip the test."""
    recipe = recipe or RECIPES[kind]
    image, place = directory / f"{kind}.img", directory / kind
    place.mkdir(parents=True)
    with image.open("xb") as file:
        file.truncate(recipe.mebibytes * _MEBIBYTE)
    with contextlib.ExitStack() as stack:
        stack.callback(image.unlink)
        _run(recipe.make.format(image=image), recipe.package)
        device = _run(f"losetup --find --show {image}").strip()
        stack.callback(_run, f"losetup --detach {device}", give_up=pytest.fail)
        _run(recipe.mount.format(device=device, place=place), recipe.package)
        stack.callback(_unmount, place)
        yield place


@contextlib.contextmanager
def mounted_tmpfs(place: Path, *, kibibytes: int, inodes: int) -> Generator[Path]:
    """Yield a file system in memory that is soon full; or skip the test."""
    place.mkdir(parents=True)
    _run(f"mount -t tmpfs -o size={kibibytes}k,nr_inodes={inodes} tmpfs {place}")
    try:
        yield place
    finally:
        _unmount(place)


def _unmount(place: Path) -> None:
    """Unmount in any case; but complain where somebody is still in there."""
    try:
        _run(f"umount {place}", give_up=pytest.fail)
    except pytest.fail.Exception:
        _run(f"umount --lazy {place}", give_up=pytest.fail)
        raise


def _run(
    command: str, package: str = "mount", *, give_up: Callable[[str], NoReturn] = pytest.skip
) -> str:
    """Return the output of ``command``; skip the test, saying why, where that is impossible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        give_up("needs root on Linux, to mount file systems")
    name, *words = command.split()
    program = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        give_up(f"needs `{name}` (Debian: {package})")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        give_up(f"`{command}` was refused: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
