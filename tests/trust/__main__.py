"""``python -m tests.trust [SECTION ...]``: do what the sections do, and keep their figures."""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.source import ROOT
from tests.trust import SECTIONS, Extent
from wheelforge_isolation import replace_file

RECORD = ROOT / "tests" / "trust.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", choices=[*SECTIONS, []])
    parser.add_argument("--share", type=float, default=1.0, help="how much of it to do")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", type=Path, default=RECORD, help="where to keep the figures")
    options = parser.parse_args()
    extent = Extent(share=options.share, jobs=options.jobs)
    violations = 0
    for name in options.sections or SECTIONS:
        violations += _run(name, extent, options.record)
    return 1 if violations else 0


def _run(name: str, extent: Extent, record: Path) -> int:
    """Run one section, keep its figures, and return how often what must not be was."""
    start = time.monotonic()
    figures = import_module(SECTIONS[name]).run(extent)
    figures |= {
        "share": extent.share,
        "seconds": round(time.monotonic() - start, 1),
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": _describe_commit(),
        **_describe_machine(),
    }
    sys.stdout.write(f"{name}: {json.dumps(figures, indent=2)}\n")
    # Read only now: others may have kept theirs meanwhile.
    kept = _read(record) | {name: figures}
    replace_file(str(record), f"{json.dumps(kept, indent=2)}\n".encode())
    return int(figures["violations"])


def _read(record: Path) -> dict[str, Any]:
    if not record.exists():
        return {}
    kept: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return kept


def _describe_commit() -> str:
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _describe_machine() -> dict[str, int | str]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count() or 1,
    }


if __name__ == "__main__":
    sys.exit(main())
