"""The terms on which the hooks of one attempt run: variables, time, and the sandbox."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from wheelforge.errors import UsageError
from wheelforge.hooks.environ import is_epoch
from wheelforge.hooks.runner import HookOptions
from wheelforge_isolation import ensure_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from wheelforge.build.confine import HookSandbox
    from wheelforge.build.session import BuildSession
    from wheelforge.hooks.runner import HookResult

_EPOCH = "SOURCE_DATE_EPOCH"
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
_MOST_BYTES = 74
"""The longest directory of temporary files: with the 33 bytes of `/pymp-.../listener-...`, sockets
of multiprocessing still have names that the system takes."""


class HookTerms:
    """The terms for hooks of a build whose private directory is ``place``."""

    def __init__(
        self, session: BuildSession, place: Path, on_ending: Callable[[HookResult], None]
    ) -> None:
        self._session = session
        self._place = place
        self.surroundings: dict[str, Any] | None = None
        """The machine for a statement, if it was looked at while a hook ran."""
        self._on_ending = on_ending
        self.sandbox: HookSandbox | None = None
        self.variables = session.hook_variables
        """Those of hooks, before the environment's are laid over them."""
        if session.context.sandbox is not None:
            from wheelforge.build.confine import open_sandbox

            self.sandbox = open_sandbox(session, session.context.sandbox, place)
            self.variables = self.sandbox.list_variables()

    def describe_sandbox(self) -> dict[str, object]:
        """Return what a report says of the sandbox; nothing if there is none."""
        return {} if self.sandbox is None else self.sandbox.describe()

    def make_options(self, log: BinaryIO, epoch: str | int | None, root: Path) -> HookOptions:
        """Return the terms of hooks of a project at ``root``, with that time for all files."""
        session, variables = self._session, {**self.variables, **self._make_temporary()}
        if epoch is not None:
            variables[_EPOCH] = str(epoch)
        policy, override = session.context.settings.policy, session.override
        limit = cast("float | None", override and override.value("limits", "timeout"))
        return HookOptions(
            base=variables,
            timeout_seconds=session.request.timeout_seconds or limit or policy.timeout_seconds,
            log=log,
            on_output=session.events.pass_on,
            on_start=self._use_time,
            on_ending=self._on_ending,
            is_cancelled=session.cancellation.is_cancelled,
            umask=policy.umask if root.is_relative_to(self._place) else None,
            **self._limit_requirement(),
        )

    def _make_temporary(self) -> dict[str, str]:
        """Return a directory for temporary files as a variable, unless one names another.

        It is no part of `variables`: servers that are forked serve builds in other stages too, and
        the key of a wheel would change with it.
        """
        path = str(self._place / "tmp")
        is_short = len(os.fsencode(path)) <= _MOST_BYTES
        if os.name == "nt" or not is_short or any(map(self.variables.get, _TEMPORARY)):
            return {}
        ensure_directory(path)
        return {"TMPDIR": path}

    def _use_time(self, hook: str) -> None:
        """Do what takes a while on this core: the hook needs another one meanwhile."""
        if not hook.startswith("build_"):
            return
        import_module("wheelforge.build.results")
        session, attestor = self._session, self._session.context.attestor
        if attestor is not None and attestor.options.statements and session.wheel is None:
            request = replace(session.request, variables=session.variables)
            self.surroundings = attestor.describe_surroundings(request, session.override)

    def _limit_requirement(self) -> dict[str, Any]:
        """Return the limits of a build requirement; for what is named, batches see to them."""
        override = self._session.override
        if override is None or not self._session.request.chain:
            return {}
        memory, is_alone = (override.value("limits", name) for name in ("memory", "exclusive"))
        return {"is_alone": bool(is_alone), "memory_bytes": int(cast("float", memory or 0))}

    def confine(
        self, options: HookOptions, root: Path, python: str, variables: Mapping[str, str]
    ) -> HookOptions:
        """Return the same terms in the sandbox, if there is one, for a project at ``root``.

        The hooks are run by ``python`` with those ``variables``.
        """
        if self.sandbox is None:
            return options
        return replace(options, confinement=self.sandbox.confine(root, python, variables))

    def read_epoch(self) -> str | None:
        """Return the time of all files that is asked for; refuse one that no file can have."""
        session = self._session
        asked = session.context.settings.policy.source_date_epoch
        asked = asked or session.hook_variables.get(_EPOCH)
        if asked and not is_epoch(asked):
            reason = f"`{asked}` is no number of seconds from 1970 to the end of 2107"
            raise UsageError("option-invalid", _EPOCH, reason)
        return asked
