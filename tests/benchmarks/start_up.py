"""Start-up cost: the version printed, the package imported, modules counted."""

import subprocess
from pathlib import Path

from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import Bench, Command, run_child

BASE = "python -c pass"
_COUNT = """
import atexit, contextlib, io, runpy, sys
# The program ends where it stands, as soon as that is said.
atexit.register(lambda: print(len(sys.modules), file=sys.stderr))
with contextlib.redirect_stdout(io.StringIO()):
    {}
"""
_SHOW_VERSION = "sys.argv[1:] = ['--version']; runpy.run_module('wheelforge', run_name='__main__')"


def run(bench: Bench) -> Result:
    """Compare with a Python that does nothing."""
    python = bench.tools.python_of_ours
    commands: dict[str, Command] = {
        "wheelforge --version": (*bench.tools.wheelforge, "--version"),
        "import wheelforge": (python, "-c", "import wheelforge"),
        BASE: (python, "-c", "pass"),
    }
    if not bench.is_quick:
        commands["uv --version"] = (bench.tools.uv, "--version")
    variables = bench.compose(bench.place)
    contenders = {name: _running(words, variables) for name, words in commands.items()}
    # Ten times as often: they are short, and the spread of what is short is wide.
    samples = measure(contenders, bench.rounds * (1 if bench.is_quick else 10), bench.place)
    rows = [Row(title="time", samples=samples, base=BASE), _count_modules(bench, variables)]
    return Result(name="start-up", title="starting and doing nothing", rows=rows)


def _running(command: Command, variables: dict[str, str]) -> Contender:
    def run_command(place: Path) -> None:
        run_child(command, variables, place)

    return Contender(run_command)


def _count_modules(bench: Bench, variables: dict[str, str]) -> Row:
    codes = {
        "wheelforge --version": _SHOW_VERSION,
        "import wheelforge": "import wheelforge",
        BASE: "pass",
    }
    counts = {name: _count(bench, code, variables) for name, code in codes.items()}
    samples = {name: Samples([count]) for name, count in counts.items()}
    return Row(title="modules loaded", samples=samples, base=BASE, unit="modules", counts=False)


def _count(bench: Bench, code: str, variables: dict[str, str]) -> float:
    command = (bench.tools.python_of_ours, "-c", _COUNT.format(code))
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return float(done.stderr)
