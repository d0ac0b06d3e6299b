"""``python -m tests.repeat``: real sdists, each built twice by ``--repeat``, and a table of both.

What was built is kept below ``.repeat`` and not built again while wheelforge and the sdist are the
same, so a run that was ended goes on where it was. ``table.md`` is written when all was run.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from tests.benchmarks.peers import hash_sources
from tests.repeat.sources import HOME, SDISTS
from tests.repeat.table import FAILED, Result, format_table, read_report
from tests.support.corpus import Listed, fetch_missing

TABLE = Path(__file__).with_name("table.md")
_KEPT = ("PATH", "HOME", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "PIP_INDEX_URL")
_TIMEOUT_SECONDS = 1200


def main(words: Sequence[str] | None = None) -> int:
    """Build what was selected twice, and write the table if that was everything."""
    options = _parse(words)
    selected = [
        sdist
        for sdist in SDISTS
        if not options.only or any(fnmatchcase(sdist.file, only) for only in options.only)
    ]
    problems = fetch_missing(selected)
    if problems:
        raise SystemExit("\n".join(problems))
    results = [_run(sdist, stored=options.stored) for sdist in selected]
    found = [result for result in results if result is not None]
    text = format_table(found)
    if options.output or selected == SDISTS:
        (options.output or TABLE).write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.repeat", description="Build real sdists twice, and compare."
    )
    add = parser.add_argument
    add("--only", action="append", metavar="PATTERN", help="only such files (repeatable)")
    add("--stored", action="store_true", help="build nothing: tell of what was built before")
    add("--output", type=Path, metavar="FILE", help="write the table there, whatever was run")
    return parser.parse_args(words)


def _run(sdist: Listed, *, stored: bool) -> Result | None:
    """Return how an sdist was built twice, now or before."""
    identity = "any" if stored else hashlib.sha256(hash_sources().encode()).hexdigest()[:16]
    pattern = f"{sdist.file}-{'*' if stored else identity}.json"
    known = sorted((HOME / "results").glob(pattern), key=lambda path: path.stat().st_mtime)
    if known:
        return Result(**json.loads(known[-1].read_text(encoding="utf-8")))
    if stored:
        return None
    result = build_twice(sdist.path, HOME)
    path = HOME / "results" / f"{sdist.file}-{identity}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result._asdict(), indent=1), encoding="utf-8")
    sys.stderr.write(f"{sdist.file}: {result.verdict}\n")
    return result


def build_twice(sdist: Path, home: Path, *words: str) -> Result:
    """Build an sdist twice with a cache below ``home``, and return how that went."""
    place = home / "work" / hashlib.sha256(sdist.name.encode()).hexdigest()[:8]
    place.mkdir(parents=True, exist_ok=True)
    report = place / "report.json"
    report.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "wheelforge", "build", "--no-config", "--wheel", str(sdist)),
        *("-o", str(place / "out"), "--cache-dir", str(home / "cache"), "--report", str(report)),
        *("--repeat", *words),
    ]
    variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result(sdist.name, "", FAILED, "", [f"not done in {_TIMEOUT_SECONDS} s"])
    if not report.exists():
        return Result(sdist.name, "", FAILED, "", [done.stderr.decode(errors="replace")[-500:]])
    return read_report(sdist.name, json.loads(report.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main())
