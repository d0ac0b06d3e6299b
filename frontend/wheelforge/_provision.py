"""From requirements to an environment: resolved or remembered, fetched or kept, made or shared."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import partial
from typing import TYPE_CHECKING

from wheelforge._models import BuildRequest, Kind, Provision
from wheelforge._resolve import Constraints, Memory, Question, candidate_of, hand_over, resolve
from wheelforge.errors import MetadataInvalidError, OfflineError, OptionInvalidError
from wheelforge_isolation import digest, ensure_directory, remove_tree
from wheelforge_isolation.values import Value, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from wheelforge._index import Candidate, Index
    from wheelforge._lockfile import Lock, Recorder, Source
    from wheelforge._models import BuildEnvironment, Builder, Need
    from wheelforge._resolve import Delivery, Pin, Resolution
    from wheelforge_isolation import Cache, Environment, Interpreter, WheelKey

    Installer = Callable[[Interpreter, Sequence[tuple[WheelKey, Path]]], BuildEnvironment]

_FETCHERS = 8
NO_CONSTRAINTS = Constraints(texts=(), hashes={})


class Provisioner(Value):
    """Makes environments for one Python, from one set of indexes, in one cache."""

    cache: Cache
    python: Interpreter
    index: Index
    memory: Memory
    workspace: Path
    """Private; takes what has to be fetched before its hash is known, and what is built."""
    search_path: str = ""
    """Where hooks find programs that the environment does not have."""
    constraints: Constraints = NO_CONSTRAINTS
    require_hashes: bool = False
    exclude_newer: datetime | None = None
    offline: bool = False
    refresh: bool = False
    install: Installer | None = None
    """Makes an environment of its own of the wheels that were chosen; nothing for a shared one."""
    private: Path | None = None
    """Where the one environment is made, if not in the cache."""
    lock: Lock | None = None
    """Says what everybody gets."""
    recorder: Recorder | None = None
    """Takes down what everybody gets."""
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)
    _built: dict[str, Path] = field(default_factory=dict[str, "Path"], repr=False)
    """What was built here and now."""
    _used: dict[Path, Environment] = field(default_factory=dict["Path", "Environment"], repr=False)

    def provide(self, need: Need, build: Builder) -> Provision:
        """Return an environment with all that is needed; it stays until the cache is closed."""
        try:
            return self._provide(need, build)
        except MetadataInvalidError:
            # What an index has said of a file is not so, and has led to the answer.
            self.memory.forget(self._ask(need))
            raise

    def _provide(self, need: Need, build: Builder) -> Provision:
        builder = partial(self._build, need, build)
        answer = self._answer(need, builder)
        delivery = hand_over(
            answer, self.index, builder, workspace=self._make_workspace(), chain=need.chain
        )
        if delivery.resolution != answer and self.lock is None:
            self.memory.remember(self._ask(need), delivery.resolution)
        if self.recorder is not None:
            self.recorder.record(
                _identify(need),
                self.python,
                need.requirements,
                delivery.resolution,
                is_wanted=not need.chain,
            )
        return self._furnish(need, delivery)

    def _answer(self, need: Need, builder: Callable[[Candidate], Path]) -> Resolution:
        """Return what is locked, remembered, or found out now."""
        if self.lock is not None:
            return self.lock.answer(_identify(need), need.requirements, self.python)
        return self.memory.answer(
            self._ask(need),
            lambda question: resolve(question, self.index, builder),
            offline=self.offline,
            refresh=self.refresh,
        )

    def _ask(self, need: Need) -> Question:
        cutoffs = [moment for moment in (need.cutoff, self.exclude_newer) if moment]
        return Question(
            requirements=need.requirements,
            python=self.python,
            index=self.index.settings.identity,
            constraints=self.constraints.texts,
            hashes=self.constraints.hashes,
            require_hashes=self.require_hashes,
            exclude_newer=min(cutoffs, default=None),
            oldest=need.cutoff is not None,
            prefers_wheels=self.index.settings.prefers_wheels,
            subject=need.label,
            chain=need.chain,
            places=self.index.places,
            is_local=self.index.is_local,
        )

    def _furnish(self, need: Need, delivery: Delivery) -> Provision:
        """Return an environment of what was delivered, of the kind that is wished for."""
        delivery = replace(delivery, is_here=self.cache.wheels.is_likely_here)
        fetch = partial(_refuse_wheel, need.label) if self._is_cut_off else delivery.fetch
        notes = delivery.resolution.notes
        if self.install is not None:
            environment = self.install(self.python, self._list_files(delivery.keys, fetch))
            return Provision(environment=environment, wheels=delivery.keys, notes=notes)
        made = self.cache.environments.obtain(
            self.python,
            delivery.keys,
            fetch,
            private=self._clear_private(),
            search_path=self.search_path,
        )
        return Provision(
            environment=self._hold(made),
            wheels=delivery.keys,
            notes=(*notes, *made.notes),
            is_new=made.is_new,
            is_lasting=self.private is None,
        )

    def _list_files(
        self, keys: Sequence[WheelKey], fetch: Callable[[WheelKey, str], None]
    ) -> list[tuple[WheelKey, Path]]:
        keep = self.cache.wheels.keep_file
        return [(key, keep(key.file_name, key.sha256, partial(fetch, key))) for key in keys]

    def _clear_private(self) -> Path | None:
        """Return the place for a private environment, empty: the last one was for fewer wheels."""
        if self.private is not None:
            self.discard_private()
            ensure_directory(str(self.private))
            if any(self.private.iterdir()):
                raise OptionInvalidError("--env-dir", f"`{self.private}` is not empty")
        return self.private

    def discard_private(self) -> None:
        """Remove the private environment, if one was made."""
        if self.private is not None and self._used.pop(self.private, None) is not None:
            remove_tree(str(self.private))

    def _hold(self, environment: Environment) -> Environment:
        """Keep ``environment`` in use, once: a fork server in it may be needed again."""
        if self._used.setdefault(environment.path, environment) is not environment:
            environment.give_back()
        return environment

    def _build(self, need: Need, build: Builder, candidate: Candidate) -> Path:
        """Return the wheel of an sdist that is needed, built unless it was."""
        sha256, sdist = candidate.hashes.get("sha256", ""), None
        if not sha256:
            sdist = self._fetch_sdist(need, candidate)
            sha256 = digest(sdist)
        key = self._built_key(sha256, need)
        found = self._find_built(key)
        if found is not None:
            return found
        sdist = sdist or self._fetch_sdist(need, candidate)
        request = BuildRequest(
            source=sdist,
            output=self._make_workspace(),
            kinds=(Kind.WHEEL,),
            chain=(*need.chain, candidate.name),
            cutoff=need.cutoff,
        )
        wheel = build(request).artifacts[0].path
        self.cache.built.remember(key, wheel)
        self._built[key] = wheel
        return wheel

    def _find_built(self, key: str) -> Path | None:
        # Whoever records has to see what it is built with, as has whoever wants all of it anew.
        if key in self._built or self.refresh or self.recorder is not None:
            return self._built.get(key)
        wheel = self.cache.built.find(key)
        return None if wheel is None else self.cache.wheels.find_file(wheel.file_name, wheel.sha256)

    def _built_key(self, sha256: str, need: Need) -> str:
        """Return what a wheel depends on; not the day, or a wheel would be of no use tomorrow."""
        question = self._ask(need)
        facts = (
            sha256,
            self.python.identity,
            question.index,
            question.constraints,
            str(question.exclude_newer),
            None if self.lock is None else self.lock.digest,
        )
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _fetch_sdist(self, need: Need, candidate: Candidate) -> Path:
        fetch = partial(self.index.fetch, candidate)
        if self._is_cut_off:
            fetch = partial(_refuse_file, need.label, candidate.file_name)
        if sha256 := candidate.hashes.get("sha256"):
            return self.cache.wheels.keep_file(candidate.file_name, sha256, fetch)
        path = self._make_workspace() / candidate.file_name
        fetch(str(path))
        return path

    @property
    def _is_cut_off(self) -> bool:
        return self.offline and not self.index.is_local

    def _make_workspace(self) -> Path:
        place = self.workspace / str(next(self._numbers))
        ensure_directory(str(place))
        return place


def _refuse_wheel(label: str, key: WheelKey, path: str) -> None:
    _refuse_file(label, key.file_name, path)


def _refuse_file(label: str, file_name: str, _: str) -> None:
    """Say that a file would have to be fetched."""
    raise OfflineError(file_name, label)


def _identify(need: Need) -> Source:
    from wheelforge._lockfile import Source

    return Source(label=need.label, sha256=need.sha256)


def keep_pins(pins: Sequence[Pin], index: Index, cache: Cache, *, is_offline: bool = False) -> int:
    """Put the files of ``pins`` into the cache, several at a time; return how many there are."""
    from concurrent.futures import ThreadPoolExecutor

    def keep(pin: Pin) -> None:
        fetch = partial(index.fetch, candidate_of(pin))
        if is_offline:
            fetch = partial(_refuse_file, "the lock", pin.file_name)
        cache.wheels.keep_file(pin.file_name, pin.sha256, fetch)

    with ThreadPoolExecutor(_FETCHERS) as pool:
        list(pool.map(keep, pins))
    return len(pins)
