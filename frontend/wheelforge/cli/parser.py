"""The words of the command line, and what each of them runs."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from wheelforge.cli import options
from wheelforge.cli.argument_types import absolute_path, parse_days, parse_flag, parse_size
from wheelforge.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_NO_COMMANDS = {"-h", "--help", "-V", "--version"}


def parse_words(words: Sequence[str]) -> argparse.Namespace:
    """Return what ``words`` ask for; ``run`` is the function to call with it."""
    if not words or (words[0] not in COMMANDS and words[0] not in _NO_COMMANDS):
        words = ["build", *words]
    return build_parser(words[:1]).parse_args(words)


def build_parser(known: Collection[str]) -> argparse.ArgumentParser:
    """Return a parser that knows the options of the ``known`` commands: one is enough for a run."""
    parser = _Parser(prog="wheelforge", description="Build Python packages.")
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="say which release it is")
    commands = _add_commands(parser)
    for name, (add_options, help_text) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text)
        if name in known:
            add_options(command)
    return parser


def _late(room: str, name: str) -> Callable[[argparse.Namespace], int | None]:
    """Return a function that is imported once it is called: no command needs all the others."""

    def run(options: argparse.Namespace) -> int | None:
        from importlib import import_module

        return getattr(import_module(f"wheelforge.cli.{room}"), name)(options)  # type: ignore[no-any-return]

    return run


def _add_build(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    options.add_kinds(parser)
    options.add_batch(parser)
    options.add_reports(parser)
    _add_making(parser)
    parser.set_defaults(run=_late("build", "run_build"))


def _add_metadata(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    _add_making(parser)
    parser.set_defaults(run=_late("commands", "run_metadata"), kinds=None, outdir=None)


def _add_lock(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    _add_making(parser)
    parser.add_argument(
        *("-o", "--output"),
        type=absolute_path,
        default="pylock.build.toml",
        metavar="FILE",
        help="where to write it (default: pylock.build.toml)",
    )
    parser.set_defaults(run=_late("commands", "run_lock"), kinds=None, outdir=None)


def _add_making(parser: argparse.ArgumentParser) -> None:
    """Add all that every command has which asks a backend for something."""
    options.add_building(parser)
    options.add_isolation(parser)
    options.add_requirements(parser)
    options.add_index(parser)
    options.add_cache(parser)
    options.add_verbosity(parser)


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--locked", type=absolute_path, required=True, metavar="FILE", help="what to fetch"
    )
    options.add_index(parser)
    options.add_cache_directory(parser)
    options.add_verbosity(parser)
    parser.set_defaults(run=_late("commands", "run_fetch"))


def _add_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=absolute_path, help="a .tar.gz or .zip file")
    parser.add_argument("destination", type=absolute_path, help="a directory, absent or empty")
    options.add_links(parser)
    options.add_verbosity(parser)
    parser.set_defaults(run=_late("commands", "run_unpack"))


def _add_commands(parser: argparse.ArgumentParser) -> Any:  # ruff: ignore[any-type]
    # Without its name it would be worked out by what formats help, which loads shutil.
    return parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, prog=parser.prog
    )


def _add_cache(parser: argparse.ArgumentParser) -> None:
    commands = _add_commands(parser)
    run_by_name = {
        "dir": ("show_directory", "print where the cache is"),
        "size": ("show_size", "print how much space it takes"),
        "list": ("show_entries", "print what is in it, one line each"),
        "verify": ("verify", "hash all of it; exit code 1 if anything is wrong"),
        "gc": ("collect", "remove what the dead left, and what is too old or too much"),
        "clear": ("clear", "remove all that no running build uses"),
    }
    for name, (run, help_text) in run_by_name.items():
        command = commands.add_parser(name, help=help_text)
        options.add_cache_directory(command)
        command.set_defaults(run=_late("cache", run))
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


def _add_help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="default: list the topics")
    parser.set_defaults(run=_late("help", "show_topic"))


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="an error code, as `header-missing`")
    parser.set_defaults(run=_late("help", "explain_code"))


COMMANDS = {
    "build": (_add_build, "build projects and sdists (may be left out)"),
    "metadata": (_add_metadata, "print a project's core metadata as JSON"),
    "lock": (_add_lock, "write down what builds need, with hashes"),
    "fetch": (_add_fetch, "put what is locked into the cache"),
    "unpack": (_add_unpack, "unpack an sdist, whole or not at all"),
    "cache": (_add_cache, "look at the cache, check it, make it smaller"),
    "help": (_add_help, "show a reference text"),
    "explain": (_add_explain, "explain an error code"),
}


class _Parser(argparse.ArgumentParser):
    """Takes the default of every option from the environment: WHEELFORGE_ and the option's name."""

    def __init__(self, **facts: Any) -> None:  # ruff: ignore[any-type]
        # Each option is tried on a formatter, which would ask each time how wide the terminal is.
        super().__init__(**facts, formatter_class=partial(argparse.HelpFormatter, width=80))

    def format_help(self) -> str:
        self.formatter_class = argparse.HelpFormatter
        return super().format_help()

    def format_usage(self) -> str:
        self.formatter_class = argparse.HelpFormatter
        return super().format_usage()

    def add_argument(self, *names: str, **facts: Any) -> argparse.Action:  # ruff: ignore[any-type]
        action = super().add_argument(*names, **facts)
        given = os.environ.get(f"WHEELFORGE_{names[-1].lstrip('-').replace('-', '_').upper()}")
        if given is not None and names[-1].startswith("--"):
            default = _read_default(action, given, facts.get("action", "store"))
            self.set_defaults(**{action.dest: default})
        return action


def _read_default(action: argparse.Action, given: str, kind: str) -> object:
    if kind == "append":
        return [action.type(word) if callable(action.type) else word for word in given.split()]
    if action.nargs != 0:
        return given  # which argparse then reads as it would on the command line
    if not parse_flag(given):
        return action.default
    return [action.const] if kind == "append_const" else action.const


class _Version(argparse.Action):
    """Prints the version."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"wheelforge {VERSION}\n")
        parser.exit()
