"""The root of this package's errors."""

from __future__ import annotations

from wheelforge_isolation import ForgeError


class BuildError(ForgeError):
    """The root of this package's errors."""

    code = "build"
