"""The stage of a build, opened early so that a server in its sandbox can be started early as well.

A server in a sandbox sees the stage of one build, and so it cannot be started before that stage is
there. As with any server that is started early it is a guess, by the last build of the source: a
sandbox that turns out to be another one, or a build that needs none, ends it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from wheelforge.build.confine import HookSandbox, find_sandbox
from wheelforge.hooks.environ import compose_environment
from wheelforge_isolation import ForgeError, open_stage, stage_name

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from wheelforge.build.prestart import LastServer
    from wheelforge.hooks.pool import RunnerPool
    from wheelforge.hooks.sandbox.settings import SandboxSettings
    from wheelforge_isolation import Layout, Stage


class EarlyStage:
    """Opens the stages of a forge, one of them before the forge is there."""

    def __init__(self, layout: Layout, pool: RunnerPool) -> None:
        self._layout = layout
        self._pool = pool
        self._name = ""
        self._stage: Stage | None = None
        self._closing = contextlib.ExitStack()

    def start(
        self,
        source: Path,
        last: LastServer,
        variables: Mapping[str, str],
        settings: SandboxSettings,
    ) -> None:
        """Open the stage for ``source``, and start its ``last`` server there in its sandbox.

        Where that fails nothing is started, and the build says why.
        """
        name = stage_name(source.name, str(source))
        with contextlib.suppress(ForgeError):
            sandbox = find_sandbox(settings, variables, self._layout)
            stage = self._closing.enter_context(open_stage(self._layout.stages, name))
            self._name, self._stage = name, stage
            hooks = HookSandbox(
                sandbox=sandbox,
                place=stage.path,
                variables=variables,
                override=None,
                limits=settings.limits,
                hidden=settings.hidden,
            )
            environment = compose_environment(hooks.list_variables(), last.additions)
            root = source if source.is_dir() else stage.path
            self._closing.callback(self._pool.end_early)
            self._pool.start(
                python=last.python,
                backend=last.backend,
                environment=environment,
                confinement=hooks.confine(root, last.python, environment),
            )

    @contextlib.contextmanager
    def open(self, name: str) -> Generator[Stage]:
        """Yield a stage of that name, which is the one that was opened early if it was for it."""
        if self._stage is None or name != self._name:
            with open_stage(self._layout.stages, name) as other:
                yield other
            return
        stage, self._stage = self._stage, None
        with self._closing.pop_all():
            yield stage

    def close(self) -> None:
        """Remove the stage, and end its server, unless a build has taken them over."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
