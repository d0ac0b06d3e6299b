"""The words of the command line, and what each of them runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge._models import Kind
from wheelforge.cli._commands import run_build, run_unpack
from wheelforge_isolation import Links

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST_WORDS = {"build", "unpack", "-h", "--help", "-V", "--version"}


def parse_words(words: Sequence[str]) -> argparse.Namespace:
    """Return what ``words`` ask for; ``run`` is the function to call with it."""
    if not words or words[0] not in _FIRST_WORDS:
        words = ["build", *words]
    return build_parser().parse_args(words)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wheelforge", description="Build Python packages.")
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="say which release it is")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_build(commands.add_parser("build", help="build a project or an sdist (may be left out)"))
    _add_unpack(commands.add_parser("unpack", help="unpack an sdist, whole or not at all"))
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=absolute_path,
        nargs="?",
        default=".",
        help="a project's directory, or an sdist (default: the current directory)",
    )
    parser.add_argument(
        *("-s", "--sdist"),
        dest="kinds",
        action="append_const",
        const=Kind.SDIST,
        help="build an sdist",
    )
    parser.add_argument(
        *("-w", "--wheel"),
        dest="kinds",
        action="append_const",
        const=Kind.WHEEL,
        help="build a wheel (default: an sdist, and a wheel from it)",
    )
    parser.add_argument(
        *("-o", "--outdir"),
        type=absolute_path,
        metavar="DIR",
        help="where the results go (default: dist beside the source)",
    )
    parser.add_argument(
        "--cache-dir", type=absolute_path, metavar="DIR", help="where wheelforge keeps its cache"
    )
    _add_common(parser)
    parser.set_defaults(run=run_build)


def _add_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=absolute_path, help="a .tar.gz or .zip file")
    parser.add_argument("destination", type=absolute_path, help="a directory, absent or empty")
    _add_common(parser)
    parser.set_defaults(run=run_unpack)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--links",
        choices=[links.value for links in Links],
        help="keep symbolic links, or copy what they lead to (default: as the platform can)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


def absolute_path(text: str) -> Path:
    """Return ``text`` as a path that no change of directory can bend."""
    return Path(text).absolute()


class _Version(argparse.Action):
    """Prints the version, which is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"wheelforge {version('wheelforge')}\n")
        parser.exit()
