"""The builds of announced sets: releases are chosen, built side by side, and listed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from wheelforge.errors import ServiceError
from wheelforge.index import Candidate, Index
from wheelforge.index.candidates import fits_tags, own_hashes
from wheelforge.resolve import ResolutionRequest, resolve
from wheelforge.service.requests import RequestError
from wheelforge.service.simple.builds import Asker
from wheelforge.service.simple.rules import find_version
from wheelforge.service.simple.sets import announce
from wheelforge.service.simple.wheels import Failure
from wheelforge_isolation import ForgeError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version
from wheelforge_isolation.formats.metadata import all_values, parse_fields
from wheelforge_isolation.formats.requirements import (
    applies,
    find_requirement,
    is_exact,
    parse_requirement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.version import Version

    from wheelforge.index.listing import Listing
    from wheelforge.resolve import Resolution
    from wheelforge.resolve.types import Builder
    from wheelforge.service.simple.builds import Target
    from wheelforge.service.simple.sets import AnnouncedSet, SetRequest
    from wheelforge.service.simple.site import Site

_PRIORITY = "set"
_MOST_REQUIREMENTS = 5000
_MOST_AT_WORK = 32


class SetBuilds:
    """Makes announced sets; for the one thread of the event loop."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_resumed = False

    async def close(self) -> None:
        """Leave all that is not ready to the next server."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @property
    def is_busy(self) -> bool:
        """Whether it makes as many sets as it may."""
        return len(self._tasks) >= _MOST_AT_WORK

    def add(self, name: str, target: Target, request: SetRequest) -> AnnouncedSet:
        """Return the set of that name; one that has failed is made again."""
        check_request(request)
        known = self.find(name)
        if known is not None and (known.request, known.target) != (request, target.name):
            reason = f"there is another set `{name}`, which does not change any more"
            raise RequestError("name", reason)
        if known is not None and known.state != "failed":
            return known
        announced = announce(name, target.name, request)
        self._site.sets.put(announced)
        self._site.sets.mark_used(name)
        self._start(announced)
        return announced

    def find(self, name: str) -> AnnouncedSet | None:
        """Return the set of that name, and go on with all that an earlier server has left."""
        if not self._is_resumed:
            self._is_resumed = True
            for announced in self._site.sets.list_running():
                self._start(announced)
        found = self._site.sets.find(name)
        if found is not None:
            self._site.sets.mark_used(name)
        return found

    async def wait(self, name: str, seconds: float) -> None:
        """Wait until a set is ready or has failed, but not for longer."""
        if name in self._tasks:
            await asyncio.wait([self._tasks[name]], timeout=seconds)

    def find_task(self, name: str) -> asyncio.Task[None] | None:
        """Return the task that makes a set, if it is at work."""
        return self._tasks.get(name)

    def _start(self, announced: AnnouncedSet) -> None:
        task = self._tasks[announced.name] = asyncio.ensure_future(self._make(announced))
        task.add_done_callback(partial(self._conclude, announced))

    def _conclude(self, announced: AnnouncedSet, task: asyncio.Task[None]) -> None:
        """Forget a task; a set must not seem to be at work when its task has broken off."""
        self._tasks.pop(announced.name, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            text = f"{type(error).__name__}: {error}"
            self._site.sets.put(announced._replace(state="failed", error=text))
        self._site.sets.remove_unused(self._site.bounds.sets)

    async def _make(self, announced: AnnouncedSet) -> None:
        site, sets = self._site, self._site.sets
        target = await site.find_target(announced.target)
        if target is None:
            sets.put(announced._replace(state="failed", error="the server has no such target now"))
            return
        try:
            pins = await self._choose(announced, target)
            sets.want(announced, pins)
            pages, packages = await self._build(announced, target, pins)
        except (ForgeError, FormatError) as error:
            if not site.is_stopping:
                sets.put(announced._replace(state="failed", error=str(error)))
            return
        failed = [each for each in packages if each.get("error")]
        if failed and site.is_stopping:
            return
        if not failed:
            sets.add_pages(announced, pages)
        text = f"{len(failed)} of {len(packages)} cannot be had as wheels" if failed else ""
        state = "failed" if failed else "ready"
        sets.put(announced._replace(state=state, packages=packages, error=text))

    # -- which releases ---------------------------------------------------------------------------

    async def _choose(self, announced: AnnouncedSet, target: Target) -> Mapping[str, Version]:
        """Return the version of each project of a set."""
        request, asker = announced.request, Asker(f"set {announced.name}", _PRIORITY)
        parsed = [each for each in map(find_requirement, request.requirements) if each]
        markers = target.interpreter.markers
        roots = [each for each in parsed if applies(each, markers)]
        if request.is_closed:
            return {
                normalize_name(each.name): parse_version(next(iter(each.specifier)).version)
                for each in roots
            }
        await self._build_ahead(target, roots, asker)
        loop = asyncio.get_running_loop()

        def build(sdist: Candidate) -> Path:
            return asyncio.run_coroutine_threadsafe(
                self._build_one(target, sdist, asker), loop
            ).result()

        found = await asyncio.to_thread(self._resolve, request, target, build)
        return {pin.name: parse_version(pin.version) for pin in found.pins}

    async def _build_ahead(
        self, target: Target, roots: Iterable[Requirement], asker: Asker
    ) -> None:
        """Build side by side the sdists that are most likely to be chosen, wave by wave."""
        seen, wave = set[str](), list(roots)
        while wave:
            fresh = {normalize_name(each.name): each for each in wave}
            wave = [each for name, each in fresh.items() if name not in seen]
            seen |= fresh.keys()
            sdists = [
                best
                for each in wave
                if (best := await self._find_best(target, each)) and not best.is_wheel
            ]
            await self._site.builds.build(target, sdists, asker)
            wave = [each for sdist in sdists for each in self._list_required(target, sdist)]

    async def _find_best(self, target: Target, wanted: Requirement) -> Candidate | None:
        name = normalize_name(wanted.name)
        listing = await self._site.upstream.look_up(name) if self._site.rules.allows(name) else None
        return listing and target.chooser.find_best(name, listing, str(wanted.specifier))

    def _list_required(self, target: Target, sdist: Candidate) -> list[Requirement]:
        wheel = self._site.builds.find(target, sdist)
        if wheel is None or isinstance(wheel, Failure):
            return []
        texts = all_values(parse_fields(wheel.metadata), "requires-dist")
        found = [each for each in map(find_requirement, texts) if each is not None]
        return [each for each in found if applies(each, target.interpreter.markers)]

    async def _build_one(self, target: Target, sdist: Candidate, asker: Asker) -> Path:
        """Return the wheel of an sdist that the resolver needs."""
        builds = self._site.builds
        if not self._site.rules.allows(sdist.name):
            raise ServiceError("set-failed", sdist.name, "the server may not build it")
        await builds.build(target, [sdist], asker)
        found = builds.find(target, sdist)
        if found is None or isinstance(found, Failure):
            reason = found.message if found else "its build was cancelled"
            raise ServiceError("set-failed", sdist.file_name, reason)
        return builds.locate(found)

    def _resolve(self, request: SetRequest, target: Target, build: Builder) -> Resolution:
        settings = self._site.rules.settings
        hashes = {text: tuple(found) for text, found in request.hashes.items()}
        wanted = ResolutionRequest(
            requirements=tuple(request.requirements),
            python=target.interpreter,
            index_identity=settings.identity,
            constraints=tuple(request.constraints),
            hashes=hashes,
            exclude_newer=settings.exclude_newer,
            subject="the set",
        )
        with Index(settings, target.interpreter.tags) as index:
            return resolve(wanted, index, build)

    # -- their wheels -----------------------------------------------------------------------------

    async def _build(
        self, announced: AnnouncedSet, target: Target, pins: Mapping[str, Version]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the page of each project, and how each release is had."""
        site, asker = self._site, Asker(f"set {announced.name}", _PRIORITY)
        listings = dict(
            zip(pins, await asyncio.gather(*map(site.upstream.look_up, pins)), strict=True)
        )
        sdists = dict[str, Candidate]()
        for name, listing in listings.items():
            if listing is not None and site.rules.allows(name):
                is_source = site.rules.find_policy(target.name, name) == "source"
                policy = "source" if is_source else "wanted"
                found = target.chooser.choose(name, listing, policy, {pins[name]})
                sdists.update((name, sdist) for sdist in found if sdist.version == pins[name])
        await site.builds.build(target, sdists.values(), asker)
        pages, packages = dict[str, Any](), list[dict[str, Any]]()
        for name, listing in listings.items():
            facts: dict[str, Any] = {"name": name, "version": str(pins[name])}
            if listing is not None:
                narrow = _narrow(listing, name, pins[name])
                pages[name] = site.compose(target, name, narrow)
            packages.append(facts | self._describe(target, pages.get(name), sdists.get(name)))
        _check_hashes(announced.request, sdists, packages)
        return pages, packages

    def _describe(
        self, target: Target, page: Mapping[str, Any] | None, sdist: Candidate | None
    ) -> dict[str, Any]:
        """Return the wheel of a release, or why there is none."""
        if page is None:
            return {"error": "no index has it"}
        if sdist is None:
            tags = frozenset(target.interpreter.tags)
            names = [str(file["filename"]) for file in page["files"]]
            wheel = next((name for name in names if fits_tags(name, tags)), "")
            reason = "there is no wheel that fits, and no sdist that may be built"
            return {"file": wheel, "built": False} if wheel else {"error": reason}
        found = self._site.builds.find(target, sdist)
        if isinstance(found, Failure):
            return {"error": found.message, "code": found.code, "hint": found.hint or None}
        if found is None:
            return {"error": "its build was cancelled"}
        repaired = {"repaired": found.repaired} if found.repaired else {}
        return {"file": found.file_name, "built": True, "sha256": found.sha256, **repaired}


