"""Staging, archives, wheel cache and environments: what a build stands on.

An installer with a resolver of its own uses this package alone. Everything public is named here;
importing the package imports nothing else until a name is used.
"""


def __getattr__(name: str) -> object:
    from wheelforge_isolation.lazy import load

    return load(__name__, name)


def __dir__() -> list[str]:
    from wheelforge_isolation.lazy import list_names

    return list_names(__name__)
