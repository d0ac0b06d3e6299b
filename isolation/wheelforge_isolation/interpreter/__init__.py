"""Python interpreters: find the one that is asked for, and describe it.

An interpreter is probed once, by running it. Its description is stored under everything that it
depends on: the executable (path, link target, size, time), the settings of its virtual environment,
the system's kernel and C library, and the code that has made the description (`packaging`,
`tags.py`, `probe.py`). If any of that differs, or the file is damaged, the interpreter is probed
again; no field of a stored description needs to be checked.

A program that starts another Python, as a pyenv shim does, may start a different one tomorrow. It
is described as the Python that it starts now, and this description is not stored.
"""

from wheelforge_isolation.interpreter.find import find_interpreter, list_executables
from wheelforge_isolation.interpreter.inspect import (
    OLDEST,
    TIMEOUT_SECONDS,
    Interpreter,
    Scheme,
    kill_group,
)

__all__ = [
    "OLDEST",
    "TIMEOUT_SECONDS",
    "Interpreter",
    "Scheme",
    "find_interpreter",
    "kill_group",
    "list_executables",
]
