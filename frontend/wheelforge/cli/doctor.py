"""The command `doctor`: what builds need of this machine, and what of it is there."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.programs import ask_version, find_programs
from wheelforge.build.targets import find_layout, find_python, read_index_settings
from wheelforge.cli.argument_types import describe_size
from wheelforge.cli.console import is_coloured
from wheelforge.cli.settings import make_places
from wheelforge.diagnosis.known_packages import suggest_package
from wheelforge.errors import PackageNotFoundError
from wheelforge.hooks.sandbox.ladder import LEVELS, RUNGS, try_rungs
from wheelforge.index import Index
from wheelforge_isolation import (
    FilesystemCapabilities,
    ForgeError,
    choose_layout,
    find_interpreter,
    free_bytes,
    list_executables,
    measure_disk,
    open_stage,
)
from wheelforge_isolation.errors import InterpreterTooOldError
from wheelforge_isolation.formats.text import escape_line
from wheelforge_isolation.formats.urls import local_place, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.index import IndexSettings
    from wheelforge.settings import Settings
    from wheelforge_isolation import Event, Interpreter, Layout

    Task: TypeAlias = "Callable[[], list[Check]]"

_PATIENCE_SECONDS = 5.0
_THREADS = 16
_LITTLE_BYTES, _LEAST_BYTES = 1 << 30, 50 << 20
_PROBE = "setuptools"
"""The project that nearly every index has."""
_COMPILERS = {
    "C compiler": ("CC", ("cc", "gcc", "clang")),
    "C++ compiler": ("CXX", ("c++", "g++", "clang++")),
    "Fortran compiler": ("FC", ("gfortran", "flang", "ifx", "f95", "f77")),
    "Rust compiler": ("RUSTC", ("rustc",)),
}
"""The variable that names each of them, and the programs that they usually are."""
_TOOLS = {
    **{name: ("", (name,)) for name in ("make", "ninja", "cmake")},
    "pkg-config": ("PKG_CONFIG", ("pkg-config", "pkgconf")),
    "git": ("", ("git",)),
    "compiler cache": ("", ("ccache", "sccache")),
}
_TOPICS = ("python", "program", "sandbox", "cache", "index")
_COLOURS = {"ok": "32", "warning": "33", "missing": "31"}


class Check(NamedTuple):
    """One thing that was looked at."""

    topic: str
    """``python``, ``program``, ``sandbox``, ``cache`` or ``index``."""
    name: str
    status: str
    """``ok``, ``warning`` or ``missing``."""
    text: str
    hint: str = ""
    is_needed: bool = False
    """Whether nothing at all can be built without it."""


def run(options: CommandOptions) -> int:
    """Look at all that builds need, and print it; return 5 if no build can go well."""
    settings = make_places(options)
    layout = find_layout(settings.cache_dir)
    tasks: list[Task] = [
        # First: what follows keeps its answers in the cache.
        partial(_check_cache, layout),
        partial(_check_size, layout),
        *(partial(_check_target, settings, layout, each) for each in options.pythons or [None]),
        *_list_python_tasks(settings, layout),
        *_list_program_tasks(settings),
        *_list_index_tasks(settings),
        partial(_check_sandboxes, settings),
    ]
    checks = tasks[0]()
    with ThreadPoolExecutor(_THREADS) as threads:
        for future in [threads.submit(task) for task in tasks[1:]]:
            known = {check[:4] for check in checks}
            checks += [check for check in future.result() if check[:4] not in known]
    checks.sort(key=lambda check: _TOPICS.index(check.topic))
    can_build = not any(each.is_needed and each.status == "missing" for each in checks)
    if options.json:
        facts = {"can_build": can_build, "checks": [each._asdict() for each in checks]}
        sys.stdout.write(f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n")
    else:
        sys.stdout.writelines(_format(checks, can_build=can_build))
    return 0 if can_build else 5


def _format(checks: list[Check], *, can_build: bool) -> Iterator[str]:
    width = max(len(check.name) for check in checks)
    paints = is_coloured(sys.stdout, os.environ)
    topic = checks[0].topic
    for check in checks:
        status = f"{check.status:7}"
        if paints:
            status = f"\x1b[{_COLOURS[check.status]}m{status}\x1b[0m"
        yield "\n" if check.topic != topic else ""
        yield f"{status}  {check.name:{width}}  {escape_line(check.text)}\n"
        yield f"{'':{width + 11}}hint: {escape_line(check.hint)}\n" if check.hint else ""
        topic = check.topic
    counts = Counter(check.status for check in checks)
    said = ", ".join(f"{counts[status]} {status}" for status in _COLOURS if counts[status])
    yield f"\n{said}: {'builds can run' if can_build else 'no build can run'}\n"


def _failing(topic: str, name: str, error: ForgeError, *, is_needed: bool = False) -> list[Check]:
    return [Check(topic, name, "missing", str(error), error.hint, is_needed)]


# Pythons


def _check_target(settings: Settings, layout: Layout, wanted: str | None) -> list[Check]:
    """Check the Python that builds are for."""
    try:
        python = find_python(settings, layout, wanted)
    except ForgeError as error:
        return _failing("python", wanted or "this Python", error, is_needed=True)
    return [_describe_python(python)._replace(is_needed=True)]


def _list_python_tasks(settings: Settings, layout: Layout) -> list[Task]:
    search = list(map(Path, os.get_exec_path(dict(settings.variables))))
    return [partial(_check_python, path, layout, search) for path in list_executables(search)]


def _check_python(path: str, layout: Layout, search: list[Path]) -> list[Check]:
    try:
        python = find_interpreter(
            path,
            search=search,
            cache_dir=layout.interpreters,
            timeout_seconds=_PATIENCE_SECONDS,
        )
    except InterpreterTooOldError:
        return []
    except ForgeError as error:
        return [Check("python", Path(path).name, "warning", str(error), error.hint)]
    return [_describe_python(python)]


def _describe_python(python: Interpreter) -> Check:
    # Not the executable of an environment: it is the same Python, and is told once.
    text, is_whole = str(python.base_executable), os.access(python.include / "Python.h", os.R_OK)
    package = suggest_package("Python.h")
    if python.implementation == "pypy":
        package = package.replace("python3-dev", "pypy3-dev")
    hint = "" if is_whole else f"install {package} to build extension modules"
    return Check(
        topic="python",
        name=python.title,
        status="ok" if is_whole else "warning",
        text=f"{text}, {'headers' if is_whole else 'no headers'} in {python.include}",
        hint=hint,
    )


# Programs


def _list_program_tasks(settings: Settings) -> list[Task]:
    return [
        partial(_check_program, settings, name, variable, names)
        for name, (variable, names) in {**_COMPILERS, **_TOOLS}.items()
    ]


def _check_program(
    settings: Settings, name: str, variable: str, names: tuple[str, ...]
) -> list[Check]:
    """Check a program, which a variable may name in the place of the usual ones."""
    chosen = _split(settings.variables.get(variable, ""))
    found = find_programs(chosen[:1] or names, settings.variables)
    if not found:
        text = f"not on PATH: {', '.join(names)}"
        if chosen:
            text = f"`{variable}` names `{chosen[0]}`, and there is no such program"
        package = suggest_package(names[0])
        hint = f"set `{variable}` right, or unset it" if chosen else f"install {package}"
        return [Check("program", name, "missing", text, hint)]
    said = ask_version([found[0], *chosen[1:]], settings.variables).strip().partition("\n")[0]
    status, text = ("ok", said) if said else ("warning", "it does not answer to `--version`")
    return [Check("program", name, status, f"{found[0]}: {text}")]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


# Sandboxes


def _check_sandboxes(settings: Settings) -> list[Check]:
    """Try each rung anew, whatever was remembered of it."""
    tries = try_rungs(settings.variables.get("PATH", os.defpath))
    found = dict(zip(RUNGS, tries, strict=False))
    best = max((each.level for each in found.values()), key=LEVELS.index, default="none")
    hint = "" if best == "strict" else "install bubblewrap, or allow user namespaces, for `strict`"
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    text = "hooks run as root can change this whole machine, unless they are in a sandbox"
    user = [Check("sandbox", "user", "warning", text, "`--sandbox strict`")] if is_root else []
    return user + [
        Check(
            topic="sandbox",
            name=rung,
            status="ok" if each.rung == rung else "missing",
            text=f"level {each.level}" if each.rung == rung else "; ".join(each.reasons),
            hint=hint if each.rung != rung and rung == "bubblewrap" else "",
        )
        for rung, each in found.items()
    ]


# The cache


def _check_cache(layout: Layout) -> list[Check]:
    try:
        return _look_at_cache(layout)
    except ForgeError as error:
        return _failing("cache", "cache", error, is_needed=True)


def _look_at_cache(layout: Layout) -> list[Check]:
    events: list[Event] = []
    with choose_layout(layout, events.append) as (chosen, is_writable):
        reasons = [f"{event.subject}: {event.reason}" for event in events]
        if not is_writable:
            reasons.append("it cannot be written to; builds make what they need each time")
        found = [
            Check(
                topic="cache",
                name="cache",
                status="warning" if reasons else "ok",
                text="; ".join([str(layout.root), *reasons]),
                hint="name one of your own with `--cache-dir`" if reasons else "",
                is_needed=True,
            ),
            _check_space(chosen),
        ]
        return found + (_check_file_system(chosen) if is_writable else [])


def _check_space(layout: Layout) -> Check:
    free = free_bytes(str(layout.root))
    status = "ok" if free >= _LITTLE_BYTES else "warning" if free >= _LEAST_BYTES else "missing"
    return Check(
        topic="cache",
        name="free space",
        status=status,
        text=describe_size(free),
        hint="" if status == "ok" else "`wheelforge cache gc --max-size SIZE` makes room",
        is_needed=True,
    )


def _check_size(layout: Layout) -> list[Check]:
    return [Check("cache", "cache size", "ok", describe_size(measure_disk(layout)))]


def _check_file_system(layout: Layout) -> list[Check]:
    with open_stage(layout.stages, "doctor") as stage:
        abilities = FilesystemCapabilities(str(stage.path))
        locks = "processes exclude each other"
        if stage.lock is None:
            locks = "there are none: no process may use this cache while `gc` or `clear` runs"
        links = "links are kept" if abilities.has_links else "there are none: targets are copied"
        shares = f"files of the cache come into environments by {abilities.sharing}"
    is_slow = abilities.sharing == "copy"
    hint = "a cache on another file system makes environments faster" if is_slow else ""
    return [
        Check("cache", "locks", "ok" if stage.lock else "warning", locks),
        Check("cache", "symbolic links", "ok" if abilities.has_links else "warning", links),
        Check("cache", "shared files", "warning" if is_slow else "ok", shares, hint),
    ]


# Indexes


def _list_index_tasks(settings: Settings) -> list[Task]:
    try:
        found = read_index_settings(settings)
    except ForgeError as error:
        return [partial(_failing, "index", "index settings", error, is_needed=True)]
    quick = replace(found, retries=0, timeout_seconds=min(found.timeout_seconds, _PATIENCE_SECONDS))
    alone = [
        *(replace(quick, index_urls=(), find_links=(place,)) for place in found.find_links),
        *(replace(quick, index_urls=(url,), find_links=()) for url in found.asked_urls),
    ]
    return [partial(_check_index, each) for each in alone]


def _check_index(settings: IndexSettings) -> list[Check]:
    """Ask one index, or one place with files, in the way in which a build does."""
    (url,) = (*settings.find_links, *settings.asked_urls)
    name, shown = "files" if settings.find_links else "index", redact(url)
    if settings.offline and local_place(url) is None:
        return [Check("index", name, "ok", f"{shown}: not asked, because of `--offline`")]
    start, hint = time.monotonic(), ""
    with Index(settings, ()) as index:
        try:
            index.find(_PROBE)
        except PackageNotFoundError:
            if not settings.find_links:
                hint = f"it has no `{_PROBE}`; most indexes have their pages below `/simple/`"
        except ForgeError as error:
            hint = error.hint or "`--offline` builds with what the cache has"
            return [Check("index", name, "warning", str(error), hint)]
        notes = index.notes
    if notes:
        return [Check("index", name, "warning", "; ".join(notes), hint)]
    text = shown
    if local_place(url) is None:
        text = f"{shown} answers ({time.monotonic() - start:.1f} s)"
    return [Check("index", name, "warning" if hint else "ok", text, hint)]
