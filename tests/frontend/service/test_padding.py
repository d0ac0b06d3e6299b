"""Pages that go on coming: their first byte, and what becomes of those that break off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.index import JSON, Manners, Project, Slow, Status, serve
from tests.support.on_demand import OnDemand, on_demand, on_demand_of, sdist_of
from tests.support.service import until

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("padding"),
]
PIP, UV = "pip/26.3 {}", "uv/0.13.9 {}"
SILENT = Slow(seconds=60)
_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


@contextlib.contextmanager
def asking(site: OnDemand, path: str, client: str) -> Generator[Any]:
    """Yield an answer whose body may still be to come."""
    with contextlib.closing(site.connect()) as connection:
        connection.request("GET", path, headers={"Accept": JSON, "User-Agent": client})
        yield connection.getresponse()


def show_now(site: OnDemand, path: str, client: str = "") -> tuple[int, str]:
    """Return the status and the place of an answer, without waiting for its body."""
    with asking(site, path, client) as answer:
        return answer.status, answer.headers["Location"] or ""


def gated(directory: Path, name: str) -> tuple[Project, Path]:
    """Return a project whose wheel is built as soon as there is a file."""
    gate = directory / f"{name}.gate"
    code = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    return Project(name, sdist_of(directory, name, build_wheel=code)), gate


def test_pip__waits_for_the_body_of_a_redirect_to_the_same_page(tmp_path: Path) -> None:
    slow, gate = gated(tmp_path, "slow")
    path = "/this/simple/slow/"
    with on_demand(tmp_path, slow) as site, asking(site, path, PIP) as answer:
        assert answer.status == 307
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["ETag"] is None
        assert answer.read(1) == b" "
        place = answer.headers["Location"]
        assert urlsplit(urljoin(path, place)).path == path
        gate.touch()
        assert not answer.read().strip()

        page = site.get(urljoin(path, place), User_Agent=PIP)
        assert page.status == 200
        assert page.find(".whl")
        # The client has stored another URL under this tag, and would have nothing to show.
        tag = page.headers["ETag"]
        assert site.get(urljoin(path, place), User_Agent=PIP, If_None_Match=tag).status == 200
        assert site.get(path, User_Agent=PIP, If_None_Match=tag).status == 304


def test_pip__is_told_what_is_so_after_the_redirect(tmp_path: Path) -> None:
    broken = Project("broken", faults=[Status(code=403)] * 9)
    with on_demand(tmp_path, broken) as site:
        for name, status in (("absent", 404), ("broken", 502)):
            path = f"/this/simple/{name}/"
            with asking(site, path, PIP) as answer:
                answer.read()
                assert answer.status == 307
            assert (
                site.get(urljoin(path, answer.headers["Location"]), User_Agent=PIP).status == status
            )


@pytest.mark.stress
def test_pip__has_a_byte_before_any_index_was_asked(tmp_path: Path) -> None:
    with on_demand(tmp_path, Project("silent", faults=[SILENT])) as site:
        assert show_now(site, "/this/simple/silent/", PIP)[0] == 307


def test_page__whose_wheel_is_missing_begins_before_its_index_is_asked_again(
    tmp_path: Path,
) -> None:
    project, gate = gated(tmp_path, "slow")
    project = Project("slow", *project.files)
    with on_demand(tmp_path, project) as site:
        path = "/this/simple/slow/"
        assert show_now(site, path, UV)[0] == 200
        asked = site.upstream.count(path.removeprefix("/this"))
        site.upstream.put(Project("slow", *project.files, faults=[SILENT] * (asked + 1)))
        with asking(site, path, UV) as answer:
            assert (answer.status, answer.headers["ETag"]) == (200, None)
            assert answer.read(1) == b" "
        gate.touch()


def test_page__of_an_unknown_project_has_no_status_before_its_index_has_answered(
    tmp_path: Path,
) -> None:
    with on_demand(tmp_path, Project("late", faults=[Slow(seconds=0.5)])) as site:
        assert site.show("absent", User_Agent=UV).status == 404
        started = time.monotonic()
        answer = site.show("late", User_Agent=UV)
        assert time.monotonic() - started >= 0.5
        assert answer.status in {200, 502}


def test_page__that_has_not_changed_is_not_sent_again_although_its_index_is_asked(
    tmp_path: Path,
) -> None:
    with on_demand(tmp_path, Project("quick", sdist_of(tmp_path, "quick"))) as site:
        assert site.show("quick").find(".whl")
        tag = site.show("quick", User_Agent=UV).headers["ETag"]
        asked = site.upstream.count("/simple/quick/")

        assert site.show("quick", User_Agent=UV, If_None_Match=tag).status == 304
        assert site.upstream.count("/simple/quick/") == asked + 1


def test_page__is_shown_as_it_is_to_who_has_waited_for_long(tmp_path: Path) -> None:
    slow, _ = gated(tmp_path, "slow")
    with on_demand(tmp_path, slow) as site:
        for moment in ("0", "-1e9"):
            answer = site.get(f"/this/simple/slow/?since={moment}", User_Agent=PIP)
            assert [file["filename"] for file in answer.page["files"]] == ["slow-1.0.tar.gz"]
            assert answer.headers["Cache-Control"] == "no-store"
        for moment in ("", "nan", "inf", "x", "1e400", "9e15"):
            assert show_now(site, f"/this/simple/slow/?since={moment}", PIP)[0] == 307
        _, place = show_now(site, f"/this/simple/slow/?a=b&since={time.time() - 5}", PIP)
        assert place.startswith("?a=b&since=")
        assert float(place.partition("since=")[2]) < time.time() - 4


def test_page__of_a_server_that_is_about_to_end_is_asked_for_again(tmp_path: Path) -> None:
    slow, gate = gated(tmp_path, "slow")
    path = "/this/simple/slow/"
    with serve(slow, manners=Manners(json=True)) as upstream:
        with on_demand_of(tmp_path, upstream) as site, asking(site, path, PIP) as answer:
            answer.read(1)
            site.service.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(OSError):
                answer.read()
            site.service.process.wait(15)
        gate.touch()
        with on_demand_of(tmp_path, upstream) as site:
            place = urljoin(path, answer.headers["Location"])
            until(lambda: site.get(place, User_Agent=UV).find(".whl"))


@pytest.mark.skipif(
    not _SOMAXCONN.exists() or int(_SOMAXCONN.read_text(encoding="ascii")) < 1024,
    reason="this kernel lets few clients wait",
)
def test_server__lets_hundreds_of_clients_connect_at_once(tmp_path: Path) -> None:
    with on_demand(tmp_path) as site, contextlib.ExitStack() as stack:
        site.service.process.send_signal(signal.SIGSTOP)
        try:
            host, port = site.url.removeprefix("http://").split(":")
            clients = [
                stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
                for _ in range(500)
            ]
        finally:
            site.service.process.send_signal(signal.SIGCONT)
        for client in clients:
            client.sendall(f"GET /healthz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert {client.recv(15) for client in clients} == {b"HTTP/1.0 200 OK"}


def test_page__is_json_with_spaces_before_it(tmp_path: Path) -> None:
    with (
        on_demand(tmp_path, Project("quick", sdist_of(tmp_path, "quick"))) as site,
        asking(site, "/this/simple/quick/", UV) as answer,
    ):
        body = answer.read()
        assert body[:1] == b" "
        assert len(json.loads(body)["files"]) == 2
