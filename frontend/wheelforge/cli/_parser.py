"""The words of the command line, and what each of them runs."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from wheelforge._models import Kind
from wheelforge.cli import _cache
from wheelforge.cli._commands import run_build, run_unpack
from wheelforge.cli._words import (
    absolute_path,
    parse_days,
    parse_flag,
    parse_place,
    parse_python,
    parse_size,
    parse_time,
)
from wheelforge_isolation import Links

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST_WORDS = {"build", "unpack", "cache", "-h", "--help", "-V", "--version"}


def parse_words(words: Sequence[str]) -> argparse.Namespace:
    """Return what ``words`` ask for; ``run`` is the function to call with it."""
    if not words or words[0] not in _FIRST_WORDS:
        words = ["build", *words]
    return build_parser().parse_args(words)


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="wheelforge", description="Build Python packages.")
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="say which release it is")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_build(commands.add_parser("build", help="build a project or an sdist (may be left out)"))
    _add_unpack(commands.add_parser("unpack", help="unpack an sdist, whole or not at all"))
    _add_cache(commands.add_parser("cache", help="look at the cache, check it, make it smaller"))
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
    _add_requirements(parser)
    _add_index(parser)
    _add_cache_directory(parser)
    parser.add_argument(
        "--cache-max-size",
        type=parse_size,
        metavar="SIZE",
        help="bring the cache back to this size if it has grown, as 5GB",
    )
    _add_common(parser)
    parser.set_defaults(run=run_build)


def _add_requirements(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("-p", "--python"),
        type=parse_python,
        metavar="PYTHON",
        help="build with this Python: a path, or a version like 3.12 (default: the running one)",
    )
    parser.add_argument(
        "--build-constraint",
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="a requirements file that limits what is built with",
    )
    parser.add_argument(
        "--require-hashes", action="store_true", help="build only with files whose hash is stated"
    )
    parser.add_argument(
        "--exclude-newer",
        type=parse_time,
        metavar="TIME",
        help="build only with what was published before: 2026-05-01, or an age like 7 days",
    )
    parser.add_argument("--offline", action="store_true", help="build only with what the cache has")
    parser.add_argument(
        "--refresh", action="store_true", help="ask the index again, whatever is remembered"
    )


def _add_index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(*("-i", "--index-url"), metavar="URL", help="where to find requirements")
    parser.add_argument(
        "--extra-index-url", action="append", metavar="URL", help="another place, looked at first"
    )
    parser.add_argument(
        *("-f", "--find-links"),
        type=parse_place,
        action="append",
        metavar="PLACE",
        help="a directory, or a page, with files",
    )
    parser.add_argument(
        "--no-index", action="store_true", help="look at no index, only at --find-links"
    )


def _add_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=absolute_path, help="a .tar.gz or .zip file")
    parser.add_argument("destination", type=absolute_path, help="a directory, absent or empty")
    _add_common(parser)
    parser.set_defaults(run=run_unpack)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run_by_name = {
        "dir": (_cache.show_directory, "print where the cache is"),
        "size": (_cache.show_size, "print how much space it takes"),
        "list": (_cache.show_entries, "print what is in it, one line each"),
        "verify": (_cache.verify, "hash all of it; exit code 1 if anything is wrong"),
        "gc": (_cache.collect, "remove what the dead left, and what is too old or too much"),
        "clear": (_cache.clear, "remove all that no running build uses"),
    }
    for name, (run, help_text) in run_by_name.items():
        command = commands.add_parser(name, help=help_text)
        _add_cache_directory(command)
        command.set_defaults(run=run)
    commands.choices["list"].add_argument("--json", action="store_true", help="print JSON")
    commands.choices["verify"].add_argument(
        "--repair", action="store_true", help="mend what is wrong, or set it aside"
    )
    _add_bounds(commands.choices["gc"])


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-size", type=parse_size, metavar="SIZE", help="leave at most this much, as 5GB"
    )
    parser.add_argument(
        "--max-age",
        type=parse_days,
        metavar="AGE",
        help="remove what was unused for longer, as 30d",
    )


def _add_cache_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache-dir",
        type=absolute_path,
        metavar="DIR",
        help="where wheelforge keeps its cache (default: the platform's place for caches)",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--links",
        choices=[links.value for links in Links],
        help="keep symbolic links, or copy what they lead to (default: as the platform can)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


class _Parser(argparse.ArgumentParser):
    """Takes the default of every option from the environment: WHEELFORGE_ and the option's name."""

    def add_argument(self, *names: str, **facts: Any) -> argparse.Action:  # ruff: ignore[any-type]
        action = super().add_argument(*names, **facts)
        given = os.environ.get(f"WHEELFORGE_{names[-1].lstrip('-').replace('-', '_').upper()}")
        if given is not None and names[-1].startswith("--"):
            self.set_defaults(**{action.dest: _read_default(action, given)})
        return action


def _read_default(action: argparse.Action, given: str) -> object:
    if action.nargs != 0:
        return given  # which argparse then reads as it would on the command line
    is_on = parse_flag(given)
    is_switch = action.const is True
    return is_on if is_switch else [action.const] if is_on else None


class _Version(argparse.Action):
    """Prints the version, which is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"wheelforge {version('wheelforge')}\n")
        parser.exit()
