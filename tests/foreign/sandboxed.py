"""``python -m tests.foreign.sandboxed``: pinned real sdists, built in a sandbox and in none.

The wheels have to be the same. An sdist that is not built for want of the network is named, and is
no difference; anything else that differs makes the exit code 1.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from tests.foreign.compare import find_differences
from tests.foreign.matrix import BEFORE, REAL_SDISTS, SUITES
from tests.foreign.results import Result, read_result
from tests.support.corpus import FIXTURES, OVERRIDDEN, Listed, fetch_missing

_OVERRIDES = FIXTURES / "overrides" / "overrides.toml"


def main(words: Sequence[str] | None = None) -> int:
    """Build what was selected twice, and say of each sdist how that went."""
    parser = argparse.ArgumentParser(prog="python -m tests.foreign.sandboxed", description=__doc__)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="only such files")
    parser.add_argument("--sandbox", default="strict", metavar="KIND", help="(strict)")
    parser.add_argument("--jobs", type=int, default=2, help="sdists at a time (2)")
    options = parser.parse_args(words)
    listed = sorted((*SUITES, *REAL_SDISTS, *OVERRIDDEN), key=lambda each: each.bytes)
    chosen = [each for each in listed if fnmatchcase(each.file, options.only)]
    for problem in fetch_missing(chosen):
        sys.stdout.write(f"{problem}\n")
    problems = 0
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.jobs) as pool:
        place = Path(name)
        results = pool.map(partial(_compare, options.sandbox, place), chosen)
        for sdist, found in zip(chosen, results, strict=True):
            sys.stdout.write(f"{sdist.file}: {'; '.join(found)}\n")
            sys.stdout.flush()
            problems += found[0] == "differs"
    sys.stdout.write(f"{len(chosen)} sdists, {problems} differ\n")
    return 1 if problems else 0


def _compare(sandbox: str, place: Path, sdist: Listed) -> list[str]:
    plain, shut = (_build(sdist, each, place / sdist.file / each) for each in ("none", sandbox))
    if shut.error == "build-network" and not plain.error:
        return ["needs the network"]
    differences = find_differences(sdist.file, shut, plain)
    if differences:
        return ["differs", *(each.what for each in differences)]
    return [f"the same ({shut.outcome})"]


def _build(sdist: Listed, sandbox: str, output: Path) -> Result:
    output.mkdir(parents=True)
    command = [sys.executable, "-m", "wheelforge", str(sdist.path), "--wheel", "--no-reuse"]
    command += ["--outdir", str(output), "--sandbox", sandbox, "--exclude-newer", BEFORE]
    command += ["--overrides", str(_OVERRIDES)] if sdist in OVERRIDDEN else []
    begun = time.monotonic()
    done = subprocess.run(
        command,
        env={**os.environ, "WHEELFORGE_CACHE_DIR": str(output.parents[1] / "cache")},
        cwd=output,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    return read_result(done.returncode, done.stdout, done.stderr, output, seconds)


if __name__ == "__main__":
    sys.exit(main())
