"""``python -m build`` runs wheelforge where this directory is on the path."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # wheelforge imports the real ``build``, which has to be found from here on.
    here = str(Path(__file__).parent)
    sys.path[:] = [path for path in sys.path if path != here]
    runpy.run_module("wheelforge", run_name="__main__", alter_sys=True)
