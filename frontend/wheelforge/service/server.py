"""The server: its listeners, its clients, and how long it lives."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from aiohttp import web

from wheelforge.errors import ServiceError
from wheelforge.service.access import Access, Refusal, list_hosts
from wheelforge.service.api import make_application
from wheelforge.service.connections import Connections
from wheelforge.service.depot import BORROW, KEEP, Depot
from wheelforge.service.home import COMMANDS_SUFFIX, PROTOCOL, Home, is_own_user, listen
from wheelforge.service.problems import Problem
from wheelforge.service.retention import limit_log
from wheelforge.service.runs import Runs
from wheelforge.service.shared import SharedBlobs
from wheelforge.service.wire import AsyncLine, accept
from wheelforge.version import VERSION
from wheelforge_isolation import ForgeError, remove_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelforge.service.active import Active
    from wheelforge.service.simple.rules import IndexRules
    from wheelforge.service.zygote import Zygote

_LOOK_SECONDS = 1.0
_SWEEP_SECONDS = 60.0
_COMMAND = "command"
_MOST_PENDING = 1024
"""Clients that connect at once; one too many would try again after a second."""


class ServerOptions(NamedTuple):
    """How a server works."""

    cache: Path
    socket: Path
    jobs: int
    idle_seconds: float = 0.0
    """After which it ends, with nobody connected and nothing to do; 0: never."""
    targets: Mapping[str, str] = {}
    words: Sequence[str] = ()
    """Options of all builds that are asked for over the API."""
    sandboxes: Mapping[str, str] = {}
    """Of the targets that have one of their own."""
    places: Sequence[str] = ()
    """The beginnings of URLs that a stranger may name."""
    listen: tuple[str, int] | None = None
    """Host and port, for clients with a token."""
    tokens: Mapping[str, str] = {}
    hosts: Sequence[str] = ()
    """Further names of the server, as a proxy has them."""
    listeners: Sequence[socket.socket] = ()
    """Those that a service manager has opened, and keeps."""
    index_rules: IndexRules | None = None
    """How the index of wheels on demand is served, if it is."""
    shared_bytes: int = 0
    """The limit of the cache that clients share; 0: there is none."""
    has_log: bool = False
    """Whether its output goes to the log in its directory."""


class Server:
    """One server of one cache, from its first client to its last."""

    def __init__(self, options: ServerOptions, zygote: Zygote) -> None:
        self.options = options
        self.home = Home.of(options.cache)
        self.depot = Depot()
        self.born = time.time()
        self.runs = Runs(
            self.home, zygote, jobs=options.jobs, cache=options.cache, words=options.words
        )
        self.stopping = asyncio.Event()
        self.drains = False
        self.failure = ""
        """Why it has to end, if that is no wish of its user."""
        self._zygote = zygote
        self.connections = 0
        self._last = time.monotonic()
        self._tasks = set[asyncio.Task[None]]()
        self._access: Access | None = None
        self.network: Connections | None = None
        self.sweepers = list[Callable[[], Awaitable[None]]]()
        """The parts of the server that keep something, each with a bound."""
        blobs, limit = self.home.root / "shared", options.shared_bytes
        self.blobs = SharedBlobs(blobs, limit) if limit else None
        self.url = ""
        """The address on the network, if there is one."""

    @property
    def address(self) -> str:
        """The address that clients use."""
        return f"unix:{self.options.socket}"

    def is_trusted(self, request: web.Request) -> bool:
        """Return whether a request comes from the server's own user, over the Unix socket."""
        transport = request.transport
        # The name of a socket of another family is a tuple.
        if transport is None or not isinstance(transport.get_extra_info("sockname"), str | bytes):
            return False
        return is_own_user(transport.get_extra_info("socket"))

    def check_access(self, request: web.Request, role: str) -> None:
        """Refuse a request from the network that may not be answered."""
        if self.is_trusted(request):
            return
        refusal = None if self._access is None else self._access.check(request.headers, role)
        if self._access is None:
            refusal = Refusal(403, "user-refused", "this socket is another user's")
        if refusal is not None:
            raise Problem(*refusal)

    def identify(self, request: web.Request) -> str:
        """Return the name of a client for which uploads and keys are its own."""
        if self._access is None or self.is_trusted(request):
            return "local"
        token = self._access.find_token(request.headers)
        return hashlib.sha256(token.encode()).hexdigest()[:16]

    def stop(self, *, drain: bool) -> None:
        """Let it end; it does so once it has answered."""
        self.drains = drain
        self.stopping.set()

    def mark_active(self) -> None:
        """Take note that somebody is there."""
        self._last = time.monotonic()

    async def run(self, on_ready: Callable[[Server], None]) -> None:
        """Serve until it is told to end, or nobody has been there for long."""
        paths = (
            self.options.socket,
            self.options.socket.with_name(self.options.socket.name + COMMANDS_SUFFIX),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: self.stop(drain=False))
        loop.add_reader(self._zygote, self._end_without_workers)
        async with AsyncExitStack() as stack:
            listeners = [self._open_listener(path, stack) for path in paths]
            self.runs.depot_address = str(paths[1])
            runner = web.AppRunner(
                make_application(self),
                access_log=None,
                shutdown_timeout=_LOOK_SECONDS,
                handler_cancellation=True,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, listeners[0]).start()
            if self.options.listen is not None:
                await self._listen_on_network(runner, *self.options.listen)
            accepting = asyncio.ensure_future(self._accept(listeners[1]))
            stack.callback(accepting.cancel)
            facts = {
                "address": self.address,
                "url": self.url,
                "born": self.born,
                "protocol": PROTOCOL,
            }
            nonce = self.home.write_record(facts)
            stack.callback(self.home.remove_record, nonce)
            taken_up = await self.runs.recover()
            on_ready(self)
            await self._wait_for_end(taken_up)
            self.home.remove_record(nonce)
            await self.runs.close(drain=self.drains)
            for task in self._tasks:
                task.cancel()
            self.depot.sweep(leave=0)

    def _end_without_workers(self) -> None:
        """End, as whoever has started it can start another one; what is queued waits for that."""
        asyncio.get_running_loop().remove_reader(self._zygote)
        self.failure = "the process that workers are forked from has ended"
        self.stop(drain=False)

    def _open_listener(self, path: Path, stack: AsyncExitStack) -> socket.socket:
        """Return a socket at ``path``: the one that is there already, or a new one."""
        for each in self.options.listeners:
            if each.getsockname() == str(path):
                return stack.enter_context(each)
        listener = stack.enter_context(listen(path))
        stack.callback(remove_file, str(path))
        return listener

    async def _listen_on_network(self, runner: web.AppRunner, host: str, port: int) -> None:
        family = socket.AF_INET6 if host[0] == "[" else socket.AF_INET
        given = (each for each in self.options.listeners if each.family == family)
        listener = next(given, None) or socket.create_server(
            (host.strip("[]"), port), family=family, backlog=_MOST_PENDING
        )
        port = listener.getsockname()[1]
        self._access = Access(self.options.tokens, list_hosts(host, port, self.options.hosts))
        self.url = f"http://{host}:{port}"
        self.network = Connections(cast("Callable[[], asyncio.Protocol]", runner.server))
        task = asyncio.ensure_future(self.network.accept(listener))
        self._tasks.add(task)

    async def _wait_for_end(self, _: int) -> None:
        swept = 0.0
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), _LOOK_SECONDS)
            self.depot.sweep()
            if time.monotonic() - swept > _SWEEP_SECONDS:
                await self.runs.sweep()
                if self.options.has_log:
                    with suppress(OSError, ForgeError):  # the disk may be full
                        limit_log(self.home.log)
                for sweep in self.sweepers:
                    with suppress(OSError, ForgeError):  # the disk may be full
                        await sweep()
                swept = time.monotonic()
            if self.network is not None:
                self.network.sweep()
            if self.connections or self.runs.active:
                self.mark_active()
            idle = self.options.idle_seconds
            if idle and time.monotonic() - self._last > idle:
                return

    async def _accept(self, listener: socket.socket) -> None:
        listener.setblocking(False)  # ruff: ignore[boolean-positional-value-in-call]
        while True:
            line = await accept(listener)
            task = asyncio.ensure_future(self._meet(line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _meet(self, connection: socket.socket) -> None:
        """Do what one client or worker has connected for."""
        line, files = AsyncLine(connection), list[int]()
        self.connections += 1
        try:
            if not is_own_user(connection):
                return
            texts, files = await line.receive()
            kind = texts[0] if texts else ""
            if kind in {BORROW, KEEP}:
                words, lent = self.depot.answer(texts, files)
                files = [] if kind == KEEP else files
                if words:
                    await line.send(*words, files=lent)
            elif kind == _COMMAND:
                await self._host(line, texts[1:], files)
        finally:
            self.connections -= 1
            self.mark_active()
            line.close()
            for file in files:
                os.close(file)

    async def _host(self, line: AsyncLine, texts: Sequence[str], streams: list[int]) -> None:
        """Have a command of a client done, and end it with its client."""
        version, session, directory, umask, limits, encoding, *rest = texts
        if version != VERSION or len(streams) != 3 or self.stopping.is_set():  # ruff: ignore[magic-value-comparison]
            reason = "it is about to end"
            if version != VERSION:
                reason = f"it is wheelforge {VERSION}, and this is {version}"
            await line.send("declined", reason)
            return
        name, _, errors = encoding.partition(":")
        command = [session, directory, umask, limits, name, errors, *rest]
        active = self.runs.add_command(line, command, streams)
        listening = asyncio.ensure_future(self._listen(line, active))
        await active.ended.wait()
        listening.cancel()
        await asyncio.wait([listening])

    async def _listen(self, line: AsyncLine, active: Active) -> None:
        """Interrupt a command when its client says so, and cancel it when its client is gone."""
        while (await line.receive())[0]:
            if active.line is None:
                self.runs.cancel(active.run.id)
            else:
                await active.line.send("interrupt")
        self.runs.cancel(active.run.id)


def serve(options: ServerOptions, zygote: Zygote, on_ready: Callable[[Server], None]) -> None:
    """Be the server of a cache; an error if another process is."""
    home = Home.of(options.cache)
    home.prepare()
    lock = home.lock()
    umask = os.umask(0o077)
    try:
        asyncio.run(_serve(options, zygote, on_ready))
    except OSError as error:
        raise ServiceError("server-failed", error.strerror or str(error)) from error
    finally:
        os.umask(umask)
        zygote.close()
        lock.release(remove=False)


async def _serve(
    options: ServerOptions, zygote: Zygote, on_ready: Callable[[Server], None]
) -> None:
    server = Server(options, zygote)
    await server.run(on_ready)
    if server.failure:
        raise ServiceError("server-failed", server.failure)
