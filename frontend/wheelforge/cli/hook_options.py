"""The options of how hooks are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import parse_seconds

if TYPE_CHECKING:
    from wheelforge.cli.options import Options

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
        help="keep the build directory, with a script that runs a failed hook again",
    )
    parser.add_argument(
        "--compiler-cache",
        choices=_COMPILER_CACHES,
        default="off",
        help="run compilers through ccache or sccache (default: off)",
    )
    add_sandbox(parser)


def add_timeout(parser: Options) -> None:
    """Add how long a hook may take."""
    parser.add_argument(
        "--timeout", type=parse_seconds, metavar="SECONDS", help="stop hooks after 600 or 10m"
    )


def add_sandbox(parser: Options) -> None:
    """Add which files and networks hooks can reach."""
    parser.add_argument(
        "--sandbox",
        default="none",
        metavar="KIND",
        help="run hooks in a sandbox: auto, strict, tcp-off, none, or by a command such as "
        "'firejail --net=none' (default: none)",
    )
    parser.add_argument(
        "--require-sandbox",
        choices=_LEVELS,
        default="none",
        metavar="LEVEL",
        help="build nothing if the sandbox promises less: strict, tcp-off or files",
    )
