"""The errors of builds, as facts.

Most builds need none of it: a module is loaded when one of its names is used.
"""


def __getattr__(name: str) -> object:
    from wheelforge_isolation.lazy import load

    return load(__name__, name)


def __dir__() -> list[str]:
    from wheelforge_isolation.lazy import list_names

    return list_names(__name__)
