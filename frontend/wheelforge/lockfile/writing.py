"""From a lock to the text of its file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors import LockImpossibleError, LockInvalidError
from wheelforge.lockfile.groups import Groups
from wheelforge.lockfile.normalize import SUBDIRECTORY, is_direct, is_standard
from wheelforge_isolation import replace_file
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wheelforge.lockfile.model import Lock, LockedAnswer, LockedSource
    from wheelforge.resolve import Pin

FORMAT = 1
_NAME = re.compile(r"pylock\.([^.]+\.)?toml")
_PYTHON = ("implementation", "version", "abi", "platform", "machine")


def write(lock: Lock, path: Path) -> None:
    """Put ``lock`` into the file ``path``."""
    if not _NAME.fullmatch(path.name):
        reason = "a lock has to be called `pylock.toml` or `pylock.NAME.toml`"
        raise LockInvalidError(str(path), "", reason)
    content = "\n".join(_Writer(lock, path.parent).lines())
    replace_file(str(path), f"{content}\n".encode())


class _Writer:
    """Writes one lock, to be put into ``directory``."""

    def __init__(self, lock: Lock, directory: Path) -> None:
        self._lock = lock
        self._directory = directory
        self._groups = Groups(lock)

    def lines(self) -> Iterator[str]:
        """Yield the file, line by line."""
        yield 'lock-version = "1.0"'
        yield f"environments = {_listed(map(_quoted, self._groups.environments))}"
        yield f"dependency-groups = {_listed(map(_quoted, self._groups.names))}"
        yield 'created-by = "wheelforge"'
        files = self._lock.files()
        if not files:
            yield "packages = []"
        for pin in files:
            yield from ("", "[[packages]]", *self._describe_package(pin))
        yield from ("", "[tool.wheelforge]", f"format = {FORMAT}")
        if not self._lock.sources:
            yield "sources = []"
        for locked in self._lock.sources:
            yield from ("", "[[tool.wheelforge.sources]]", *self._describe_source(locked))

    def _describe_package(self, pin: Pin) -> Iterator[str]:
        is_archive = is_direct(pin) or not is_standard(pin)
        yield f"name = {_quoted(pin.name)}"
        yield f"version = {_quoted(pin.version)}"
        yield f"marker = {_quoted(self._groups.find_marker(pin))}"
        if pin.origin and not is_direct(pin):
            yield f"index = {_quoted(pin.origin)}"
        file = _inline(self._describe_file(pin, is_archive=is_archive))
        if is_archive:
            yield f"archive = {file}"
        else:
            yield f"wheels = [{file}]" if pin.is_wheel else f"sdist = {file}"

    def _describe_file(self, pin: Pin, *, is_archive: bool) -> dict[str, str]:
        facts: dict[str, str] = {}
        if not is_archive:
            facts["name"] = _quoted(pin.file_name)
        bare, _, fragment = pin.url.partition("#")
        local = local_path(pin.url)
        where = "url" if local is None else "path"
        facts[where] = _quoted(bare if local is None else self._relate(pin, local))
        facts["hashes"] = _inline({"sha256": _quoted(pin.sha256)})
        if is_archive and fragment:
            facts["subdirectory"] = _quoted(fragment.removeprefix(SUBDIRECTORY))
        return facts

    def _relate(self, pin: Pin, local: str) -> str:
        """Return the way from the lock to a local file, which may be the same elsewhere."""
        try:
            return Path(os.path.relpath(local, self._directory)).as_posix()
        except ValueError as error:  # another drive
            reason = f"there is no way to it from `{self._directory}`"
            user = self._groups.find_user(pin)
            raise LockImpossibleError(pin.file_name, user, reason) from error

    def _describe_source(self, locked: LockedSource) -> Iterator[str]:
        yield f"name = {_quoted(locked.source.label)}"
        if locked.source.sha256:
            yield f"sha256 = {_quoted(locked.source.sha256)}"
        python = {name: _quoted(getattr(locked.python, name)) for name in _PYTHON}
        yield f"python = {_inline(python)}"
        for answer in locked.answers:
            yield from ("", "[[tool.wheelforge.sources.answers]]")
            yield from self._describe_answer(locked, answer)

    def _describe_answer(self, locked: LockedSource, answer: LockedAnswer) -> Iterator[str]:
        yield f"group = {_quoted(self._groups.find_name(locked, answer))}"
        yield f"requirements = {_listed(map(_quoted, answer.requirements))}"
        yield f"files = {_listed(_quoted(refer(pin)) for pin in answer.pins)}"


def refer(pin: Pin) -> str:
    """Return what stands for a file wherever it answers something."""
    return f"{pin.file_name}#sha256={pin.sha256}"


def _quoted(text: str) -> str:
    # JSON leaves alone what TOML has no room for.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _inline(facts: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{key} = {value}' for key, value in facts.items())} }}"


def _listed(items: Iterable[str]) -> str:
    lines = [f"  {item},\n" for item in items]
    return f"[\n{''.join(lines)}]" if lines else "[]"
