"""The server that was named cannot do a command, or was named by a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.client import is_on_network, run_remotely
from wheelforge.cli.console import Console
from wheelforge.errors import ServiceError
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelforge.cli.command_options import CommandOptions


def try_server(options: CommandOptions, words: Sequence[str], refusal: str) -> int | None:
    """Return the exit code if a server does the command; say why it does not, if it was asked."""
    if not refusal:
        code, refusal = _try(options, words)
        if code >= 0:
            return code
    address = redact(options.server)
    if options.server_required:
        raise ServiceError("server-unusable", address, refusal)
    text = f"the server `{address}` does not do this: {refusal}; it is done here"
    Console(getattr(options, "verbosity", 0)).say("note", text)
    return None


def _try(options: CommandOptions, words: Sequence[str]) -> tuple[int, str]:
    if not is_on_network(options.server):
        return run_remotely(words, options.server)
    from wheelforge.cli.network import try_network

    return try_network(options)
