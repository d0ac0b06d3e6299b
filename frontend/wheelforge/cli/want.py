"""The command `want`: has a server build a set of releases, and says where they are served."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.batch.locked_inputs import LockedFile, is_locked_file
from wheelforge.cli.console import Console
from wheelforge.errors import UsageError
from wheelforge.resolve.requirement_files import RequirementLine, read_requirement_files
from wheelforge.service.access import load_tokens
from wheelforge_isolation.formats.requirements import find_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wheelforge.batch.locked_inputs import LockedInput
    from wheelforge.cli.command_options import CommandOptions

    Facts = dict[str, Any]

_WAIT_SECONDS = 20
_NO_RELEASE = "is no release of an index"


def run_want(options: CommandOptions) -> int:
    """Announce a set; with `--wait`, return once it is ready or has failed."""
    if not (options.requirement or options.requirements):
        reason = "name releases, or a file with `-r`"
        raise UsageError("option-invalid", "want", reason)
    server, console = _Server(options), Console(options.verbosity)
    target = server.ask("GET", f"/api/v1/targets/{options.target or 'default'}")
    request = _make_request(options, target["markers"], console)
    announced = server.ask(
        "POST", "/api/v1/sets", {**request, "target": target["name"], "name": options.name or ""}
    )
    path = f"/api/v1/sets/{announced['name']}"
    while options.wait and announced["state"] == "running":
        announced = server.ask("GET", f"{path}?wait={_WAIT_SECONDS}")
    if options.json:
        sys.stdout.write(json.dumps(announced, indent=2) + "\n")
    else:
        console.print_data(_describe(announced, server.url))
    return 1 if announced["state"] == "failed" else 0


class _Server:
    """The server that was named, over the network or a socket of this machine."""

    def __init__(self, options: CommandOptions) -> None:
        address = options.address or ""
        self._socket = address.removeprefix("unix:") if address.startswith("unix:") else ""
        if not address:
            reason = "name the server with `--server`, as `unix:PATH` or `http://HOST:PORT`"
            raise UsageError("option-invalid", "--server", reason)
        path = options.server_token_file
        self._token = next(iter(load_tokens(path))) if path else ""
        self.url = "" if self._socket else address.rstrip("/")

    def ask(self, method: str, target: str, document: object = None) -> Facts:
        """Return the answer to a question; a problem is an error."""
        if self._socket:
            from wheelforge.service.client import ask

            return ask(Path(self._socket), method, target, document)
        from wheelforge.service.network_client import RemoteServer

        return RemoteServer(self.url, self._token).ask(method, target, document)


def _make_request(options: CommandOptions, markers: Mapping[str, str], console: Console) -> Facts:
    """Return the releases that are named; a lock must be alone, as nothing is added to it."""
    files: list[Path] = options.requirement or []
    locks = [path for path in files if is_locked_file(path)]
    if not locks:
        lines = [
            line
            for line in read_requirement_files(files, os.environ)
            if isinstance(line, RequirementLine)
        ]
        return _describe_lines(lines, options.requirements)
    if len(files) > 1 or options.requirements:
        raise UsageError("option-invalid", "-r", f"`{locks[0]}` is a lock, which stands alone")
    found = LockedFile(locks[0]).select(markers)
    local = [each.name for each in found if not _is_release(each)]
    if local:
        console.say("note", f"left out, as no index has them: {', '.join(map(repr, local))}")
    pins = {"==".join(each.name.split()): each.hashes for each in found if _is_release(each)}
    hashes = {text: list(stated) for text, stated in pins.items() if stated}
    return {"requirements": [*pins], "hashes": hashes, "is_closed": True}


def _describe_lines(lines: Iterable[RequirementLine], named: Iterable[str]) -> Facts:
    lines = list(lines)
    for line in lines:
        if not _names_release(line.text):
            raise line.make_error(f"`{line.text}` {_NO_RELEASE}")
    for text in named:
        if not _names_release(text):
            raise UsageError("option-invalid", "REQUIREMENT", f"`{text}` {_NO_RELEASE}")
    wanted = {line.text: list(line.hashes) for line in lines if not line.is_constraint}
    limits = {line.text: list(line.hashes) for line in lines if line.is_constraint}
    hashes = {text: found for text, found in {**wanted, **limits}.items() if found}
    return {"requirements": [*wanted, *named], "constraints": [*limits], "hashes": hashes}


def _names_release(text: str) -> bool:
    found = find_requirement(text)
    return found is not None and not found.url


def _is_release(each: LockedInput) -> bool:
    """Return whether a package of a lock is from an index, or has nothing but wheels."""
    source = each.source
    is_there = source is None or (isinstance(source, str) and "@ git+" not in source)
    return is_there and len(each.name.split()) > 1


def _describe(announced: Facts, url: str) -> str:
    """Return the set in lines for people."""
    lines = [f"set {announced['name']} for {announced['target']}: {announced['state']}"]
    for package in announced["packages"]:
        release = f"{package['name']} {package['version']}"
        if package.get("error"):
            lines.append(f"  {release}: {package['error']}")
        else:
            repaired = f", repaired for {package['repaired']}" if package.get("repaired") else ""
            lines.append(f"  {release}: {package['file']}{', built' * package['built']}{repaired}")
    if announced["error"]:
        lines.append(f"  {announced['error']}")
    if announced["state"] != "failed":
        lines.append(f"index: {url}{announced['path']}")
    return "\n".join(lines) + "\n"
