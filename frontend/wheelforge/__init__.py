"""A PEP 517 build frontend: safe with foreign archives, with a cache that cannot be corrupted.

`open_forge` makes a `Forge`, which builds what `BuildRequest` says, any number at once. Everything
public is named here; importing the package imports nothing else until a name is used.

What this package speaks of and does not own is public in `wheelforge_isolation`: `Interpreter`,
`Links`, `Stage` and `WheelKey`. All errors are in `wheelforge.errors` and
`wheelforge_isolation.errors`; `ForgeError` is the root of every one of them.
"""

# Nothing is imported above all this, not even `typing` or `__future__`: `python -m wheelforge`
# comes by here while the working directory, somebody's project, is still on the path.


def __getattr__(name: str) -> object:
    from wheelforge_isolation.lazy import load

    return load(__name__, name)


def __dir__() -> list[str]:
    from wheelforge_isolation.lazy import list_names

    return list_names(__name__)
