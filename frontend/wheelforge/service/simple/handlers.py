"""The answers at the addresses of the index: pages, files, and a page about each target.

A page for which something is built is answered at once, and goes on coming (`padding`); only when
the builds are done, or have taken too long, is it told what is on it.
"""

# ruff: file-ignore[unused-async]  # every handler is called in the same way

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import ETag, web

from wheelforge.provenance.attestations import PROVENANCE, compose_provenance, read_attestation
from wheelforge.service.problems import Problem
from wheelforge.service.simple.builds import Asker
from wheelforge.service.simple.negotiation import accepts_gzip, choose_form
from wheelforge.service.simple.padding import OF_PAGES, PAD_SECONDS, PaddedAnswer, read_since
from wheelforge.service.simple.pages import compose_root, render
from wheelforge.service.simple.site import MOST_WAITING, Site, make_content
from wheelforge_isolation import ForgeError, mark_used
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from wheelforge.index.listing import Listing
    from wheelforge.service.server import Server
    from wheelforge.service.simple.builds import Target
    from wheelforge.service.simple.site import Content

    Handler = Callable[["Index", web.Request], Awaitable[web.StreamResponse]]

_FOR_EVER = "max-age=365000000, immutable"
_FOREIGN = {"cross-site", "same-site"}


class Index(NamedTuple):
    """The index and its server."""

    server: Server
    site: Site

    def check_access(self, request: web.Request) -> bool:
        """Refuse a client that may not read; return whether it may have something built."""
        if self.site.rules.is_open and not self.server.is_trusted(request):
            self.server.check_access(request, "")
            # A page of another site can have its reader's browser ask for anything here.
            return request.headers.get("Sec-Fetch-Site") not in _FOREIGN
        self.server.check_access(request, "read")
        try:
            self.server.check_access(request, "build")
        except Problem:
            return False
        return True


class Asked(NamedTuple):
    """A page that a client wants, and may have."""

    target: Target
    name: str
    form: str
    asker: Asker
    may_build: bool


INDEX = web.AppKey("index", Index)


def add_index_routes(application: web.Application, server: Server) -> None:
    """Let the application answer for the index of a server, if it has one."""
    rules = server.options.index_rules
    if rules is None:
        return
    index = application[INDEX] = Index(server, Site(server, rules))

    async def close(_: web.Application) -> None:
        await index.site.close()

    application.on_cleanup.append(close)
    server.sweepers.append(index.site.sweep)
    places = [(path, handler) for path, handler in _ROUTES if path != "/"]
    places += [(f"/{{target}}{path}", handler) for path, handler in _ROUTES]
    places += [(f"/sets/{{set}}/{{target}}{path}", handler) for path, handler in _SET_ROUTES]
    for place, handler in places:
        application.router.add_get(place, _bind(index, handler))


