"""The options of how hooks are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import parse_count, parse_seconds, parse_size

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.cli.argument_types import Options
    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.hooks.sandbox.settings import SandboxSettings

_KEEP = ("never", "failed", "always")
_COMPILER_CACHES = ("auto", "off", "ccache", "sccache")
_LEVELS = ("none", "files", "tcp-off", "strict")


def add_hooks(parser: Options) -> None:
    """Add how long hooks may take, what they leave behind, and what they can reach."""
    add_timeout(parser)
    parser.add_argument(
        "--keep",
        choices=_KEEP,
        default="never",
        help="keep the build directory, with a script that runs a failed hook again "
        "(default: never)",
    )
    parser.add_argument(
        "--compiler-cache",
        choices=_COMPILER_CACHES,
        default="off",
        help="run compilers through ccache or sccache (default: off)",
    )
    add_sandbox(parser)
    add_limits(parser)


def add_timeout(parser: Options) -> None:
    """Add how long a hook may take."""
    parser.add_argument(
        "--timeout", type=parse_seconds, metavar="SECONDS", help="stop hooks after 600 or 10m"
    )


def add_sandbox(parser: Options, default: str = "none") -> None:
    """Add which files and networks hooks can reach."""
    parser.add_argument(
        "--sandbox",
        default=default,
        metavar="KIND",
        help="run hooks in a sandbox: auto, strict, tcp-off, none, or by a command such as "
        f"'firejail --net=none' (default: {default})",
    )
    parser.add_argument(
        "--require-sandbox",
        choices=_LEVELS,
        default="none",
        metavar="LEVEL",
        help="build nothing if the sandbox promises less: strict, tcp-off, files "
        "or none (default: none)",
    )


def add_limits(parser: Options) -> None:
    """Add how much of the machine hooks may use."""
    parser.add_argument(
        "--max-memory", type=parse_size, metavar="SIZE", help="for each process of a hook: 4GB"
    )
    parser.add_argument(
        "--max-processes",
        type=parse_count,
        metavar="N",
        help="while a hook runs, of the user altogether; not for root",
    )
    parser.add_argument(
        "--max-file-size", type=parse_size, metavar="SIZE", help="for each file of a hook: 1GB"
    )


def read_sandbox(options: CommandOptions) -> SandboxSettings:
    """Return the sandbox that ``options`` ask for."""
    from wheelforge.hooks.sandbox.settings import SandboxSettings

    return SandboxSettings(
        wanted=options.sandbox,
        required=options.require_sandbox,
        most_memory=options.max_memory,
        most_processes=options.max_processes,
        largest_file=options.max_file_size,
        hidden=_list_hidden(options),
    )


def _list_hidden(options: CommandOptions) -> tuple[Path, ...]:
    """Return the keys that are signed with, by all names that they have."""
    paths = (getattr(options, name, None) for name in ("sign_key", "remote_key"))
    return tuple(dict.fromkeys(name for path in paths if path for name in (path, path.resolve())))
