"""Python interpreters: find the one that is asked for, and describe it.

An interpreter is probed once, by running it, and its description is stored in a file named by the
path of its executable. The file begins with a digest of the description and of everything that the
description depends on: the executable (link target, size, time), the settings of its virtual
environment, the system's kernel and C library, and the code that has made the description
(`packaging`, `tags.py`, `probe.py`). If the digest differs, the file is damaged or outdated, and
the interpreter is probed again; no field of a stored description needs to be checked.

A program that starts another Python, as a pyenv shim does, may start a different one tomorrow. It
is described as the Python that it starts now, and this description is not stored.
"""

from wheelforge_isolation.interpreter.find import find_interpreter
from wheelforge_isolation.interpreter.inspect import (
    OLDEST,
    TIMEOUT_SECONDS,
    Interpreter,
    Scheme,
)

__all__ = ["OLDEST", "TIMEOUT_SECONDS", "Interpreter", "Scheme", "find_interpreter"]
