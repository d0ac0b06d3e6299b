"""The API: builds, events, logs and results, for clients of the server's own user."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.service import ONCE, PLAIN, Service, serving, until
from wheelforge.service.api import ROUTES
from wheelforge.service.client import UnixConnection
from wheelforge.service.requests import FIELDS
from wheelforge_isolation import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-api"),
]
COUNTING = "open({place!r}, 'a').write('x'); import time; time.sleep({seconds})"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ground = Ground.make(tmp_path_factory.mktemp("service"))
    options = ["--no-index", "--find-links", str(ground.links)]
    with serving(ground, *options, "--target", "this=3.11", "-j", "2") as service:
        yield service


def test_openapi__describes_every_route_and_field(service: Service) -> None:
    _, document = service.ask("GET", "/api/v1/openapi.json")

    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    assert document["components"]["schemas"]["Request"]["properties"].keys() == FIELDS.keys()


def test_openapi__refers_to_schemas_that_are_those_of_the_answers(
    service: Service, tmp_path: Path
) -> None:
    document = json.dumps(service.ask("GET", "/api/v1/openapi.json")[1])
    schemas = json.loads(document)["components"]["schemas"]
    number = service.build(write_sdist(tmp_path))

    unfinished = service.ask("GET", "/api/v1/builds/nothing/why")[1]
    build = service.wait(number)
    why = service.ask("GET", f"/api/v1/builds/{number}/why")[1]

    assert set(re.findall(r"#/components/schemas/(\w+)", document)) == schemas.keys()
    for name, answer in (("Build", build), ("Cause", why), ("Problem", unfinished)):
        assert set(schemas[name]["required"]) <= answer.keys() <= schemas[name]["properties"].keys()
    assert (why["code"], why["sentence"]) == ("first", "no earlier build of it is in this cache")


def test_build__that_is_reused_is_delivered_as_well(service: Service, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, name="twice")

    verdicts = [
        service.wait(service.build(sdist, output=str(tmp_path / place)))["verdict"]
        for place in ("a", "b")
    ]

    assert verdicts == ["built", "reused"]
    assert names_in(tmp_path / "a") == names_in(tmp_path / "b") == ["twice-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    "target",
    [
        route.path
        for route in ROUTES
        if route.method == "GET" and "{" not in route.path and "event-stream" not in route.answer
    ],
)
def test_routes__answer_as_described(service: Service, target: str) -> None:
    status, headers, body = service.fetch("GET", target)

    (route,) = (each for each in ROUTES if (each.method, each.path) == ("GET", target))
    assert status in route.statuses
    assert headers["Content-Type"].partition(";")[0] == route.answer
    assert body


def test_build__its_answer_fits_the_schema_and_its_results_are_fetched(
    service: Service, tmp_path: Path
) -> None:
    schema = service.ask("GET", "/api/v1/openapi.json")[1]["components"]["schemas"]["Build"]

    number = service.build(write_sdist(tmp_path), output=str(tmp_path / "out"))
    build = service.wait(number)

    import_module("jsonschema").validate(build, schema)
    (artifact,) = build["artifacts"]
    status, headers, body = service.fetch("GET", artifact["url"])
    assert status == 200
    assert artifact["name"] in headers["Content-Disposition"]
    assert names_in(tmp_path / "out") == [artifact["name"]]
    delivered = tmp_path / "out" / artifact["name"]
    assert digest(delivered) == artifact["sha256"]
    assert delivered.read_bytes() == body
    assert service.fetch("GET", f"/api/v1/artifacts/{'0' * 64}")[0] == 404


def test_idempotency_key__names_the_same_build(service: Service, tmp_path: Path) -> None:
    document = {"source": str(write_sdist(tmp_path)), "detach": True}
    other = {**document, "priority": "set"}

    first = service.ask("POST", "/api/v1/builds", document, Idempotency_Key="one")
    again = service.ask("POST", "/api/v1/builds", document, Idempotency_Key="one")
    clash = service.ask("POST", "/api/v1/builds", other, Idempotency_Key="one")

    assert (first[0], again[0], clash[0]) == (202, 200, 422)
    assert first[1]["id"] == again[1]["id"]
    assert clash[1]["code"] == "idempotency-key-reused"


def test_equal_requests__share_one_run_and_each_gets_its_copy(
    service: Service, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    code = COUNTING.format(place=str(count), seconds=1)
    sdist = write_sdist(tmp_path, build_wheel=code)

    numbers = [service.build(sdist, output=str(tmp_path / f"o{each}")) for each in range(5)]
    builds = [service.wait(number) for number in numbers]

    assert count.read_text() == "x"
    assert {build["verdict"] for build in builds} == {"built"}
    assert len({build["run"] for build in builds}) == 1
    assert all(names_in(tmp_path / f"o{each}") for each in range(5))


def test_events__resume_after_the_last_one_that_was_seen(service: Service, tmp_path: Path) -> None:
    number = service.build(write_sdist(tmp_path, build_wheel="print('hello')"))
    service.wait(number)
    place = f"/api/v1/builds/{number}"

    whole = [json.loads(line) for line in service.fetch("GET", f"{place}/events")[2].splitlines()]
    rest = service.fetch("GET", f"{place}/events", Last_Event_ID="3")[2].splitlines()
    sse = service.fetch("GET", f"{place}/events", Accept="text/event-stream")
    log = service.fetch("GET", f"{place}/log")[2]
    part = service.fetch("GET", f"{place}/log", Range="bytes=1-3")

    assert [event["seq"] for event in whole[:-1]] == list(range(1, len(whole)))
    assert [json.loads(line) for line in rest] == whole[3:]
    assert sse[1]["Content-Type"] == "text/event-stream"
    assert sse[2].count(b"\n\n") == len(whole)
    assert b"id: 4\nevent: event\ndata: {" in sse[2]
    assert b"hello\n" in log
    assert (part[0], part[2]) == (206, log[1:4])


def test_build__without_anybody_who_follows_is_cancelled(service: Service, tmp_path: Path) -> None:
    code = COUNTING.format(place=str(tmp_path / "count"), seconds=60)
    number = service.build(write_sdist(tmp_path, build_wheel=code), detach=False)
    connection = UnixConnection(service.socket)
    connection.request("GET", f"/api/v1/builds/{number}/events")
    follower = connection.getresponse()
    until((tmp_path / "count").exists)

    follower.close()
    connection.close()

    until(lambda: service.ask("GET", f"/api/v1/builds/{number}")[1]["state"] == "done", 8)
    assert service.ask("GET", f"/api/v1/builds/{number}")[1]["verdict"] == "cancelled"


def test_build__ends_with_the_last_request_for_it(service: Service, tmp_path: Path) -> None:
    code = COUNTING.format(place=str(tmp_path / "count"), seconds=60)
    sdist = write_sdist(tmp_path, build_wheel=code)
    first, second = service.build(sdist), service.build(sdist)
    until((tmp_path / "count").exists)

    service.ask("DELETE", f"/api/v1/builds/{first}")
    goes_on = service.ask("GET", f"/api/v1/builds/{second}")[1]["state"]
    service.ask("DELETE", f"/api/v1/builds/{second}")

    assert goes_on == "running"
    assert service.ask("GET", f"/api/v1/builds/{first}")[1]["verdict"] == "cancelled"
    assert service.wait(second)["verdict"] == "cancelled"


def test_failure__of_a_project_is_remembered_unless_the_request_is_fresh(
    service: Service, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x'); raise SystemExit('not today')"
    sdist = write_sdist(tmp_path, build_wheel=code)

    first = service.wait(service.build(sdist, era="off"))
    again = service.wait(service.build(sdist, era="off"))
    attempts = len(count.read_text())
    fresh = service.wait(service.build(sdist, era="off", fresh=True))

    assert {first["verdict"], again["verdict"], fresh["verdict"]} == {"failed"}
    assert first["error"]["code"] == "backend-failed"
    assert first["run"] == again["run"] != fresh["run"]
    assert len(count.read_text()) > attempts


def test_failure__of_the_machine_is_tried_again(service: Service, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = ONCE.format(mark=str(mark))
    number = service.build(write_sdist(tmp_path, build_wheel=code))
    until(lambda: mark.exists() and mark.read_text())
    run = service.ask("GET", f"/api/v1/builds/{number}")[1]["run"]

    (worker,) = find_workers(service.home / "runs" / run)
    os.kill(worker, signal.SIGKILL)
    build = service.wait(number)

    assert (build["verdict"], build["attempts"]) == ("built", 2)


def find_workers(place: Path) -> list[int]:
    """Return the processes that work in the directory of a run."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if path.readlink() == place:
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"source": ""}, 400, "request-invalid"),
        ({"source": "relative/path"}, 400, "request-invalid"),
        ({"source": "/nowhere/at/all"}, 400, "request-invalid"),
        ({"source": "--help"}, 400, "request-invalid"),
        ({"source": "file:///etc/passwd"}, 403, "request-forbidden"),
        ({"source": "six", "kinds": ["egg"]}, 400, "request-invalid"),
        ({"source": "six", "target": "none"}, 400, "request-invalid"),
        ({"source": "six", "variables": {"A=B": "c"}}, 400, "request-invalid"),
        ({"source": "six", "variables": {"A": 1}}, 400, "request-invalid"),
        ({"source": "six", "timeout": "soon"}, 400, "request-invalid"),
        ({"source": "six", "timeout": True}, 400, "request-invalid"),
        ({"source": "si\0x"}, 400, "request-invalid"),
        ({"source": "six", "exclude_newer": "\ud800"}, 400, "request-invalid"),
        ({"source": "six", "client": "\ud800"}, 400, "request-invalid"),
        ({"source": "six", "variables": {"A": "\ud800"}}, 400, "request-invalid"),
        ({"source": "six", "colour": "red"}, 400, "request-invalid"),
        ([], 400, "request-invalid"),
    ],
)
def test_request__that_makes_no_sense_is_refused_in_one_sentence(
    service: Service, fields: object, status: int, code: str
) -> None:
    found, problem = service.ask("POST", "/api/v1/builds", fields)

    assert (found, problem["code"], problem["status"]) == (status, code, status)
    assert problem["detail"]


