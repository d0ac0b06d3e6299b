"""A PEP 517 build frontend: safe with foreign archives, with a cache that cannot be corrupted.

`open_forge` makes a `Forge`, which builds what `BuildRequest` says, any number at once. Everything
public is named here; importing the package imports nothing else until a name is used.

What this package speaks of and does not own is public in `wheelforge_isolation`: `Interpreter`,
`Links`, `Stage` and `WheelKey`. All errors are in `wheelforge.errors` and
`wheelforge_isolation.errors`; `ForgeError` is the root of every one of them.
"""

# Nothing is imported above all this, not even `typing` or `__future__`: `python -m wheelforge`
# comes by here while the working directory, somebody's project, is still on the path.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from wheelforge._build import Forge
    from wheelforge._events import BuildEvent, Reporter
    from wheelforge._models import (
        Artifact,
        BuildRequest,
        Era,
        Keep,
        Kind,
        Need,
        Outcome,
        Policy,
        Provider,
        Provision,
        Runner,
    )
    from wheelforge._runners import RunnerPool, Terms, compose_environment
    from wheelforge._settings import Settings
    from wheelforge._workshop import Parts, open_forge
    from wheelforge_isolation import ForgeError

__all__ = [
    "Artifact",
    "BuildEvent",
    "BuildRequest",
    "Era",
    "Forge",
    "ForgeError",
    "Keep",
    "Kind",
    "Need",
    "Outcome",
    "Parts",
    "Policy",
    "Provider",
    "Provision",
    "Reporter",
    "Runner",
    "RunnerPool",
    "Settings",
    "Terms",
    "compose_environment",
    "open_forge",
]

_ROOMS = {
    "wheelforge._build": ("Forge",),
    "wheelforge._events": ("BuildEvent", "Reporter"),
    "wheelforge._models": (
        "Artifact",
        "BuildRequest",
        "Era",
        "Keep",
        "Kind",
        "Need",
        "Outcome",
        "Policy",
        "Provider",
        "Provision",
        "Runner",
    ),
    "wheelforge._runners": ("RunnerPool", "Terms", "compose_environment"),
    "wheelforge._settings": ("Settings",),
    "wheelforge._workshop": ("Parts", "open_forge"),
    "wheelforge_isolation": ("ForgeError",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


if not TYPE_CHECKING:  # or a type checker would believe in any name

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
