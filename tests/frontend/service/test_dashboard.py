"""The pages of a server: whole without scripts, live with them, harmless whatever is built."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")
pytest.importorskip("jinja2", reason="the extra `service` is not installed")

from tests.support.browser import Browser, find_browser, open_browser
from tests.support.builds import Ground, write_sdist
from tests.support.service import Service, serving, until
from wheelforge.service.access import read_tokens
from wheelforge.service.home import Home
from wheelforge.service.queue import Queue, Run, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-dashboard"),
]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m"


def fill(ground: Ground, count: int) -> None:
    """Let a queue remember builds that an earlier server has done."""
    home = Home.of(ground.cache)
    home.prepare()
    queue, now = Queue(home.database), time.time()
    error = {"code": "header-missing", "message": HOSTILE, "hint": f"install {HOSTILE}"}
    for number in range(count):
        is_failed = number % 7 == 0
        run = Run(new_id(), str(number), "build", f"{HOSTILE}{number}", {}, "ci", 20, "done", now)
        outcome = {"error": error if is_failed else None, "notes": [HOSTILE]}
        queue.add_run(
            run._replace(
                started=now - 9, ended=now, verdict="failed" if is_failed else "built",
                outcome=outcome,
            )
        )  # fmt: skip
    queue.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ground = Ground.make(tmp_path_factory.mktemp("service"))
    fill(ground, 1000)
    words = ["--listen", "127.0.0.1:0", "--target", "this=3.11"]
    with serving(ground, *words, "--no-index", "-f", ground.links) as service:
        yield service


def test_pages__are_whole_without_scripts_and_escape_all_text(
    service: Service, tmp_path: Path
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=f"raise SystemExit({HOSTILE!r})")
    build = service.wait(service.build(sdist, era="off"))

    for target in ("/", f"/builds/{build['id']}", f"/builds/{build['run']}", "/?offset=30"):
        status, headers, body = service.fetch("GET", target, Accept="text/html")
        text = body.decode()
        assert status == 200
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\x1b" not in text
    overview = service.fetch("GET", "/", Accept="text/html")[2].decode()
    assert sdist.name in overview
    assert "header-missing" in overview


def test_pages__are_json_at_the_same_url(service: Service, tmp_path: Path) -> None:
    build = service.wait(service.build(write_sdist(tmp_path)))

    overview = service.ask("GET", "/", Accept="application/json")[1]
    page = service.ask("GET", f"/builds/{build['id']}", Accept="application/json")[1]

    assert overview["recent"][0]["label"] == page["label"] == "demo-1.0.tar.gz"
    assert overview["failures"][0]["code"] == "header-missing"
    assert overview["targets"] == [["this", "3.11"]]
    assert page["artifacts"]
    assert service.fetch("GET", "/builds/nothing")[0] == 404
    assert service.fetch("GET", "/assets/secrets")[0] == 404


def test_overview__has_pages_of_bounded_size_with_every_build_once(service: Service) -> None:
    seen, offset, before = list[str](), 0, None
    while True:
        facts = service.ask("GET", f"/?offset={offset}", Accept="application/json")[1]
        page = service.fetch("GET", f"/?offset={offset}", Accept="text/html")[2]
        seen += [run["id"] for run in facts["recent"]]
        assert len(page) < 200_000
        assert facts["newer"] == before
        assert (b">Newer builds<" in page, b">Older builds<" in page) == (
            before is not None, bool(facts["older"]),
        )  # fmt: skip
        if not facts["older"]:
            break
        offset, before = facts["older"], offset

    assert len(seen) == len(set(seen)) == 1000


def test_retry__builds_again_what_has_failed(service: Service, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"import pathlib; p = pathlib.Path({str(mark)!r}); assert p.exists()"
    sdist = write_sdist(tmp_path, build_wheel=code)
    build = service.wait(service.build(sdist, era="off"))
    mark.write_text("now it works")

    again = service.ask("POST", f"/api/v1/runs/{build['run']}/retry", {})[1]["id"]

    assert build["verdict"] == "failed"
    until(lambda: service.ask("GET", f"/builds/{again}")[1]["state"] == "done")
    assert service.ask("GET", f"/builds/{again}")[1]["verdict"] == "built"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium")
    with open_browser(program, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def locate(service: Service) -> str:
    url = json.loads((service.home / "server.json").read_bytes())["url"]
    token = next(t for t, role in read_tokens(service.home / "tokens").items() if role == "admin")
    return str(url).replace("http://", f"http://anybody:{token}@")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_pages__fit_every_screen_and_complain_of_nothing(
    service: Service, browser: Browser, tmp_path: Path, width: int, theme: str
) -> None:
    build = service.wait(service.build(write_sdist(tmp_path, name="x" * 90)))
    place = locate(service)

    for name, target in (("overview", "/"), ("build", f"/builds/{build['run']}")):
        browser.complaints.clear()
        browser.open(f"{place}{target}", width=width, theme=theme)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('section').length") >= 3
        assert browser.complaints == []
        shots = os.environ.get("WHEELFORGE_TEST_PICTURES")
        if shots:
            from pathlib import Path as Place

            browser.picture(Place(shots) / f"{name}-{width}-{theme}.png")


def test_overview__is_live_with_scripts(service: Service, browser: Browser, tmp_path: Path) -> None:
    browser.open(f"{locate(service)}/", width=1000)
    sdist = write_sdist(tmp_path, name="lively", build_wheel="import time; time.sleep(3)")

    number = service.build(sdist)

    until(lambda: "lively-1.0" in browser.run("document.body.innerText"))
    until(lambda: browser.run("document.title").startswith("1 running"))
    service.wait(number)
    until(lambda: browser.run("document.title").startswith("0 running"))
