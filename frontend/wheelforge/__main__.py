"""``python -m wheelforge``, safe in any directory."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the working directory, which belongs to the project being built

from wheelforge.cli import run

run()
