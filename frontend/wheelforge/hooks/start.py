"""Run inside a build environment, by path: becomes `_serve`, and compiles nothing on the way.

Of what is run by path Python keeps no bytecode, only of modules; compiling three such files took
17 ms of each start, for which a hook had to wait. So they are loaded as modules are. Bytecode that
is not there is not written: it would stay behind where this package was removed.
"""

# ruff: file-ignore[exec-builtin]

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType


def load_code(path: str) -> CodeType:
    """Return what the script at ``path`` would execute."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader = vars(sys.modules["__main__"])["__loader__"]
    code: CodeType = type(loader)("__main__", path).get_code("__main__")
    sys.dont_write_bytecode = before
    return code


exec(load_code(__file__[: -len("start.py")] + "serve.py"))
