"""``python -m tests.picture``: README's picture, of a real terminal in the middle of a batch.

tmux is the terminal. What its screen holds, colours included, becomes an SVG by rich.
"""

import argparse
import io
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.support.corpus import SDISTS, fetch_missing

_COLUMNS, _ROWS = 100, 24
_SHOWN = ("twisted", "MarkupSafe", "attrs", "rich", "zope_interface", "ujson", "packaging", "six")
PICTURE = Path(__file__).with_name("terminal.svg")


def main() -> int:
    """Run the batch twice, so that the second run shows warm caches, and draw that."""
    parser = argparse.ArgumentParser(prog="python -m tests.picture", description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURE, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=4, help="when to look (4)")
    options = parser.parse_args()
    chosen = [sdist for sdist in SDISTS if sdist.file.startswith(_SHOWN)]
    problems = fetch_missing(chosen)
    if problems:
        raise SystemExit("\n".join(problems))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for sdist in chosen:
            (place / sdist.file).symlink_to(sdist.path)
        command = [sys.executable, "-m", "wheelforge", "-j", "4", "-o", "wheels", "--cache-dir"]
        words = [*command, "cache", *sorted(sdist.file for sdist in chosen)]
        subprocess.run(words, cwd=place, check=True, capture_output=True)
        options.output.write_text(_draw(_look(words, place, options.seconds)), encoding="utf-8")
    return 0


def _look(words: list[str], place: Path, seconds: float) -> str:
    """Return the screen of a terminal in which ``words`` have run for so long, with its colours."""
    shown = "printf '$ wheelforge *.tar.gz -j 4 -o wheels\\n'"
    variables = {"PATH": os.environ["PATH"], "HOME": str(place), "LC_ALL": "C.UTF-8"}
    told = [f"{name}={value}" for name, value in variables.items()]
    inside = f"cd {shlex.quote(str(place))}; {shown}; {shlex.join(words)}; sleep 60"
    clean = shlex.join(["env", "-i", *told, "TERM=screen-256color", "sh", "-c", inside])
    tmux = ["tmux", "-S", str(place / "socket"), "-f", os.devnull]
    size = ["-x", str(_COLUMNS), "-y", str(_ROWS)]
    subprocess.run([*tmux, "new-session", "-d", *size, clean], check=True)
    time.sleep(seconds)
    screen = subprocess.run(
        [*tmux, "capture-pane", "-p", "-e"], check=True, capture_output=True, text=True
    ).stdout
    subprocess.run([*tmux, "kill-server"], check=False)
    return screen.rstrip().replace(f"{place}/", "")


def _draw(screen: str) -> str:
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen))
    return console.export_svg(title="wheelforge")


if __name__ == "__main__":
    sys.exit(main())
