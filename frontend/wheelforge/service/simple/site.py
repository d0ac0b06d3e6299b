"""The index as a whole: its targets, and its pages as they are at a moment."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from wheelforge.build.targets import find_layout, find_python
from wheelforge.provenance.attestations import read_attestation
from wheelforge.service.requests import VARIABLES
from wheelforge.service.retention import find_surplus
from wheelforge.service.simple.builds import PageBuilds, Target
from wheelforge.service.simple.pages import compose_page, compose_root, describe_wheel, render
from wheelforge.service.simple.rules import Chooser, Python
from wheelforge.service.simple.set_builds import SetBuilds
from wheelforge.service.simple.sets import AnnouncedSets
from wheelforge.service.simple.upstream import Upstream
from wheelforge.service.simple.wheels import BuiltWheels
from wheelforge.settings import Settings
from wheelforge.version import VERSION
from wheelforge_isolation import remove_file, remove_tree
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from wheelforge.index import Candidate
    from wheelforge.index.listing import ListedFile, Listing
    from wheelforge.service.server import Server
    from wheelforge.service.simple.builds import Asker
    from wheelforge.service.simple.pages import Wheel
    from wheelforge.service.simple.rules import IndexRules
    from wheelforge.service.simple.wheels import Failure

DEFAULT = "default"
"""The name of the only target of a server that was given none."""
MOST_WAITING = 512
"""Pages for which one client may wait at once."""
_MOST_KEPT_BYTES = 32 << 20
_MOST_CHOICES = 4096
_LEAST_PACKED_BYTES = 1024
_LEVEL = 6


class Content(NamedTuple):
    """A page as it is sent."""

    body: bytes
    etag: str
    encoding: str = ""
    """``gzip`` if it is packed."""


class Site:
    """The index of a server; for the one thread of the event loop."""

    def __init__(self, server: Server, rules: IndexRules) -> None:
        self.rules = rules
        self.upstream = Upstream(rules.settings, server.home.files)
        base = server.home.root / "index-v1.sqlite"
        self.wheels = BuiltWheels(base)
        self.builds = PageBuilds(server.runs, self.wheels)
        self.sets = AnnouncedSets(base)
        self.set_builds = SetBuilds(self)
        self.waiting = Counter[str]()
        """How many pages each client waits for."""
        self._server = server
        self._options = server.options
        self._stopping = server.stopping
        self._targets: dict[str, asyncio.Task[Target]] = {}
        self._home, self.bounds = server.home, server.runs.retention
        self._kept: OrderedDict[tuple[str, ...], tuple[object, Content]] = OrderedDict()
        self._kept_bytes = 0
        self._choices: OrderedDict[tuple[str, str], tuple[object, list[Candidate]]] = OrderedDict()

    def is_busy(self, asker: Asker) -> bool:
        """Return whether a client waits for so many pages that it cannot wait for another one."""
        return self.waiting[asker.client] >= MOST_WAITING

    async def close(self) -> None:
        """Let all builds for pages go, and close what is open."""
        await self.set_builds.close()
        await self.builds.close()
        self.upstream.close()
        self.wheels.close()
        self.sets.close()

    @property
    def is_stopping(self) -> bool:
        """Whether the server is about to end, and builds end without a result."""
        return self._stopping.is_set()

    # -- targets ----------------------------------------------------------------------------------

    @property
    def targets(self) -> Mapping[str, str | None]:
        """The Pythons by the names of the targets; the first one is the default."""
        return self._options.targets or {DEFAULT: None}

    async def find_target(self, name: str) -> Target | None:
        """Return the target of that name, or the default if it is empty."""
        name = name or next(iter(self.targets))
        if name not in self.targets:
            return None
        task = self._targets.get(name)
        if task is None or (task.done() and task.exception() is not None):
            task = self._targets[name] = asyncio.ensure_future(self._open_target(name))
        return await asyncio.shield(task)

    async def _open_target(self, name: str) -> Target:
        python, layout = self.targets[name], find_layout(self._options.cache)
        settings = Settings(variables=VARIABLES, python=python)
        found = await asyncio.to_thread(find_python, settings, layout)
        repair, sandbox = self.rules.find_repair(name), self._options.sandboxes.get(name, "")
        facts = [name, found.identity, found.version, VERSION, repair, sandbox]
        facts += self._options.words
        return Target(
            name=name,
            python=python or str(found.executable),
            interpreter=found,
            identity=fingerprint(facts)[:32],
            chooser=Chooser(self.rules.settings, Python(found.tags, found.version)),
            repair=repair,
            sandbox=sandbox,
        )

    # -- pages ------------------------------------------------------------------------------------

    def choose(self, target: Target, name: str, listing: Listing) -> list[Candidate]:
        """Return the sdists that a page should have wheels of."""
        if not self.rules.allows(name):
            return []
        key = target.name, name
        known = self._choices.get(key)
        if known is None or known[0] != (listing.serial, self.sets.changes):
            policy = self.rules.find_policy(target.name, name)
            wanted = self.sets.list_wanted(target.name, name)
            chosen = target.chooser.choose(name, listing, policy, wanted)
            known = self._choices[key] = (listing.serial, self.sets.changes), chosen
            if len(self._choices) > _MOST_CHOICES:
                self._choices.popitem(last=False)
        return known[1]

    def find_missing(self, target: Target, name: str, listing: Listing) -> list[Candidate]:
        """Return the sdists that have to be built before a page is as it should be."""
        return [
            sdist
            for sdist in self.choose(target, name, listing)
            if self.builds.is_missing(target, sdist)
        ]

    def show_page(self, target: Target, name: str, listing: Listing, form: str) -> Content:
        """Return the page of a project as it is now."""
        state = (listing.serial, self.wheels.changes)
        key = target.name, name, form
        known = self._kept.get(key)
        if known is not None and known[0] == state:
            self._kept.move_to_end(key)
            return known[1]
        page = self.compose(target, name, listing)
        content = make_content(render(page, form), form)
        self._keep(key, (state, content))
        return content

    def compose(self, target: Target, name: str, listing: Listing) -> dict[str, Any]:
        """Return the page of a project as it is now, as a document."""
        return compose_page(name, listing.facts, self._list_files(target, name, listing))

    def show_root(self, target: Target, form: str) -> Content:
        """Return the page of the projects that there are wheels of."""
        page = compose_root(self.wheels.list_projects(target.identity))
        return make_content(render(page, form), form)

    async def pack(self, content: Content) -> Content:
        """Return a page as it is sent to clients that can unpack it."""
        if len(content.body) < _LEAST_PACKED_BYTES:
            return content
        key = ("gzip", content.etag)
        known = self._kept.get(key)
        if known is None:
            body = await asyncio.to_thread(gzip.compress, content.body, _LEVEL, mtime=0)
            known = None, Content(body, f"{content.etag}-gzip", "gzip")
            self._keep(key, known)
        self._kept.move_to_end(key)
        return known[1]

    def _keep(self, key: tuple[str, ...], value: tuple[object, Content]) -> None:
        if key in self._kept:
            self._kept_bytes -= len(self._kept[key][1].body)
        self._kept[key] = value
        self._kept_bytes += len(value[1].body)
        while self._kept_bytes > _MOST_KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1][1].body)

    async def sweep(self) -> None:
        """Remove the files used longest ago that are beyond the bounds, and change their pages.

        Those of announced sets stay, whose pages do not change.
        """
        most, before = self.bounds.wheel_bytes, time.time() - self.bounds.in_use_seconds
        surplus = await asyncio.to_thread(find_surplus, self._home.wheels, most, before)
        kept = self.sets.list_hashes() if surplus else set[str]()
        for path in surplus:
            if path.name not in kept:
                self.wheels.remove_file(path.name)
                await asyncio.to_thread(remove_tree, str(path))
        for path in await asyncio.to_thread(find_surplus, self._home.files, most, before):
            await asyncio.to_thread(remove_file, str(path))

    def _list_files(self, target: Target, name: str, listing: Listing) -> list[Mapping[str, Any]]:
        built = self.wheels.find(target.identity, name)
        failures = self.wheels.failures(target.identity, name) if self.rules.is_strict else {}
        hides = self.rules.find_policy(target.name, name) == "source"
        shown, names = list[Mapping[str, Any]](), set[str]()
        for file in listing.files:
            is_wheel = file.listed.file_name.endswith(WHEEL_SUFFIX)
            if not (hides and is_wheel):
                shown.append(self._pass_on(name, file, listing, failures))
                names.add(file.listed.file_name)
        for file in listing.files:
            wheel = built.get(_name_listed(file))
            if wheel is None or wheel.file_name in names:
                continue
            if self.builds.locate(wheel).exists():
                shown.append(describe_wheel(wheel, file.facts, self._find_statement(wheel)))
                names.add(wheel.file_name)
            else:
                self.wheels.remove_file(wheel.sha256)
        return shown

    def _find_statement(self, wheel: Wheel) -> dict[str, str]:
        """Return the URLs at which the statement of a wheel is."""
        path = self.builds.locate_statement(wheel)
        if not path.exists():
            return {}
        place = f"files/{wheel.sha256}/{quote(path.name, safe='')}"
        found = {"statement": f"../../{place}"}
        if self._server.url and read_attestation(path) is not None:
            found["provenance"] = f"{self._server.url}/{place.removesuffix('.json')}"
        return found

    def _pass_on(
        self, name: str, file: ListedFile, listing: Listing, failures: Mapping[str, Failure]
    ) -> Mapping[str, Any]:
        key, file_name = _name_listed(file), file.listed.file_name
        if key in failures:
            return {**file.facts, "url": f"../../failed/{name}/{quote(file_name, safe='')}"}
        if not (self.rules.proxies_files or listing.is_private):
            return file.facts
        place = f"upstream/{name}/{quote(file_name, safe='')}"
        shown = {**file.facts, "url": f"../../{place}"}
        if shown.pop("provenance", None) and self._server.url:  # which has to be a whole URL
            shown["provenance"] = f"{self._server.url}/{place}.provenance"
        return shown


def _name_listed(file: ListedFile) -> str:
    return file.listed.hashes.get("sha256") or file.listed.url


def make_content(body: bytes, form: str) -> Content:
    """Return a page with a tag that tells it from all others."""
    return Content(body, hashlib.sha256(form.encode() + b"\0" + body).hexdigest()[:32])