@pytest.mark.parametrize("digits", [20, 5000])
@pytest.mark.parametrize("target", ["/?offset=", "/api/v1/builds?offset=", "/api/v1/queue?limit="])
def test_numbers__may_be_of_any_size(service: Service, target: str, digits: int) -> None:
    assert service.fetch("GET", f"{target}{'9' * digits}")[0] == 200


def test_build__of_metadata_and_with_a_target(service: Service, tmp_path: Path) -> None:
    number = service.build(write_sdist(tmp_path), kinds=["metadata"], target="this")

    build = service.wait(number)

    assert build["verdict"] == "built"
    assert json.loads((service.home / "runs" / build["run"] / "stdout").read_bytes())


def test_server__answers_at_once_while_it_builds(service: Service, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, build_wheel="import time; time.sleep(2)")
    numbers = [service.build(sdist, python="3.11", timeout=each) for each in (50, 51, 52, 53)]

    begun = time.monotonic()
    facts = service.ask("GET", "/api/v1/server")[1]
    seconds = time.monotonic() - begun

    assert len(facts["running"]) == 2
    assert facts["queued"] >= 2
    assert seconds < 1
    for number in numbers:
        service.ask("DELETE", f"/api/v1/builds/{number}")


def test_server__twenty_clients_at_once_are_all_served(service: Service, tmp_path: Path) -> None:
    sdists = [write_sdist(tmp_path, name=f"p{number}") for number in range(20)]
    verdicts: list[str] = []

    def build(sdist: Path) -> None:
        verdicts.append(service.wait(service.build(sdist, client=sdist.name))["verdict"])

    threads = [threading.Thread(target=build, args=(sdist,)) for sdist in sdists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verdicts == ["built"] * 20


def test_variables__of_a_request_are_all_that_its_hooks_see(
    service: Service, tmp_path: Path
) -> None:
    code = "import os; files['environ'] = ' '.join(sorted(os.environ))"
    sdist = write_sdist(tmp_path, build_wheel=code)

    build = service.wait(service.build(sdist, variables={**PLAIN, "MINE": "x"}))
    shown = service.fetch("GET", f"/api/v1/builds/{build['id']}")[2]

    import io
    import zipfile

    content = service.fetch("GET", build["artifacts"][0]["url"])[2]
    seen = zipfile.ZipFile(io.BytesIO(content)).read("environ").decode().split()
    assert "MINE" in seen
    assert "WHEELFORGE_SERVER" not in seen
    assert b"MINE" not in shown


def test_connection__broken_off_in_the_middle_of_a_request_does_no_harm(service: Service) -> None:
    for content in (b"", b"POST /api/v1/builds HTTP/1.1\r\nContent-Le", b"\x00" * 100):
        connection = UnixConnection(service.socket)
        connection.connect()
        connection.sock.sendall(content)
        connection.close()
    commands = UnixConnection(service.socket.with_name("socket.run"))
    for content in (b"", b"\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x07command"):
        commands.connect()
        commands.sock.sendall(content)
        commands.close()

    assert service.fetch("GET", "/readyz")[0] == 200
