"""Pins, Pythons and locks as tests need them."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tests.support.universe import ORIGIN, PYTHON, sha256_of
from wheelforge.lockfile import Lock, Recorder, Source, read_lock, write_lock
from wheelforge.resolve import Pin, Resolution
from wheelforge_isolation import Interpreter

SIX = Source(label="six-1.16.0.tar.gz", sha256="5" * 64)
DEMO = Source(label="demo")
"""A directory."""


def make_python(minor: int, *, abi: str = "", machine: str = "x86_64") -> Interpreter:
    """Return CPython 3.``minor``, of an odd build if ``abi`` says so."""
    short = f"cp3{minor}"
    tags = (f"{short}-{abi or short}-linux_{machine}", "py3-none-any")
    changes = {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.1",
        "platform_machine": machine,
    }
    markers = {**PYTHON.markers, **changes}
    version = f"3.{minor}.1"
    return replace(PYTHON, version=version, version_info=(3, minor), tags=tags, markers=markers)


def make_pin(
    file_name: str, *, url: str = "", sha256: str | None = None, origin: str = ORIGIN
) -> Pin:
    """Return a file that a resolver has chosen."""
    is_wheel = file_name.endswith(".whl")
    stem = file_name.removesuffix(".tar.gz").removesuffix(".zip")
    project, version = file_name.split("-")[:2] if is_wheel else stem.rsplit("-", 1)
    return Pin(
        name=canonicalize_name(project),
        version=version,
        file_name=file_name,
        url=url or f"{ORIGIN}/files/{file_name}",
        sha256=sha256_of(file_name) if sha256 is None else sha256,
        origin=origin,
        is_wheel=is_wheel,
        requested_by=("somebody",),
    )


def make_wheel(name: str, version: str = "1.0", tag: str = "py3-none-any") -> Pin:
    """Return a wheel of the index."""
    return make_pin(f"{name}-{version}-{tag}.whl")


SETUPTOOLS = make_wheel("setuptools", "80.9.0")
FLIT = make_wheel("flit_core", "3.9.0")


def answer_with(*pins: Pin) -> Resolution:
    return Resolution(pins=tuple(sorted(pins, key=lambda pin: pin.name)))


def lock_one(
    *pins: Pin,
    requirements: tuple[str, ...] = ("setuptools",),
    source: Source = SIX,
    python: Interpreter = PYTHON,
) -> Lock:
    """Return the lock of one build."""
    recorder = Recorder()
    recorder.record(source, python, requirements, answer_with(*pins))
    return recorder.lock()


def save(lock: Lock, directory: Path) -> Path:
    path = directory / "pylock.build.toml"
    write_lock(lock, path)
    return path


def save_and_read(lock: Lock, directory: Path) -> Lock:
    return read_lock(save(lock, directory))


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
