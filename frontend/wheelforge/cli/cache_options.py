"""Options about the cache, and about wheels of earlier builds that are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import parse_output_directory, parse_rate, parse_size

if TYPE_CHECKING:
    import argparse

    from wheelforge.cli.argument_types import Options


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add where the cache is."""
    group = parser.add_argument_group("cache")
    places = group.add_mutually_exclusive_group()
    add_cache_directory(places)
    places.add_argument(
        "--no-cache", action="store_true", help="use a temporary cache, deleted afterwards"
    )
    group.add_argument(
        "--cache-max-size",
        type=parse_size,
        metavar="SIZE",
        help="shrink the cache to this size afterwards: 5GB",
    )
    group.add_argument(
        "--stage-dir",
        type=parse_output_directory,
        metavar="DIR",
        help="run builds in this directory, such as one in memory (default: in the cache)",
    )


def add_reuse(parser: argparse.ArgumentParser) -> None:
    """Add which wheels of earlier builds are used again."""
    group = parser.add_argument_group("earlier builds")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--no-reuse", action="store_true", help="neither use wheels of earlier builds nor keep any"
    )
    which.add_argument(
        "--reuse",
        action="store_true",
        help="use those of directories too, if nothing in the directory has changed",
    )
    group.add_argument(
        "--reuse-policy",
        choices=("exact", "frozen", "abi"),
        default="exact",
        help="frozen: leave build requirements as the last build had them, and ask no index;"
        " abi: only those count that the wheel requires at run time too (default: exact)",
    )
    group.add_argument(
        "--rebuild",
        nargs="?",
        const=":all:",
        action="append",
        metavar="NAME",
        help="build anew, and keep the result; with a NAME only that project (repeatable)",
    )
    group.add_argument(
        "--verify-reuse",
        type=parse_rate,
        default=0.0,
        metavar="RATE",
        help="build this share of what would be used again, and compare: 5%%",
    )


def add_cache_directory(parser: Options) -> None:
    """Add the one option of all commands that use a cache."""
    parser.add_argument(
        "--cache-dir",
        type=parse_output_directory,
        metavar="DIR",
        help="cache directory (default: the platform's)",
    )
