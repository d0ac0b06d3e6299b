"""``python -m tests.benchmarks [NAME ...]``: speed as ratios to peers, measured in one run."""

from __future__ import annotations

import argparse

from tests.benchmarks import collecting, environments, unpacking

BENCHMARKS = {
    "unpacking": unpacking.run,
    "collecting": collecting.run,
    "environments": environments.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"default: all of {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for name in options.names or BENCHMARKS:
        BENCHMARKS[name](options.rounds)


if __name__ == "__main__":
    main()
