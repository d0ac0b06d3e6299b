"""The Python of README and of the reference texts, as strangers copy it: each block alone.

A block marked `py` needs a program that the tests do not install, and is left out.
"""

import re
from collections.abc import Callable
from typing import Any

from tests.support.source import ROOT

TEXTS = sorted((ROOT / "frontend" / "wheelforge" / "help").glob("*.md"))
BLOCKS = [
    block
    for path in (ROOT / "README.md", *TEXTS)
    for block in re.findall(
        r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
]


def take(name: str) -> Callable[..., Any]:
    """Return the function of that name, of the one block that has it."""
    head = re.compile(rf"^(?:async )?def {name}\(", re.MULTILINE)
    (block,) = (block for block in BLOCKS if head.search(block))
    names: dict[str, Any] = {"__name__": "manual"}
    exec(compile(block, "manual", "exec", dont_inherit=True), names)  # ruff: ignore[exec-builtin]
    function: Callable[..., Any] = names[name]
    return function
