"""What a Python is: where it lives, which wheels it takes, what it answers to markers.

A Python is asked once, by running it, and its answer is remembered in a file named by the path of
its executable. The file opens with a seal: the digest of the answer and of all that the answer
depends on, namely the executable (where it leads, size, time), the settings of its virtual
environment, the system's kernel and C library, and the release of `packaging` that worked it out.
A seal that differs means an answer that is damaged, outdated or not ours, which are all the same:
the Python is asked again. So no field of a remembered answer needs to be checked.

What starts another Python than itself, as a pyenv shim does, may start a different one tomorrow.
It stands for the Python that it starts now, and is asked every time.
"""

from wheelforge_isolation._interpreter._guide import TIMEOUT_SECONDS
from wheelforge_isolation._interpreter._python import OLDEST, Interpreter, Scheme
from wheelforge_isolation._interpreter._search import find_interpreter

__all__ = ["OLDEST", "TIMEOUT_SECONDS", "Interpreter", "Scheme", "find_interpreter"]
