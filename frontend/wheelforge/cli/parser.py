"""The commands and their options."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from wheelforge.cli import (
    cache_options,
    cluster_options,
    hook_options,
    options,
    provenance_options,
    remote_options,
    server_options,
)
from wheelforge.cli.argument_types import (
    absolute_path,
    parse_output_directory,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.cli.command_options import CommandOptions

GROUPS = ("cache", "config", "overrides", "server")
"""Words that begin commands of two words."""


_PREPARED: dict[str, argparse.ArgumentParser] = {}


def prepare_parsers() -> None:
    """Build the parsers of all commands, each for one use; for a process that is forked for each.

    They take a tenth of the time of a small build.
    """
    for name in COMMANDS:
        parser = build_parser(name)
        parser.format_usage()
        _PREPARED[name] = parser


def build_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    if name in _PREPARED:
        return _PREPARED.pop(name)
    command = COMMANDS[name]
    parser = _Parser(
        prog=f"wheelforge {name}",
        description=f"{command.text[0].upper()}{command.text[1:]}.",
        epilog=_EPILOGS.get(name, ""),
        allow_abbrev=False,
        # Each option is tried on a formatter, which would ask each time how wide the terminal is.
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=80),
    )
    command.add_options(parser)
    options.add_configuration(parser)
    parser.set_defaults(run=command.run)
    return parser


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong with the words, in one sentence."""

    _usage = ""

    def format_usage(self) -> str:
        # Two passes over the words each ask for it, before anything can be wrong with them.
        self._usage = self._usage or super().format_usage()
        return self._usage

    def error(self, message: str) -> NoReturn:
        from wheelforge.cli.mistakes import reject_value

        reject_value(message, self.prog)

    def format_help(self) -> str:
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()


def show_commands(_: CommandOptions) -> None:
    """Print what there is: the commands, examples, and where to read on."""
    width = max(map(len, COMMANDS))
    commands = [f"  {name:{width}}  {text}\n" for name, (_, text, _) in COMMANDS.items()]
    sys.stdout.write(
        "usage: wheelforge [COMMAND] [SRC ...] [options]\n\n"
        "Build wheels and sdists, one or many, safely and in parallel.\n\n"
        f"commands:\n{''.join(commands)}\n"
        f"{_EPILOGS['build']}\n\n"
        "`wheelforge COMMAND --help` lists the options of a command.\n"
    )


def _add_build(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    options.add_kinds(parser)
    options.add_batch(parser)
    options.add_reports(parser)
    provenance_options.add_provenance(parser)
    _add_making(parser)
    cluster_options.add_cluster(parser)
    server_options.add_server(parser)


def _add_metadata(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    _add_making(parser)
    server_options.add_server(parser)
    parser.set_defaults(kinds=None, outdir=None)


_ONE_BY_ONE = {
    **dict.fromkeys(("no_binary", "shard")),
    **dict.fromkeys(("with_deps", "resume", "fail_fast"), False),
}
"""For a batch whose sources are all built, and nothing else."""


def _add_lock(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    parser.add_argument(
        *("-o", "--output"),
        type=absolute_path,
        default="pylock.build.toml",
        metavar="FILE",
        help="file to write (default: pylock.build.toml)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the lock would change"
    )
    group = parser.add_argument_group("batches")
    options.add_many(group)
    group.add_argument(
        "--keep-going", action="store_true", help="lock the others if a source fails"
    )
    _add_making(parser, takes_lock=False)
    server_options.add_server(parser)
    parser.set_defaults(kinds=None, outdir=None, locked=None, **_ONE_BY_ONE)


def _add_making(parser: argparse.ArgumentParser, *, takes_lock: bool = True) -> None:
    """Add all that every command has which asks a backend for something."""
    options.add_building(parser)
    options.add_isolation(parser)
    options.add_requirements(parser, takes_lock=takes_lock)
    options.add_index(parser)
    cache_options.add_cache(parser)
    cache_options.add_reuse(parser)
    remote_options.add_remote(parser)
    options.add_verbosity(parser)


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--locked", type=absolute_path, required=True, metavar="FILE", help="the lock"
    )
    options.add_index(parser)
    cache_options.add_cache_directory(parser)
    options.add_verbosity(parser)


def _add_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "archive", type=absolute_path, metavar="ARCHIVE", help="a .tar.gz or .zip file"
    )
    parser.add_argument(
        "destination",
        type=parse_output_directory,
        metavar="DIR",
        help="a directory, absent or empty",
    )
    options.add_links(parser)
    options.add_verbosity(parser)


def _add_config_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "command", nargs="?", default="build", metavar="COMMAND", help="default: build"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_overrides_check(parser: argparse.ArgumentParser) -> None:
    options.add_sources(parser)
    _add_making(parser)
    parser.set_defaults(kinds=None, outdir=None)


def _add_overrides_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("release", metavar="NAME[==VERSION]", help="the release to explain")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options.add_overrides(parser)
    options.add_pythons(parser)
    cache_options.add_cache_directory(parser)


def _add_why(parser: argparse.ArgumentParser) -> None:
    text = "a wheel, an sdist, or the name of a project, with its version or without"
    parser.add_argument("build", metavar="BUILD", help=text)
    parser.add_argument("other", nargs="?", metavar="OTHER", help="a build to compare it with")
    parser.add_argument("--json", action="store_true", help="print JSON")
    cache_options.add_cache_directory(parser)
    server_options.add_server(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    provenance_options.add_verifying(parser)
    group = parser.add_argument_group("builds")
    options.add_pythons(group)
    options.add_overrides(group)
    hook_options.add_timeout(group)
    hook_options.add_sandbox(group)
    options.add_index(parser)
    cache_options.add_cache_directory(parser)
    options.add_verbosity(parser)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    options.add_pythons(parser)
    options.add_index(parser)
    cache_options.add_cache_directory(parser)


def _add_help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="default: list the topics")


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "code", metavar="CODE", help="an error code or a rule: `header-missing`, `F21`"
    )


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=["bash", "zsh", "fish"], metavar="SHELL", help="bash, zsh or fish"
    )


