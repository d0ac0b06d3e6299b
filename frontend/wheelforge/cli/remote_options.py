"""The options of caches that are shared with other machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import absolute_path, parse_remote, parse_seconds

if TYPE_CHECKING:
    import argparse

    from wheelforge.settings import RemoteSettings

_LEVELS = ("none", "files", "tcp-off", "strict")


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add which caches are shared, and whom what is in them is trusted to."""
    group = parser.add_argument_group("remote caches")
    group.add_argument(
        "--remote-cache",
        type=parse_remote,
        action="append",
        metavar="URL",
        help="look for wheels there too: http:, s3:, gs:, az: or a directory, `?read-only` at the"
        " end (repeatable, in order)",
    )
    group.add_argument(
        "--remote-key",
        type=absolute_path,
        metavar="FILE",
        help="write wheels to remote caches too, signed with this private key",
    )
    group.add_argument(
        "--remote-trust",
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="take from remote caches what this public key has signed (repeatable)",
    )
    group.add_argument(
        "--remote-sandbox",
        choices=_LEVELS,
        default="strict",
        metavar="LEVEL",
        help="write wheels that were built in a sandbox of this level at least: strict, tcp-off, "
        "files or none (default: strict)",
    )
    group.add_argument(
        "--remote-timeout",
        type=parse_seconds,
        default=10.0,
        metavar="SECONDS",
        help="wait so long for an answer of a remote cache (default: 10)",
    )


def read_remote(options: argparse.Namespace) -> RemoteSettings:
    """Return what ``options`` say of remote caches; the key is read before anything is built."""
    from wheelforge.settings import RemoteSettings

    urls = tuple(getattr(options, "remote_cache", None) or ())
    if not urls:
        return RemoteSettings()
    from wheelforge.cli.keys import list_trusted, needing_signatures

    signer = None
    if options.remote_key is not None:
        from wheelforge.provenance.envelope import read_signer

        with needing_signatures():
            signer = read_signer(options.remote_key, "--remote-key")
    return RemoteSettings(
        urls=urls,
        signer=signer,
        trusted=(*(options.remote_trust or ()), *list_trusted()),
        least_sandbox=options.remote_sandbox,
        timeout_seconds=options.remote_timeout,
        variables=dict(os.environ),
    )
