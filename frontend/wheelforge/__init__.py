"""A PEP 517 build frontend: safe with foreign archives, with a cache that cannot be corrupted."""

from __future__ import annotations

__all__: list[str] = []
