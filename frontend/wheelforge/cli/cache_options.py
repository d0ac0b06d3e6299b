"""Options about the cache, about wheels of earlier builds that are in it, and of its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import (
    absolute_path,
    parse_days,
    parse_output_directory,
    parse_rate,
    parse_size,
    parse_time,
)

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


def add_cache_verify(parser: argparse.ArgumentParser) -> None:
    """Add what `cache verify` does about damage."""
    add_cache_directory(parser)
    parser.add_argument("--repair", action="store_true", help="mend or remove what is wrong")


def add_cache_gc(parser: argparse.ArgumentParser) -> None:
    """Add what the collector leaves."""
    add_cache_directory(parser)
    parser.add_argument(
        "--max-size", type=parse_size, metavar="SIZE", help="leave at most this much: 5GB"
    )
    parser.add_argument(
        "--max-age",
        type=parse_days,
        metavar="AGE",
        help="remove what was unused for longer: 30d",
    )


def add_cache_keygen(parser: argparse.ArgumentParser) -> None:
    """Add where a key is written."""
    parser.add_argument(
        "key_file", type=absolute_path, metavar="FILE", help="the private key; FILE.pub: the public"
    )


def add_cache_export(parser: argparse.ArgumentParser) -> None:
    """Add the file that is written, and what is left out of it."""
    parser.add_argument("file", type=absolute_path, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--used-since",
        type=parse_time,
        metavar="TIME",
        help="leave out what was not used since 2026-05-01, or in the last 7 days",
    )
    add_cache_directory(parser)


def add_cache_import(parser: argparse.ArgumentParser) -> None:
    """Add the file that is read."""
    parser.add_argument("file", type=absolute_path, metavar="FILE", help="as `export` writes it")
    add_cache_directory(parser)


def add_cache_trust(parser: argparse.ArgumentParser) -> None:
    """Add the key that is trusted."""
    parser.add_argument(
        "key_file", type=absolute_path, metavar="FILE", help="a public key, as `keygen` writes it"
    )
