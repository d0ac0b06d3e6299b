"""The commands `serve` and `server`: start a server, show it, stop it.

Only `serve` ever starts one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wheelforge.batch.machine import count_cores
from wheelforge.build.targets import find_layout, read_index_settings
from wheelforge.cli.background import go_to_background, write_to_log
from wheelforge.cli.cluster_options import read_cluster
from wheelforge.cli.console import Console
from wheelforge.cli.provenance_options import read_provenance
from wheelforge.errors import ServiceError, UsageError
from wheelforge.hooks.sandbox.ladder import LEVELS
from wheelforge.service.access import LOOPBACK
from wheelforge.service.activation import find_network, find_socket, read_listeners
from wheelforge.service.home import Home, choose_socket
from wheelforge.service.zygote import Zygote
from wheelforge.settings import Settings
from wheelforge_isolation import claim_cache
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.service.server import Server, ServerOptions
    from wheelforge.service.simple.rules import IndexRules

_OF_BUILDS = (
    *("--index-url", "--extra-index-url", "--find-links", "--no-index", "--offline"),
    *("--overrides", "--build-constraint", "--require-hashes", "--exclude-newer", "--era"),
    *("--timeout", "--links", "--require-sandbox", "--remote-cache", "--remote-key"),
    *("--remote-trust", "--remote-sandbox", "--remote-timeout"),
    *("--provenance", "--sign-key", "--statement-form", "--sbom", "--executor", "--scheduler"),
    *("--scheduler-ca", "--scheduler-cert", "--scheduler-key", "--shared-dir"),
)
"""Options of a server that are those of the builds that it is asked for over its API."""
_PATIENCE_SECONDS = 600
_FILES_OF_PYPI = ("https://files.pythonhosted.org/packages/",)


def run_serve(options: CommandOptions) -> int:
    """Serve until it is told to end."""
    _check_platform()
    _check_cluster(options)
    listeners = read_listeners(os.environ)
    _check_network(options, listeners)
    layout = find_layout(options.cache_dir)
    layout.prepare()
    claim_cache(layout)
    home = Home.of(layout.root)
    home.prepare()
    if options.detach:
        code = go_to_background(home.log, [each.fileno() for each in listeners])
        if code is not None:
            if code == 0:
                Console(options.verbosity).say("note", f"in the background; log: `{home.log}`")
            return code
    _serve(options, home, listeners)
    return 0


def _check_platform() -> None:
    if not hasattr(os, "fork"):
        raise ServiceError("server-failed", "this platform cannot fork processes")
    try:
        for name in ("aiohttp", "jinja2"):
            import_module(name)
    except ImportError as error:
        raise ServiceError("extra-missing", "service", str(error)) from error


def _check_cluster(options: CommandOptions) -> None:
    """Refuse a cluster that builds of a server could not be handed to."""
    cluster = read_cluster(options)
    if cluster is None:
        return
    if not cluster.scheduler:
        reason = "a server hands builds to a `--scheduler` that is there already"
        raise UsageError("option-invalid", "--executor", reason)
    from wheelforge.batch.executors.dask import import_distributed

    import_distributed()


def _check_network(options: CommandOptions, listeners: Sequence[socket.socket]) -> None:
    """Refuse what is for clients of the network where there are none; as a default it may wait."""
    if options.listen or find_network(listeners):
        return
    for option, value in (
        ("--token-file", options.token_file),
        ("--host", options.hosts),
        ("--open-index", options.open_index),
    ):
        if value and option not in options.origins:
            raise UsageError("option-invalid", option, "it needs `--listen`")


def _serve(options: CommandOptions, home: Home, listeners: Sequence[socket.socket]) -> None:
    from wheelforge.cli import hosted

    read_provenance(options)  # a key that is none is told now

    def prepare() -> None:
        if options.detach:
            write_to_log(home.log)
        hosted.prepare()

    zygote = Zygote(prepare, partial(hosted.work, floor=_find_floor(options)), closed=listeners)
    from wheelforge.service.server import serve

    console = Console(options.verbosity)

    def on_ready(server: Server) -> None:
        left = len(server.runs.active)
        more = f"; {left} builds of an earlier server are taken up" if left else ""
        where = f"{server.address} and {server.url}" if server.url else server.address
        console.say("note", f"listening on {where}{more}")
        if server.url:
            tokens = escape_line(str(_find_token_file(options, home)))
            console.say("note", f"a browser asks for a password: a token of `{tokens}`")
        _notify("READY=1")
        if options.detach:
            write_to_log(home.log, is_ready=True)

    serve(_make_server_options(options, home, listeners, console), zygote, on_ready)


def _find_token_file(options: CommandOptions, home: Home) -> Path:
    return options.token_file or home.root / "tokens"


def _make_server_options(
    options: CommandOptions, home: Home, listeners: Sequence[socket.socket], console: Console
) -> ServerOptions:
    from wheelforge.service.access import read_tokens
    from wheelforge.service.server import ServerOptions

    path = find_socket(listeners) or options.socket or choose_socket(home, os.environ)
    network = find_network(listeners) or options.listen
    return ServerOptions(
        cache=find_layout(options.cache_dir).root,
        socket=path,
        jobs=options.jobs or count_cores(),
        idle_seconds=options.idle,
        targets=dict(options.targets or ()),
        words=[
            *_list_words(options),
            f"--sandbox={_choose_sandbox(options, options.sandbox, console)}",
        ],
        sandboxes=_choose_sandboxes(options, console),
        places=_list_places(options),
        listen=network,
        tokens=read_tokens(_find_token_file(options, home)) if network else {},
        hosts=tuple(options.hosts or ()),
        listeners=listeners,
        index_rules=_read_index_rules(options, network),
        shared_bytes=options.shared_cache or 0,
        has_log=bool(options.detach),
    )


def _find_floor(options: CommandOptions) -> str:
    """Return the level that was asked for by name: it binds commands of clients, too."""
    levels: tuple[str, str] = (options.require_sandbox, options.sandbox)
    return max((each for each in levels if each in LEVELS), key=LEVELS.index)


def _choose_sandboxes(options: CommandOptions, console: Console) -> dict[str, str]:
    """Return the sandboxes of the targets that have one of their own."""
    _check_targets(options, "--target-sandbox", options.target_sandboxes)
    return {
        target: _choose_sandbox(options, wanted, console)
        for target, wanted in options.target_sandboxes or ()
    }


def _check_targets(
    options: CommandOptions, option: str, given: Sequence[tuple[str, str]] | None
) -> None:
    """Refuse an option for a target that there is none of."""
    known = {name for name, _ in options.targets or ()}
    for target, _ in given or ():
        if target and target not in known:
            reason = f"there is no target `{target}`; name it with `--target`"
            raise UsageError("option-invalid", option, reason)


def _choose_sandbox(options: CommandOptions, wanted: str, console: Console) -> str:
    """Return the sandbox of builds over the API: a strict one where there is one, else a warning.

    Nothing is said where none is wanted.
    """
    from wheelforge.hooks.sandbox.ladder import choose_sandbox
    from wheelforge.service.requests import VARIABLES

    found = choose_sandbox(wanted, VARIABLES["PATH"], required=options.require_sandbox)
    if wanted != "none" and not found.reaches("strict"):
        text = f"hooks of builds over the API can reach more than they should: sandbox {found}"
        console.say("warning", text)
    if options.sign_key is not None and not found.reaches("files"):
        text = f"hooks can read the key that statements are signed with: sandbox {found}"
        console.say("warning", text)
    return "strict" if wanted == "auto" and found.reaches("strict") else wanted


def _read_index_rules(options: CommandOptions, network: tuple[str, int] | None) -> IndexRules:
    """Return how the index is served; strangers elsewhere may not have everything built."""
    from wheelforge.service.requests import VARIABLES
    from wheelforge.service.simple.rules import IndexRules

    _check_targets(options, "--repair", options.repair)
    allowed = tuple(options.allow or ())
    host = network[0] if network else ""
    if options.open_index and host and host not in LOOPBACK and not allowed:
        reason = f"on `{host}` anybody could have anything built; name the projects with `--allow`"
        raise UsageError("option-invalid", "--open-index", reason)
    places = Settings(
        variables=VARIABLES,
        index_url=options.index_url,
        extra_index_urls=tuple(options.extra_index_url or ()),
        no_index=options.no_index,
        exclude_newer=options.exclude_newer,
        offline=options.offline,
    )
    return IndexRules(
        settings=read_index_settings(places),
        policies=tuple(options.policy or ()),
        allowed=allowed,
        is_open=options.open_index,
        is_strict=options.strict,
        proxies_files=options.proxy_files,
        repairs=tuple(options.repair or ()),
        wait_seconds=options.page_wait,
    )


def _list_places(options: CommandOptions) -> tuple[str, ...]:
    """Return what a URL has to begin with that a client of the network may name."""
    given = (options.index_url, *(options.extra_index_url or ()), *(options.find_links or ()))
    indexes = [f"{url.rstrip('/')}/" for url in given if url and "://" in url]
    return (*indexes, *(() if options.no_index else _FILES_OF_PYPI))


def _notify(text: str) -> None:
    """Tell the service manager, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        import socket

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.connect(f"\0{address[1:]}" if address[0] == "@" else address)
            line.send(text.encode())


