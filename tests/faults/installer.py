"""An installer that has no resolver: it puts all wheels of a directory into an environment."""

import sys
from collections.abc import Sequence
from pathlib import Path

from wheelforge_isolation import (
    Event,
    ForgeError,
    Layout,
    WheelKey,
    copy_file,
    find_interpreter,
    open_cache,
    read_wheel_key,
)


def main(words: Sequence[str]) -> int:
    """Make the environment, and say of what fails what the command line says."""
    stock, cache = map(Path, words[:2])
    try:
        _install(stock, Layout(root=cache))
    except ForgeError as error:
        sys.stderr.write(f"error[{error.code}]: {error}\n")
        return error.exit_code
    return 0


def _install(stock: Path, layout: Layout) -> None:
    keys = [read_wheel_key(path) for path in sorted(stock.glob("*.whl"))]

    def fetch(key: WheelKey, path: str) -> None:
        copy_file(str(stock / key.file_name), path)

    with open_cache(layout, _show) as cache:
        python = find_interpreter(sys.executable, search=(), cache_dir=layout.interpreters)
        cache.environments.get_or_create(python, keys, fetch).give_back()


def _show(event: Event) -> None:
    sys.stderr.write(f"note: {event.subject}: {event.reason}\n")
