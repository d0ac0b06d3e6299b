"""Where things come from and under which rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors.usage import FieldTypes, check_types
from wheelforge.hooks.sandbox.settings import SandboxSettings
from wheelforge.index.settings import IndexOptions
from wheelforge.models import Policy
from wheelforge.provenance.options import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.lockfile import Lock, Recorder
    from wheelforge.overrides.model import Overrides
    from wheelforge.provenance.envelope import Signer


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteSettings:
    """The caches that are shared with other machines."""

    urls: tuple[str, ...] = ()
    """URLs, or paths of directories, in the order in which they are asked; ``?read-only`` at the
    end of one says that it is not written to."""
    signer: Signer | None = None
    """Signs what is written to them; without it nothing is."""
    trusted: tuple[Path, ...] = ()
    """Files with the public keys whose records are used, beside that of `signer`."""
    least_sandbox: str = "strict"
    """The level of the sandbox that wheels must be built in to be written to them."""
    timeout_seconds: float = 10.0
    """For each answer."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Those that object stores find their credentials in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(IndexOptions):
    """Where things come from and under which rules; every one of them may be left out.

    Nothing is taken from the process itself: without `variables` hooks have no PATH, and neither
    proxies nor pip's variables are known. Paths are absolute.
    """

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those of the process, mostly: hooks get what is harmless of them, and pip's are honoured."""
    python: str | None = None
    """A path, or a version like 3.12; the running one unless given."""
    cache_dir: Path | None = None
    cache_max_bytes: int | None = None
    stage_dir: Path | None = None
    """Where builds run; in the cache unless given."""
    constraints: tuple[Path, ...] = ()
    require_hashes: bool = False
    refresh: bool = False
    isolated: bool = True
    """Whether builds get environments of their own; if not, they get the Python as it is."""
    checked: bool = True
    """Whether that Python has to have what they need."""
    environment_dir: Path | None = None
    """Where the environment is made; absent or empty, and gone after each build that goes well."""
    lock: Lock | None = None
    """Builds get just what it says."""
    overrides: Overrides | None = None
    """Differences for single packages, whatever they are built for."""
    recorder: Recorder | None = None
    """Takes down what builds get."""
    policy: Policy = field(default_factory=Policy)
    provenance: Provenance = field(default_factory=Provenance)
    """Files that come beside artifacts."""
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    """Caches that are shared with other machines."""

    def find_refusal(self, markers: Mapping[str, str]) -> Callable[[str, str], bool] | None:
        """Return what tells of a release whether its wheels are not taken; nothing if all are."""
        overrides = self.overrides
        return None if overrides is None else partial(overrides.refuses_wheel, markers)

    def check(self) -> None:
        """Refuse values of a wrong type."""
        check_types(self, _TYPES, "settings-invalid")


_TYPES: FieldTypes = {
    "variables": (Mapping, str, "a mapping of texts"),
    "python": (str | None, None, "a text"),
    "cache_dir": (Path | None, None, "a Path"),
    "stage_dir": (Path | None, None, "a Path"),
    "environment_dir": (Path | None, None, "a Path"),
    "constraints": (tuple, Path, "a tuple of Path"),
    "index_url": (str | None, None, "a text"),
    "extra_index_urls": (tuple, str, "a tuple of texts"),
    "find_links": (tuple, str, "a tuple of texts"),
    "policy": (Policy, None, "a Policy"),
    "sandbox": (SandboxSettings, None, "SandboxSettings"),
    "remote": (RemoteSettings, None, "RemoteSettings"),
    "provenance": (Provenance, None, "a Provenance"),
}
