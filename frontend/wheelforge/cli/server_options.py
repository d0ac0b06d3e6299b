"""The options of a server, and of those that let one build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import (
    absolute_path,
    parse_count,
    parse_listener,
    parse_seconds,
    parse_target,
)

if TYPE_CHECKING:
    import argparse


def add_listening(parser: argparse.ArgumentParser) -> None:
    """Add where a server listens, and how it lives."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--socket",
        type=absolute_path,
        metavar="PATH",
        help="listen there (default: in the cache directory)",
    )
    group.add_argument(
        "--listen",
        type=parse_listener,
        metavar="HOST:PORT",
        help="listen on the network as well, for clients with a token",
    )
    group.add_argument(
        "--token-file",
        type=absolute_path,
        metavar="FILE",
        help="roles and tokens, one a line; made if absent (default: in the cache directory)",
    )
    group.add_argument(
        "--host",
        dest="hosts",
        action="append",
        metavar="NAME",
        help="be called by this name as well, as by a proxy (repeatable)",
    )
    group.add_argument(
        *("-j", "--jobs"), type=parse_count, metavar="N", help="builds at a time (default: cores)"
    )
    group.add_argument(
        "--detach", action="store_true", help="go on in the background once it is ready"
    )
    group.add_argument(
        "--idle",
        type=parse_seconds,
        default=0.0,
        metavar="SECONDS",
        help="end after 900 or 15m without clients and builds (default: never)",
    )
    group.add_argument(
        "--target",
        dest="targets",
        type=parse_target,
        action="append",
        metavar="NAME=PYTHON",
        help="let clients build with this Python by that name (repeatable)",
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add which server is to do it."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server",
        metavar="ADDRESS",
        help="let the server at unix:PATH or http://HOST:PORT do it (see `wheelforge help serve`)",
    )
    group.add_argument(
        "--server-token-file",
        type=absolute_path,
        metavar="FILE",
        help="show the first token of this file to a server on the network",
    )
    group.add_argument(
        "--server-required", action="store_true", help="fail if it cannot, instead of doing it here"
    )
