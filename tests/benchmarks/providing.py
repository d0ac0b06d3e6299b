"""A program: resolve, fetch and store what is required, as one build does, and nothing more.

    python -P providing.py CACHE wheels|environment REQUIREMENT ...

It runs in the Python of the wheelforge that is measured; the index is where pip's settings say.
"""

import os
import sys
from functools import partial
from pathlib import Path

from wheelforge.index import Index
from wheelforge.resolve import FetchPlan
from wheelforge_isolation import Interpreter

WHEELS, ENVIRONMENT = "wheels", "environment"


def main(root: str, what: str, *requirements: str) -> None:
    """Have the wheels in the cache, or the environment made of them as well."""
    from wheelforge.build.targets import find_python
    from wheelforge.index import Index, IndexOptions, find_index_settings
    from wheelforge.settings import Settings
    from wheelforge_isolation import Layout, open_cache

    layout = Layout(root=Path(root))
    settings = find_index_settings(os.environ, IndexOptions(), [])
    with open_cache(layout, lambda _: None) as cache:
        python = find_python(Settings(variables=os.environ, python=sys.executable), layout)
        with Index(settings, python.tags) as index:
            plan = _resolve(requirements, python, index, Path(root))
            if what == ENVIRONMENT:
                cache.environments.get_or_create(python, plan.keys, plan.fetch).give_back()
                return
            for key in plan.keys:
                cache.wheels.get_or_create(key, partial(plan.fetch, key)).item.give_back()


def _resolve(
    requirements: tuple[str, ...], python: Interpreter, index: Index, root: Path
) -> FetchPlan:
    from wheelforge.resolve import ResolutionRequest, prepare_wheels, resolve

    identity = index.settings.identity
    request = ResolutionRequest(requirements=requirements, python=python, index_identity=identity)
    return prepare_wheels(resolve(request, index), index, None, workspace=root / "fetched")


if __name__ == "__main__":
    main(*sys.argv[1:])
