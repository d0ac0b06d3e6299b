"""A script that runs a hook again, in the directory and with the variables that it had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wheelforge.hooks.environ import compose_environment
from wheelforge_isolation import ensure_directory, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelforge.build.builder import HookCall

_SCRIPT = '''\
"""Runs the hook that failed once more, as it was run. Any Python 3 can run this.

All variables of that hook are below, secret ones too: do not pass this file on.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

CALL = json.loads({call!r})

with tempfile.TemporaryDirectory() as name:
    place = pathlib.Path(name)
    (place / "input.json").write_text(CALL["question"], encoding="utf-8")
    words = [*CALL["words"], name]
    status = subprocess.call(words, cwd=CALL["directory"] or None, env=CALL["variables"])
    if (place / "output.json").exists():
        print((place / "output.json").read_text(encoding="utf-8"))
    sys.exit(status)
'''


def write_retry_script(directory: Path, call: HookCall, variables: Mapping[str, str]) -> Path:
    """Write the script that makes ``call`` again into ``directory``, which is private.

    What the environment and pyproject-hooks demand is laid over ``variables``, as for the call.
    """
    facts = {
        "words": call.words[:-1],
        "directory": call.directory,
        "question": call.question.decode(),
        "variables": compose_environment(variables, call.variables),
    }
    ensure_directory(str(directory))
    path = directory / "retry.py"
    replace_file(str(path), _SCRIPT.format(call=json.dumps(facts)).encode())
    return path
