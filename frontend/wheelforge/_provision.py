"""From requirements to an environment: resolved or remembered, fetched or kept, made or shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wheelforge._resolve import Constraints, Memory, Question, hand_over, resolve
from wheelforge.errors import OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from wheelforge._index import Candidate, Index
    from wheelforge._resolve import Resolution
    from wheelforge_isolation import Cache, Environment, Interpreter, WheelKey

    Builder = Callable[[Candidate, tuple[str, ...]], Path]

NO_CONSTRAINTS = Constraints(texts=(), hashes={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioner:
    """Makes environments for one Python, from one set of indexes, in one cache."""

    cache: Cache
    python: Interpreter
    index: Index
    memory: Memory
    workspace: Path
    """Private; takes what has to be fetched before its hash is known."""
    search_path: str = ""
    """Where hooks find programs that the environment does not have."""
    constraints: Constraints = NO_CONSTRAINTS
    require_hashes: bool = False
    exclude_newer: datetime | None = None
    offline: bool = False
    refresh: bool = False

    def provide(
        self, requirements: tuple[str, ...], subject: str, chain: tuple[str, ...], build: Builder
    ) -> Environment:
        """Return an environment with all that ``subject`` needs; sdists among it are built."""
        question = self._ask(requirements, subject, chain)
        builder = partial(self._build, build, chain)
        answer = self.memory.answer(
            question,
            lambda question: resolve(question, self.index, builder),
            offline=self.offline,
            refresh=self.refresh,
        )
        delivery = hand_over(answer, self.index, builder, workspace=self.workspace, chain=chain)
        self._remember_hashes(question, answer, delivery.resolution)
        fetch = partial(self._refuse, subject) if self.offline else delivery.fetch
        return self.cache.environments.obtain(
            self.python, delivery.keys, fetch, search_path=self.search_path
        )

    def _ask(self, requirements: tuple[str, ...], subject: str, chain: tuple[str, ...]) -> Question:
        return Question(
            requirements=requirements,
            python=self.python,
            index=self.index.settings.identity,
            constraints=self.constraints.texts,
            hashes=self.constraints.hashes,
            require_hashes=self.require_hashes,
            exclude_newer=self.exclude_newer,
            subject=subject,
            chain=chain,
        )

    def _build(self, build: Builder, chain: tuple[str, ...], candidate: Candidate) -> Path:
        if self.offline:
            raise OfflineError(candidate.file_name, "a build requirement")
        return build(candidate, (*chain, candidate.name))

    def _remember_hashes(self, question: Question, answer: Resolution, learned: Resolution) -> None:
        if learned != answer:
            self.memory.remember(question, learned)

    @staticmethod
    def _refuse(subject: str, key: WheelKey, _: str) -> None:
        raise OfflineError(key.file_name, subject)