def _bind(index: Index, handler: Handler) -> Callable[[web.Request], Awaitable[Any]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(index, request)
        except ForgeError as error:  # of an index upstream
            raise Problem(502, error.code, str(error), error.hint) from error

    return answer


# -- pages ----------------------------------------------------------------------------------------


async def show_project(index: Index, request: web.Request) -> web.StreamResponse:
    """Show the page of a project, once that is built which the policy wants."""
    may_build, target = index.check_access(request), await _find_target(index, request)
    given, form = request.match_info["project"], _find_form(request)
    name = _normalize(given)
    if name != given or not request.path.endswith("/"):
        return _redirect(request, f"{'../' if request.path.endswith('/') else ''}{name}/")
    asker = Asker(request.remote or f"uid {os.geteuid()}")
    may_build = may_build and request.method == "GET"
    asked = Asked(target, name, form, asker, may_build=may_build)
    answer = PaddedAnswer(request, form, index.site.rules.wait_seconds)
    try:
        return await _show_project(index, request, asked, answer)
    except (Problem, ForgeError):
        if not answer.is_begun:
            raise
        return await answer.give_up()


async def _show_project(
    index: Index, request: web.Request, asked: Asked, answer: PaddedAnswer
) -> web.StreamResponse:
    site, (target, name, form, *_) = index.site, asked
    listing = site.upstream.find_fresh(name) or await _ask_upstream(index, asked, answer)
    if listing is None:
        raise Problem(404, "project-unknown", f"no index has a project `{name}`")
    missing = site.find_missing(target, name, listing)
    if missing and asked.may_build and not answer.is_overdue:
        if site.is_stopping:
            raise Problem(503, "server-stopping", "the server is about to end", retry_after=1)
        return await _wait_for_builds(index, asked, listing, answer)
    if answer.is_begun:
        return await answer.finish(lambda: site.show_page(target, name, listing, form).body)
    content = site.show_page(target, name, listing, form)
    return await _answer_page(index, request, content, form, is_final=not missing)


async def _ask_upstream(index: Index, asked: Asked, answer: PaddedAnswer) -> Listing | None:
    """Return the page that an index upstream has of a project; None if none has it.

    The status of the answer may leave before that is known where it does not depend on it: an
    unknown project must not be found, and a page that has not changed is not sent again.
    """
    site, (target, name, *_) = index.site, asked
    asking, known = site.upstream.ask(name), site.upstream.find_last(name)
    patience = None
    if known is not None:
        patience = 0.0 if site.find_missing(target, name, known) else PAD_SECONDS
    elif answer.redirects:
        patience = 0.0
    if answer.is_again and answer.redirects:
        patience = None  # it is told now, whatever it is
    may_begin = asked.may_build and not site.is_stopping and not site.is_busy(asked.asker)
    if may_begin and patience is not None:
        if patience:
            await asyncio.wait({asking}, timeout=patience)
        if not asking.done():
            await answer.wait({asking})
    return await asyncio.shield(asking)


async def _wait_for_builds(
    index: Index, asked: Asked, listing: Listing, answer: PaddedAnswer
) -> web.StreamResponse:
    site, (target, name, form, asker, _) = index.site, asked
    if site.is_busy(asker):
        raise Problem(429, "client-busy", f"this client waits for {MOST_WAITING} pages already")
    missing = site.find_missing(target, name, listing)
    site.waiting[asker.client] += 1
    try:
        async with site.builds.waiting(target, missing, asker) as tasks:
            await answer.wait(tasks)
            if any(not task.done() for task in tasks):
                site.builds.keep(target, missing, asker)
    finally:
        site.waiting[asker.client] -= 1
        if not site.waiting[asker.client]:
            del site.waiting[asker.client]
    if site.is_stopping and site.find_missing(target, name, listing):
        return await answer.give_up()
    return await answer.finish(lambda: site.show_page(target, name, listing, form).body)


async def show_root(index: Index, request: web.Request) -> web.StreamResponse:
    """List the projects that there are wheels of."""
    index.check_access(request)
    target, form = await _find_target(index, request), _find_form(request)
    if not request.path.endswith("/"):
        return _redirect(request, "simple/")
    content = index.site.show_root(target, form)
    return await _answer_page(index, request, content, form, is_final=True)


# -- the pages of announced sets ------------------------------------------------------------------


async def show_set_page(index: Index, request: web.Request) -> web.StreamResponse:
    """Show a page of an announced set, once the set is ready."""
    index.check_access(request)
    name, form, site = request.match_info["set"], _find_form(request), index.site
    announced = site.set_builds.find(name)
    if announced is None or announced.target != request.match_info["target"]:
        raise Problem(404, "set-unknown", f"there is no set `{name}` for this target")
    if announced.state == "failed":
        raise Problem(409, "set-failed", f"the set `{name}` is not ready: {announced.error}")
    if announced.state == "ready":
        content = _find_set_page(index, request, form)
        return await _answer_page(index, request, content, form, is_final=True)
    if request.method == "HEAD":
        return web.Response(headers={**OF_PAGES, "Content-Type": form, "Cache-Control": "no-store"})
    answer = PaddedAnswer(request, form, site.rules.wait_seconds)
    task = site.set_builds.find_task(name)
    if answer.is_overdue or site.is_stopping:
        raise Problem(503, "set-unfinished", f"the set `{name}` is not ready yet", retry_after=1)
    await answer.wait({task} if task else set())
    announced = site.set_builds.find(name)
    if announced is None or announced.state != "ready":
        return await answer.give_up()
    return await answer.finish(lambda: _find_set_page(index, request, form).body)


def _find_set_page(index: Index, request: web.Request, form: str) -> Content:
    sets, name = index.site.sets, request.match_info["set"]
    project = request.match_info.get("project")
    if project is None:
        page: dict[str, Any] | None = compose_root(sets.list_projects(name))
    else:
        page = sets.find_page(name, _normalize(project))
    if page is None:
        raise Problem(404, "project-unknown", f"the set `{name}` has no project `{project}`")
    return make_content(render(page, form), form)


async def _answer_page(
    index: Index, request: web.Request, content: Content, form: str, *, is_final: bool
) -> web.Response:
    """Return the answer with a page, or that it is the one that the client has."""
    if accepts_gzip(", ".join(request.headers.getall("Accept-Encoding", []))):
        content = await index.site.pack(content)
    headers = {**OF_PAGES, "Cache-Control": "no-cache" if is_final else "no-store"}
    # A client that was sent here has not stored the page of this URL, whatever tag it shows.
    is_sent_here = read_since(request) is not None
    tags = () if is_sent_here else request.if_none_match or ()
    is_known = any(tag.value in {content.etag, "*"} for tag in tags)
    if is_final and is_known:
        response = web.Response(status=304, headers=headers)
    else:
        packed = {"Content-Encoding": content.encoding} if content.encoding else {}
        headers |= {"Content-Type": form, **packed}
        response = web.Response(body=content.body, headers=headers)
    if is_final:
        response.etag = ETag(content.etag)
    return response


def _normalize(project: str) -> str:
    """Return the name of a project as pages have it; text that can be no name is unknown."""
    try:
        return normalize_name(project)
    except FormatError as error:
        raise Problem(404, "project-unknown", str(error)) from error


def _redirect(request: web.Request, place: str) -> web.Response:
    query = f"?{request.query_string}" if request.query_string else ""
    return web.Response(status=301, headers={"Location": f"{place}{query}"})


async def _find_target(index: Index, request: web.Request) -> Target:
    name = request.match_info.get("target", "")
    target = await index.site.find_target(name)
    if target is None:
        known = ", ".join(f"`{each}`" for each in index.site.targets)
        raise Problem(404, "target-unknown", f"there is no target `{name}`", f"there is {known}")
    return target


def _find_form(request: web.Request) -> str:
    form = choose_form(", ".join(request.headers.getall("Accept", [])))
    if form is None:
        raise Problem(406, "not-acceptable", "a page is JSON or HTML of the Simple API, version 1")
    return form


# -- files ----------------------------------------------------------------------------------------


async def fetch_file(index: Index, request: web.Request) -> web.StreamResponse:
    """Fetch a wheel that was built here, or its metadata."""
    index.check_access(request)
    sha256, name = request.match_info["sha256"], request.match_info["name"]
    wheel = index.site.wheels.find_file(sha256)
    headers = {"Cache-Control": _FOR_EVER, "X-Content-Type-Options": "nosniff"}
    if wheel is not None and name == f"{wheel.file_name}.metadata":
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return web.Response(body=wheel.metadata, headers=headers)
    if wheel is not None and name.startswith(f"{wheel.file_name}."):
        return _answer_statement(index.site.builds.locate_statement(wheel), name, headers)
    path = None if wheel is None else index.site.builds.locate(wheel)
    if wheel is None or path is None or name != wheel.file_name or not path.exists():
        raise Problem(404, "file-unknown", f"there is no file `{name}` with that hash")
    mark_used(str(path.parent))
    headers["Content-Type"] = "application/octet-stream"
    return web.FileResponse(path, headers=headers)


def _answer_statement(path: Path, name: str, headers: dict[str, str]) -> web.StreamResponse:
    """Return the answer with the statement of a wheel, or with it as an object of PEP 740."""
    headers["Content-Type"] = "application/json"
    if name == path.name and path.exists():
        return web.FileResponse(path, headers=headers)
    found = read_attestation(path) if f"{name}.json" == path.name else None
    if found is None:
        raise Problem(404, "file-unknown", f"there is no file `{name}` with that hash")
    headers["Content-Type"] = PROVENANCE
    return web.Response(body=compose_provenance(found), headers=headers)


async def pass_on_file(index: Index, request: web.Request) -> web.StreamResponse:
    """Fetch a file of an index upstream, or what is beside it, as its page describes it."""
    index.check_access(request)
    upstream, project = index.site.upstream, _normalize(request.match_info["project"])
    name = request.match_info["name"]
    listing = await upstream.look_up(project)
    if listing is not None and not (index.site.rules.proxies_files or listing.is_private):
        raise Problem(404, "file-unknown", "clients fetch the files of this index by themselves")
    file = listing and listing.find(name)
    headers = {"Cache-Control": _FOR_EVER, "X-Content-Type-Options": "nosniff"}
    if file:
        headers["Content-Type"] = "application/octet-stream"
        path = await upstream.fetch(project, file.listed)
        return web.FileResponse(path, headers=headers)
    beside = listing and await upstream.fetch_beside(project, listing, name)
    if not beside:
        raise Problem(404, "file-unknown", f"`{project}` has no file `{name}`")
    headers["Content-Type"] = beside.kind
    return web.Response(body=beside.content, headers=headers)


async def refuse_file(index: Index, request: web.Request) -> web.StreamResponse:
    """Refuse an sdist that could not be built, with the reason where installers show one."""
    index.check_access(request)
    target, name = await _find_target(index, request), request.match_info["name"]
    failures = index.site.wheels.failures(target.identity, request.match_info["project"])
    failure = next((each for each in failures.values() if each.file_name == name), None)
    if failure is None:
        raise Problem(404, "file-unknown", f"nothing is known of `{name}`")
    log = f"; see {index.server.url}/builds/{failure.run}" if failure.run else ""
    detail = f"`{name}` cannot be built: {failure.message}{log}"
    problem = Problem(424, failure.code, detail, failure.hint).answer()
    phrase = " ".join(f"{failure.code}: {failure.message}".split())
    problem.set_status(424, phrase.encode("ascii", "replace").decode()[:200])
    return problem


async def describe_target(index: Index, request: web.Request) -> web.StreamResponse:
    """Describe a target: its Python, its rules, what failed, and how installers are told of it."""
    index.check_access(request)
    target, site = await _find_target(index, request), index.site
    url = f"{index.server.url or 'http://localhost'}/{target.name}/simple/"
    policy = site.rules.find_policy(target.name, "")
    lines = [
        f"wheels for Python {target.interpreter.version}, built on demand (policy: {policy})",
        *([f"Linux wheels are made fit for {target.repair}"] if target.repair else []),
        *([f"the sandbox of its builds: {target.sandbox}"] if target.sandbox else []),
        *("", "# pip.conf", "[global]", f"index-url = {url}"),
        *("", "# uv.toml", "[[index]]", f'url = "{url}"', "default = true"),
    ]
    failures = site.wheels.failures(target.identity)
    lines += ["", "sdists that cannot be built:"] if failures else []
    lines += [f"  {each.file_name}: {each.code}: {each.message}" for each in failures.values()]
    return web.Response(text="\n".join(lines) + "\n", headers={"Cache-Control": "no-store"})


_ROUTES: tuple[tuple[str, Handler], ...] = (
    ("/simple/{project}/", show_project),  # they are tried in this order
    ("/", describe_target),
    ("/simple", show_root),
    ("/simple/", show_root),
    ("/simple/{project}", show_project),
    ("/files/{sha256}/{name}", fetch_file),
    ("/upstream/{project}/{name}", pass_on_file),
    ("/failed/{project}/{name}", refuse_file),
)
_SET_ROUTES: tuple[tuple[str, Handler], ...] = (
    ("/simple/", show_set_page),
    ("/simple/{project}/", show_set_page),
    ("/files/{sha256}/{name}", fetch_file),
    ("/upstream/{project}/{name}", pass_on_file),
)
