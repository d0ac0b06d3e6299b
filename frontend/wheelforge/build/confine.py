"""The hooks of one build in a sandbox: which of its places they see, and with which variables."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors import UsageError
from wheelforge.hooks.sandbox.confinement import Confinement
from wheelforge.hooks.sandbox.ladder import choose_sandbox
from wheelforge.hooks.sandbox.policy import change_variables, make_policy
from wheelforge_isolation import JsonCache, ensure_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wheelforge.build.session import BuildSession
    from wheelforge.hooks.sandbox.ladder import Sandbox
    from wheelforge.hooks.sandbox.settings import SandboxSettings
    from wheelforge.overrides.model import Override
    from wheelforge_isolation import Layout

_PRIVATE = "private"
_PATIENCE_SECONDS = 10


def find_sandbox(
    settings: SandboxSettings, variables: Mapping[str, str], layout: Layout
) -> Sandbox:
    """Return the rung that the hooks of a forge stand on; an error if it is lower than wanted."""
    if settings.largest_file is not None and os.name == "nt":
        raise UsageError("option-invalid", "--max-file-size", "Windows has no such limit")
    return choose_sandbox(
        settings.wanted,
        variables.get("PATH", os.defpath),
        JsonCache(layout.guesses, "sandbox"),
        required=settings.required,
    )


def open_sandbox(session: BuildSession, sandbox: Sandbox, place: Path) -> HookSandbox:
    """Return the sandbox for hooks of a build whose private directory is ``place``."""
    return HookSandbox(
        sandbox=sandbox,
        place=place,
        variables=session.hook_variables,
        override=session.override,
        compiler_cache=session.context.compiler_cache,
        limits=session.context.settings.sandbox.limits,
        hidden=session.context.settings.sandbox.hidden,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class HookSandbox:
    """The sandbox for hooks in the private directory ``place`` of an attempt."""

    sandbox: Sandbox
    place: Path
    variables: Mapping[str, str]
    override: Override | None
    compiler_cache: str = ""
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    hidden: tuple[Path, ...] = ()

    def __str__(self) -> str:
        """Return what the log says of it."""
        more = ("; an override allows the network",) if self.has_network else ()
        return "".join([str(self.sandbox), *more])

    @property
    def is_one(self) -> bool:
        """Whether it was asked for, and not only for limits of resources."""
        return self.sandbox.rung != "none" or bool(self.sandbox.reasons)

    @property
    def has_network(self) -> bool:
        """Whether an override allows the network."""
        return self.override is not None and self.override.value("sandbox", "network") is True

    def list_variables(self) -> dict[str, str]:
        """Return the variables of the hooks, which have homes of their own in a sandbox."""
        if not self.is_one:
            return dict(self.variables)
        own = self.override.table("environment") if self.override else {}
        found = change_variables(
            self.variables, self.place / _PRIVATE, own=own, network=self.has_network
        )
        if self.compiler_cache:
            found["CCACHE_DIR"] = str(self._find_objects())
            config = Path(self.variables.get("HOME", "/"), ".config", "ccache", "ccache.conf")
            if config.is_file():
                found["CCACHE_CONFIGPATH"] = str(config)
        return found

    def confine(self, root: Path, python: str, variables: Mapping[str, str]) -> Confinement:
        """Return the sandbox for a project at ``root`` and ``python`` with these ``variables``."""
        roots = [] if root.is_relative_to(self.place) else [root]
        policy = make_policy(
            python=python,
            variables={**variables, "HOME": self.variables.get("HOME", "")},
            writable=[self.place, *roots, *self._list_writable(variables)],
            readable=[*self._list_readable(variables), *self._list_repository(root)],
            network=self.has_network,
        )
        for path in self.hidden:
            if any(path.is_relative_to(place) for place in policy.writable):
                reason = f"the key `{path}` is in a directory that hooks may write"
                raise UsageError("option-invalid", "--sandbox", reason)
            policy = policy.hide(path)
        prefix = self.sandbox.write_prefix(policy, self.limits)
        return Confinement(prefix=prefix, private=self.place / _PRIVATE)

    def describe(self) -> dict[str, object]:
        """Return what a report says of it."""
        facts = self.sandbox._asdict()
        kept = {name: facts[name] for name in ("level", "rung", "reasons")}
        return {**kept, "reasons": list(self.sandbox.reasons), "network": self.has_network}

    def _list_readable(self, variables: Mapping[str, str]) -> Iterator[Path]:
        if self.override is not None:
            yield from map(Path, self.override.texts("sandbox", "read"))
        if "CCACHE_CONFIGPATH" in variables:
            yield Path(variables["CCACHE_CONFIGPATH"])

    def _list_repository(self, root: Path) -> Iterator[Path]:
        """Yield the work tree and repository that a directory is in, of which versions come.

        A hook may not write into the repository, where programs could be planted.
        """
        if root.is_relative_to(self.place):
            return
        home = Path(self.variables.get("HOME") or "/nonexistent")
        for top in (root, *root.parents):
            repository = top / ".git"
            if home.is_relative_to(top):
                return
            if repository.exists():
                yield from (top, repository)
                if repository.is_file():
                    text = repository.read_text(encoding="utf-8", errors="surrogateescape")
                    yield _find_common((top / text.removeprefix("gitdir:").strip()).resolve())
                return

    def _list_writable(self, variables: Mapping[str, str]) -> Iterator[Path]:
        if self.compiler_cache:
            directory = Path(variables["CCACHE_DIR"])
            ensure_directory(str(directory))
            yield directory

    def _find_objects(self) -> Path:
        command = [self.compiler_cache, "--get-config", "cache_dir"]
        try:
            said = subprocess.run(
                command,
                env=dict(self.variables),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            reason = f"it does not tell where it keeps objects: {error}"
            raise UsageError("option-invalid", "--compiler-cache", reason) from error
        return Path(os.fsdecode(said.strip()))


def _find_common(repository: Path) -> Path:
    """Return the repository that a further work tree, or a submodule, belongs to."""
    is_worktree = repository.parent.name == "worktrees"
    return repository.parent.parent if is_worktree else repository