def _narrow(listing: Listing, name: str, version: Version) -> Listing:
    """Return the part of a page that is about one version."""
    files = [file for file in listing.files if find_version(file.listed.file_name, name) == version]
    facts = dict(listing.facts)
    if "versions" in facts:
        facts["versions"] = [str(version)]
    return listing._replace(facts=facts, files=files)


def _check_hashes(
    request: SetRequest, sdists: Mapping[str, Candidate], packages: Iterable[dict[str, Any]]
) -> None:
    """Let releases fail of which a lock states another sdist."""
    stated = {
        normalize_name(_parse(text).name): set(found) for text, found in request.hashes.items()
    }
    for package in packages if request.is_closed else ():
        sdist = sdists.get(package["name"])
        hashes = stated.get(package["name"])
        if sdist is not None and hashes and hashes.isdisjoint(own_hashes(sdist)):
            package["error"] = "its sdist has none of the hashes that are stated"


def check_request(request: SetRequest) -> None:
    """Refuse what is no set of releases."""
    if not 0 < len(request.requirements) <= _MOST_REQUIREMENTS:
        raise RequestError("requirements", f"it must be a list of 1 to {_MOST_REQUIREMENTS} texts")
    for text in (*request.requirements, *request.constraints):
        found = _parse(text)
        if found.url:
            raise RequestError("requirements", f"`{found.name}` is no release of an index")
        if request.is_closed and not is_exact(found.specifier):
            raise RequestError("requirements", f"`{text}` does not name one version, as in a lock")
    for text in request.hashes:
        _parse(text)


def _parse(text: str) -> Requirement:
    try:
        return parse_requirement(text)
    except FormatError as error:
        raise RequestError("requirements", str(error)) from error
