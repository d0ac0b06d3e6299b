"""The options of a server, and of those that let one build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import (
    absolute_path,
    parse_count,
    parse_listener,
    parse_platform,
    parse_policy,
    parse_sandbox,
    parse_seconds,
    parse_server,
    parse_size,
    parse_target,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from wheelforge.cli.argument_types import Options


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
        "--shared-cache",
        type=parse_size,
        metavar="SIZE",
        help="be a remote cache too, of at most this size: 20GB",
    )
    _add_lifetime(group)
    _add_targets(group)


def _add_lifetime(group: Options) -> None:
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


def _add_targets(group: Options) -> None:
    group.add_argument(
        "--target",
        dest="targets",
        type=parse_target,
        action="append",
        metavar="NAME=PYTHON",
        help="let clients build with this Python by that name (repeatable)",
    )
    group.add_argument(
        "--target-sandbox",
        dest="target_sandboxes",
        type=parse_sandbox,
        action="append",
        metavar="TARGET=KIND",
        help="have another `--sandbox` for the builds of this target (repeatable)",
    )


def add_index_serving(parser: argparse.ArgumentParser) -> None:
    """Add how the index of wheels on demand is served."""
    group = parser.add_argument_group("wheels on demand")
    group.add_argument(
        "--policy",
        type=parse_policy,
        action="append",
        metavar="[TARGET][/PROJECT=]POLICY",
        help="build for pages: overlay (nothing), latest (default), wanted or source (repeatable)",
    )
    group.add_argument(
        "--open-index",
        action="store_true",
        help="let clients of the network use it without a token",
    )
    group.add_argument(
        "--allow",
        action="append",
        metavar="NAME",
        help="build for pages only projects of this name or pattern (repeatable)",
    )
    group.add_argument(
        "--strict",
        action="store_true",
        help="refuse installers the sdists that could not be built, with the reason",
    )
    group.add_argument(
        "--proxy-files",
        action="store_true",
        help="pass on the files of the index, checked and kept, instead of links to them",
    )
    group.add_argument(
        "--repair",
        type=parse_platform,
        action="append",
        metavar="[TARGET=]PLATFORM",
        help="make Linux wheels fit for manylinux_2_28 or the like, by auditwheel (repeatable)",
    )
    group.add_argument(
        "--page-wait",
        type=parse_seconds,
        default=1200.0,
        metavar="SECONDS",
        help="answer a page after this time, whatever is still built (default: 20m)",
    )


def add_wanting(parser: argparse.ArgumentParser) -> None:
    """Add which releases a server is to have, and for which of its Pythons."""
    parser.add_argument(
        "requirements", nargs="*", metavar="REQUIREMENT", help="a release, as `six==1.17.0`"
    )
    parser.add_argument(
        *("-r", "--requirement"),
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="a requirements file, a pylock.toml or a uv.lock (repeatable)",
    )
    parser.add_argument(
        "--target", metavar="NAME", help="a target of the server (default: its first one)"
    )
    parser.add_argument(
        "--name", metavar="NAME", help="the name of the set (default: a digest of what is wanted)"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait until the set is ready; fail if it is not"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server",
        dest="address",
        type=parse_server,
        metavar="ADDRESS",
        help="the server at unix:PATH or http://HOST:PORT",
    )
    _add_token_file(group.add_argument)


def _add_token_file(add_argument: Callable[..., object]) -> None:
    add_argument(
        "--server-token-file",
        type=absolute_path,
        metavar="FILE",
        help="show the token of this file to a server on the network",
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add which server is to do it."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server",
        type=parse_server,
        metavar="ADDRESS",
        help="let the server at unix:PATH or http://HOST:PORT do it (see `wheelforge help serve`)",
    )
    _add_token_file(group.add_argument)
    group.add_argument(
        "--server-required", action="store_true", help="fail if it cannot, instead of doing it here"
    )
