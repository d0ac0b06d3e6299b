"""``pytest -p hook_runner``: a pool of our runners runs the hooks of a suite."""

import os
import sys
from collections.abc import Mapping, Sequence

import pyproject_hooks
from pyproject_hooks import _impl

from wheelforge import HookOptions, RunnerPool, compose_environment

_POOL = RunnerPool()
_STEERING = ("PYTHONPATH", "PYTHONWARNINGS")


def run_hook(
    cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
) -> None:
    """Run a hook as ``default_subprocess_runner`` does: what it prints is shown."""
    # The variables of a process that steer Python reach no hook of ours, but suites rely on one.
    steering = {name: os.environ[name] for name in _STEERING if name in os.environ}
    extra = {**steering, **(extra_environ or {})}
    is_in_tree = "_PYPROJECT_HOOKS_BACKEND_PATH" in extra
    backend = "" if is_in_tree else extra.get("_PYPROJECT_HOOKS_BUILD_BACKEND", "")
    terms = HookOptions(base=dict(os.environ), on_output=_show)
    environment = compose_environment(terms.base, extra)
    with _POOL.open(python=cmd[0], backend=backend, environment=environment, terms=terms) as runner:
        runner(cmd, cwd, extra)


def _show(line: bytes) -> None:
    sys.stdout.write(line.decode(errors="replace"))


def pytest_unconfigure() -> None:
    """End the servers."""
    _POOL.close()


# Both names are looked up late; `build` binds the first one when it is imported, after this.
pyproject_hooks.default_subprocess_runner = run_hook
_impl.default_subprocess_runner = run_hook
