"""Runners whose hooks wait for a token each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelforge.hooks.pool import RunnerPool
from wheelforge.hooks.runner import SpawnRunner

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from wheelforge.batch.jobserver import Tokens
    from wheelforge.hooks.options import HookOptions


class TokenPool(RunnerPool):
    """Makes runners that run no more hooks at once than there are tokens."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self._tokens = tokens

    @contextlib.contextmanager
    def open(
        self, *, python: str, backend: str, environment: Mapping[str, str], terms: HookOptions
    ) -> Generator[SpawnRunner]:
        """Yield a runner like any other."""
        opened = super().open(python=python, backend=backend, environment=environment, terms=terms)
        with opened as runner:
            yield _PatientRunner(runner, self, terms)

    def waited(self) -> float:
        """Return how many seconds the calling thread has waited for tokens so far."""
        return self._tokens.waited()

    def wait_for_token(self) -> contextlib.AbstractContextManager[None]:
        """Have a token inside, unless everything is being ended."""
        return self._tokens.holding(self.is_cancelled)


class _PatientRunner(SpawnRunner):
    """Runs hooks by another runner, each with a token."""

    def __init__(self, runner: SpawnRunner, pool: TokenPool, terms: HookOptions) -> None:
        super().__init__(terms)
        self._runner = runner
        self._pool = pool

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook, when it is its turn."""
        with self._pool.wait_for_token():
            self._runner(cmd, cwd, extra_environ)