def _add_cache_facts(parser: argparse.ArgumentParser) -> None:
    cache_options.add_cache_directory(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    server_options.add_listening(parser)
    server_options.add_index_serving(parser)
    cluster_options.add_cluster(parser)
    provenance_options.add_provenance(parser, repeats=False)
    group = parser.add_argument_group("builds")
    options.add_overrides(group)
    hook_options.add_timeout(group)
    hook_options.add_sandbox(group, "auto")
    options.add_links(group)
    options.add_requirements(parser)
    options.add_index(parser)
    cache_options.add_cache_directory(parser)
    remote_options.add_remote(parser)
    options.add_verbosity(parser)


def _add_worker(parser: argparse.ArgumentParser) -> None:
    cluster_options.add_worker(parser)
    cache_options.add_cache_directory(parser)
    options.add_verbosity(parser)


def _add_want(parser: argparse.ArgumentParser) -> None:
    server_options.add_wanting(parser)
    options.add_verbosity(parser)


def _add_server_stop(parser: argparse.ArgumentParser) -> None:
    cache_options.add_cache_directory(parser)
    parser.add_argument("--drain", action="store_true", help="let what is at work end by itself")


class Command(NamedTuple):
    """A command: its options, a line about it, and the module and function that run it."""

    add_options: Callable[[argparse.ArgumentParser], None]
    text: str
    run: str
    """Imported when the command is run: no command needs what the others do."""


COMMANDS = {
    "build": Command(
        _add_build, "build wheels and sdists (the default command)", "build.run_build"
    ),
    "metadata": Command(
        _add_metadata, "print a project's core metadata as JSON", "commands.run_metadata"
    ),
    "lock": Command(_add_lock, "pin build requirements by hash", "lock.run_lock"),
    "fetch": Command(
        _add_fetch, "download everything in a lock into the cache", "commands.run_fetch"
    ),
    "unpack": Command(_add_unpack, "unpack an sdist safely", "commands.run_unpack"),
    "cache dir": Command(
        cache_options.add_cache_directory, "print the cache directory", "cache.show_directory"
    ),
    "cache size": Command(_add_cache_facts, "print the size of the cache", "cache.show_size"),
    "cache list": Command(_add_cache_facts, "list the entries of the cache", "cache.show_entries"),
    "cache verify": Command(
        cache_options.add_cache_verify, "check every file of the cache", "cache.verify"
    ),
    "cache gc": Command(
        cache_options.add_cache_gc, "remove leftovers and old entries", "cache.collect"
    ),
    "cache clear": Command(
        cache_options.add_cache_directory, "remove everything that is not in use", "cache.clear"
    ),
    "cache export": Command(
        cache_options.add_cache_export,
        "write the wheels of the cache into one file",
        "cache.export",
    ),
    "cache import": Command(
        cache_options.add_cache_import, "add what is in such a file", "cache.import_file"
    ),
    "cache keygen": Command(
        cache_options.add_cache_keygen,
        "make a key that signs wheels of remote caches",
        "keys.make_key",
    ),
    "cache trust": Command(
        cache_options.add_cache_trust,
        "use wheels of remote caches that a key has signed",
        "keys.trust",
    ),
    "config show": Command(
        _add_config_show, "show each value in force and where it comes from", "config.show"
    ),
    "overrides check": Command(
        _add_overrides_check, "apply overrides to sources and build nothing", "overrides.check"
    ),
    "overrides explain": Command(
        _add_overrides_explain, "show the overrides of a release", "overrides.explain"
    ),
    "why": Command(_add_why, "tell why a wheel was built and not used again", "why.explain"),
    "verify": Command(
        _add_verify, "build wheels again from their statements, and compare", "verify.run_verify"
    ),
    "serve": Command(_add_serve, "be a server that builds for its clients", "serve.run_serve"),
    "want": Command(_add_want, "have a server build a set of releases", "want.run_want"),
    "server status": Command(
        _add_cache_facts, "show what the server is doing", "serve.show_status"
    ),
    "server stop": Command(_add_server_stop, "stop the server", "serve.stop"),
    "worker": Command(_add_worker, "build for the batches of a Dask cluster", "worker.run_worker"),
    "doctor": Command(_add_doctor, "check what builds need of this machine", "doctor.run"),
    "help": Command(_add_help, "show a reference text", "help.show_topic"),
    "explain": Command(_add_explain, "explain an error code", "help.explain_code"),
    "completion": Command(
        _add_completion, "print a script that completes words in a shell", "completion.show_script"
    ),
}
_EPILOGS = {
    "build": """\
examples:
  wheelforge                                 the project in this directory: sdist and wheel
  wheelforge sdists/*.tar.gz -o wheels       wheels of many sdists
  wheelforge six==1.17.0                     a release on the index
  wheelforge -r requirements.txt --with-deps -o wheels

variables:
  WHEELFORGE_CACHE_DIR=DIR                   the same as --cache-dir DIR
  WHEELFORGE_OFFLINE=1                       the same as --offline
  WHEELFORGE_PYTHON="3.11 3.12"              blanks separate repeated values

`wheelforge help` lists the reference texts, `wheelforge explain CODE` explains
an error.""",
    "serve": "`wheelforge help serve` tells how servers are used.",
    "worker": "`wheelforge help cluster` tells how clusters are used.",
    "lock": "`wheelforge help build` tells how locks are used.",
    "cache gc": "`wheelforge help cache` tells what is kept.",
}