def _list_words(options: CommandOptions) -> list[str]:
    """Return the options for builds as words."""
    from wheelforge.cli.parser import build_parser

    words = [f"--cache-dir={find_layout(options.cache_dir).root}"]
    for action in build_parser("serve")._actions:  # ruff: ignore[private-member-access]
        name = next((name for name in action.option_strings if name in _OF_BUILDS), "")
        value = getattr(options, action.dest, None)
        if not name or value is None or value is False or value == action.default:
            continue
        if value is True:
            words.append(name)
        else:
            values = cast("list[object]", value) if isinstance(value, list) else [value]
            words += [f"{name}={each}" for each in values]
    return words


def show_status(options: CommandOptions) -> None:
    """Show what the server of a cache is doing."""
    facts = _ask(options, "GET", "/api/v1/server")
    if options.json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    counts = facts["counts"]
    done = ", ".join(
        f"{count} {name}" for name, count in counts.items() if name not in {"queued", "running"}
    )
    lines = [
        f"wheelforge {facts['version']} at {facts['address']}, process {facts['pid']}",
        *([f"  also at {facts['url']}"] if facts["url"] else []),
        f"  up for {facts['seconds']:.0f} s, {facts['jobs']} builds at a time",
        f"  cache: {facts['cache_dir']}",
        f"  done: {done or 'nothing yet'}",
        f"  queued: {facts['queued']}",
        f"  backends in memory: {facts['backends']['kept']}",
    ]
    for run in facts["running"]:
        seconds = time.time() - run["started"]
        lines.append(f"  running: {run['label']}, {run['phase'] or 'starting'}, {seconds:.1f} s")
    Console().print_data("\n".join(lines) + "\n")


def stop(options: CommandOptions) -> None:
    """Stop the server of a cache, and wait until it has ended."""
    home = Home.of(find_layout(options.cache_dir).root)
    _ask(options, "POST", f"/api/v1/server/stop?drain={int(options.drain)}")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while home.is_served():
        if time.monotonic() > deadline:
            raise ServiceError("server-failed", "it has not ended so far")
        time.sleep(0.02)


def _ask(options: CommandOptions, method: str, target: str) -> dict[str, Any]:
    """Return the answer of the server of a cache; nothing is started if there is none."""
    from wheelforge.service.client import ask

    root = find_layout(options.cache_dir).root
    home = Home.of(root)
    record = home.read_record() if home.is_served() else None
    if record is None:
        raise ServiceError("server-absent", str(root))
    return ask(Path(str(record["address"]).removeprefix("unix:")), method, target)
