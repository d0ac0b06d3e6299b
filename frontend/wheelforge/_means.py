"""What builds are made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge._events import ignore
from wheelforge._models import Policy
from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from wheelforge._events import Reporter
    from wheelforge._foresight import Foresight
    from wheelforge._models import Provider, Runner, Staging
    from wheelforge._records import Records
    from wheelforge._runners import RunnerPool, Terms
    from wheelforge._sources import Dating, FetchedSource

    Fetch = Callable[[str, Path], FetchedSource]
    FindDating = Callable[[Path, str, int | None], Dating | None]
    MakeRunner = Callable[[Terms], AbstractContextManager[Runner]]


class Means(Value):
    """All that builds share: used by any number of threads at once."""

    provider: Provider
    staging: Staging
    pool: RunnerPool
    variables: Mapping[str, str]
    """Of whoever asks; a hook gets what is harmless of them."""
    logs: Path
    python: str = ""
    """The version that environments are made for."""
    policy: Policy = field(default_factory=Policy)
    reporter: Reporter = ignore
    fetch: Fetch | None = None
    """Puts what is named or at a URL into a directory."""
    tidy: Callable[[], None] | None = None
    """Called after each build that went well."""
    find_dating: FindDating | None = None
    """Says when an sdist was published: its path, its SHA-256 and its newest file are given."""
    foresight: Foresight | None = None
    """Knows which server a source will want the next time."""
    unforked: Records | None = None
    """Knows the backends whose hooks have failed in a fork only: by their Python, and by name."""
    make_runner: MakeRunner | None = None
    """Runs hooks instead of the pool."""
