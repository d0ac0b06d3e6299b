"""A script that runs a hook again, in the directory and with the variables that it had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wheelforge_isolation import ensure_directory, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelforge._hooks import HookCall

_SCRIPT = '''\
"""Runs the hook that failed once more, as it was run. Any Python 3 can run this."""

import json
import pathlib
import subprocess
import sys
import tempfile

CALL = json.loads({call!r})

with tempfile.TemporaryDirectory() as place:
    (pathlib.Path(place) / "input.json").write_text(CALL["question"], encoding="utf-8")
    words = [*CALL["words"], place]
    sys.exit(subprocess.call(words, cwd=CALL["directory"] or None, env=CALL["variables"]))
'''


def write_retry_script(directory: Path, call: HookCall, variables: Mapping[str, str]) -> Path:
    """Write the script that makes ``call`` again into ``directory``."""
    facts = {
        "words": call.words[:-1],
        "directory": call.directory,
        "question": call.question.decode(),
        "variables": dict(variables),
    }
    ensure_directory(str(directory))
    path = directory / "retry.py"
    replace_file(str(path), _SCRIPT.format(call=json.dumps(facts)).encode())
    return path
