"""Commands that a server does for thin clients: as in one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.batches import Yard
from tests.support.builds import Ground, names_in, write_project, write_sdist
from tests.support.service import ONCE, PLAIN, Service, finish, serving, start_client, until
from wheelforge.build.targets import find_layout
from wheelforge.cli.arguments import parse_words
from wheelforge.cli.client import _OTHERS, COMMANDS
from wheelforge.cli.hosted import Declined, Hosting, Observer
from wheelforge.cli.parser import COMMANDS as ALL_COMMANDS
from wheelforge.cli.parser import build_parser

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-commands"),
]
STRANGE = {
    "CFLAGS": "-O0 -DSERVER",
    "TZ": "Asia/Tokyo",
    "PATH": "/bin",
    "LC_ALL": "C",
    "SECRET": "of the server",
    "PYTHONHASHSEED": "1",
    "SOURCE_DATE_EPOCH": "1",
}
SLOW = "import time, pathlib; pathlib.Path({mark!r}).write_text('x'); time.sleep(60)"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ground = Ground.make(tmp_path_factory.mktemp("service"))
    with serving(ground, variables=STRANGE, umask=0o077) as service:
        yield service


def read_facts(wheel: Path) -> Any:  # ruff: ignore[any-type]
    with zipfile.ZipFile(wheel) as archive:
        return json.loads(archive.read("willing_facts.json"))


def test_client__a_build_ends_as_in_one_process(service: Service, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path)

    remote = service.run(sdist, "-o", tmp_path / "a", "--report", tmp_path / "a.json")
    local = finish(start_client(service.ground, sdist, "-o", tmp_path / "b"))

    assert remote.code == local.code == 0
    assert remote.out.replace("/a/", "/b/") == local.out
    assert remote.err == local.err
    assert json.loads((tmp_path / "a.json").read_bytes())["totals"]["built"] == 1


def test_client__a_failure_ends_as_in_one_process(service: Service, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, build_wheel="raise SystemExit('no wheel today')")

    remote = service.run(sdist, "-o", tmp_path / "a", "--era", "off")
    local = finish(start_client(service.ground, sdist, "-o", tmp_path / "b", "--era", "off"))

    assert (remote.code, remote.err, remote.out) == (local.code, local.err, local.out)
    assert remote.error == "backend-failed"


@pytest.mark.parametrize("words", [["metadata"], ["build", "--metadata"], ["nonsense.txt"]])
def test_client__other_commands_and_usage_errors_are_the_same(
    service: Service, tmp_path: Path, words: list[str]
) -> None:
    project = write_project(tmp_path / "p")
    source = [] if words[0] == "nonsense.txt" else [project]

    remote = service.run(*words, *source)
    local = finish(start_client(service.ground, *words, *source))

    assert (remote.code, remote.err, remote.out) == (local.code, local.err, local.out)


def test_client__locks_and_relative_paths_are_those_of_its_directory(
    service: Service, tmp_path: Path
) -> None:
    write_project(tmp_path / "p")

    done = service.run("lock", "p", "-o", "pylock.x.toml", directory=tmp_path)

    assert done.code == 0, done.err
    assert "willing" in (tmp_path / "pylock.x.toml").read_text(encoding="utf-8")


def test_hooks__have_the_client_s_variables_and_umask_and_none_of_the_server(
    service: Service, tmp_path: Path
) -> None:
    code = "import os; m = os.umask(0); os.umask(m); files['umask'] = oct(m)"
    project = write_project(tmp_path / "p", build_wheel=code)
    words = (project, "--wheel", "-o")
    variables = {"CFLAGS": "-O2", "TZ": "UTC", "MINE": "yes"}

    done = service.run(*words, tmp_path / "a", variables=variables, umask=0o027)
    local = start_client(service.ground, *words, tmp_path / "b", variables=variables, umask=0o027)

    assert finish(local).code == done.code == 0, done.err
    ours, theirs = read_facts(done.paths[0]), read_facts(tmp_path / "b" / done.paths[0].name)
    assert ours["environ"] == theirs["environ"]
    assert ours["environ"]["MINE"] == "yes"
    assert "SECRET" not in ours["environ"]
    assert ours["path"] == theirs["path"]
    with zipfile.ZipFile(done.paths[0]) as archive:
        assert archive.read("umask") == b"0o27"


def test_hooks__have_the_client_s_limits_and_none_of_the_server(
    service: Service, tmp_path: Path
) -> None:
    code = (
        "import resource as r;"
        "files['limits'] = repr([r.getrlimit(n) for n in (r.RLIMIT_NOFILE, r.RLIMIT_CORE)])"
    )
    sdist = write_sdist(tmp_path, build_wheel=code)
    words = [*service.ground.words(sdist, "--no-reuse", "--server", service.address)]

    def build(limits: str, place: str) -> str:
        out = tmp_path / place
        command = [sys.executable, "-m", "wheelforge", *words, "-o", out]
        shell = ["sh", "-c", f'{limits} exec "$@"', "sh", *map(str, command)]
        subprocess.run(shell, env=PLAIN, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
        with zipfile.ZipFile(next(out.iterdir())) as archive:
            return archive.read("limits").decode()

    own = [resource.getrlimit(each) for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
    found = [build("", "a"), build("ulimit -n 321; ulimit -c 0;", "b"), build("", "c")]

    assert found == [repr(own), repr([(321, 321), (0, 0)]), repr(own)]


def test_wheels__are_byte_identical_under_a_strange_server(
    service: Service, tmp_path: Path
) -> None:
    yard = Yard(place=service.ground.links.parent)
    yard.backend()
    sdist = yard.served_sdist("tiny")
    places = ("a", "b", "c", "api")
    for place in places[:3]:
        done = service.run(sdist, "-o", tmp_path / place, "--no-reuse")
        assert done.code == 0, done.err
    asked = {"find_links": [str(service.ground.links)], "no_index": True, "no_reuse": True}
    build = service.wait(service.build(sdist, output=str(tmp_path / "api"), **asked))
    assert build["verdict"] == "built", build
    local = finish(start_client(service.ground, sdist, "-o", tmp_path / "local", "--no-reuse"))

    contents = {(tmp_path / place / local.paths[0].name).read_bytes() for place in places}

    assert contents == {local.paths[0].read_bytes()}


def test_backends__stay_imported_between_commands(service: Service, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path)

    words = (sdist, "--no-reuse", "-o")
    wheels = [service.run(*words, tmp_path / place).paths[0] for place in ("a", "b", "c")]
    other = service.run(*words, tmp_path / "d", umask=0o002).paths[0]

    facts = [read_facts(wheel) for wheel in wheels]
    assert len({each["imported"] for each in facts}) == 1
    assert len({each["running"] for each in facts}) == len(facts)
    assert read_facts(other)["imported"] != facts[0]["imported"]


def test_client__ctrl_c_ends_the_build_with_130(service: Service, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    sdist = write_sdist(tmp_path, build_wheel=SLOW.format(mark=str(mark)))
    client = service.start(sdist, "-o", tmp_path / "out")
    until(mark.exists)

    client.send_signal(signal.SIGINT)
    done = finish(client)

    assert done.code == 130
    assert done.err.splitlines()[-1] == "interrupted"
    assert names_in(tmp_path / "out") == []
    until(lambda: service.ask("GET", "/api/v1/queue")[1]["running"] == [], 2)


def test_client__killed_takes_its_build_with_it(service: Service, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = SLOW.format(mark=str(mark)).replace("'x'", "str(__import__('os').getpid())")
    sdist = write_sdist(tmp_path, build_wheel=code)
    client = service.start(sdist, "-o", tmp_path / "out")
    until(lambda: mark.exists() and mark.read_text())

    client.kill()
    finish(client)

    until(lambda: not Path("/proc", mark.read_text()).exists(), 2)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--cache-dir", "{tmp}/other"], "another cache"),
        (["--server", "unix:{tmp}/nobody"], "No such file"),
    ],
)
def test_client__builds_by_itself_where_the_server_cannot(
    service: Service, tmp_path: Path, words: list[str], reason: str
) -> None:
    sdist = write_sdist(tmp_path)
    given = [word.format(tmp=tmp_path) for word in words]
    ground = Ground(cache=Path(given[-1]), links=service.ground.links)
    at = ground if given[0] == "--cache-dir" else service.ground
    more = [] if given[0] == "--cache-dir" else given
    base: list[str | Path] = ["--server", service.address, *more, sdist, "-o", tmp_path / "out"]

    refused = finish(start_client(at, *base, "--server-required"))
    before = names_in(tmp_path / "out")
    done = finish(start_client(at, *base))

    assert refused.error == "server-unusable"
    assert (refused.code, before) == (5, [])
    assert done.code == 0
    assert [line for line in done.err.splitlines() if reason in line]
    assert len(names_in(tmp_path / "out")) == 1


def test_hosted_command__has_the_cache_of_the_server_or_is_declined(tmp_path: Path) -> None:
    hosting = Hosting(str(find_layout(None).root), Observer(lambda *_: None), floor="none")

    hosting.check(parse_words([]))
    for words in (["--no-cache"], ["--cache-dir", str(tmp_path / "other")]):
        with pytest.raises(Declined, match="another cache"):
            hosting.check(parse_words(words))


def test_client__of_another_version_builds_by_itself(service: Service, tmp_path: Path) -> None:
    code = "import wheelforge.version as v; v.VERSION = '9'; import wheelforge.cli as c; c.run()"
    sdist = write_sdist(tmp_path)
    words = service.ground.words("--server", service.address, sdist, "-o", tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert "and this is 9" in done.stderr
    assert len(names_in(tmp_path / "out")) == 1


def test_client__knows_the_commands_that_no_server_does() -> None:
    served = {
        name for name in ALL_COMMANDS if "--server-required" in build_parser(name).format_help()
    }

    assert served == set(COMMANDS)
    assert {name.split()[0] for name in ALL_COMMANDS} - served == _OTHERS


def test_client__imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import wheelforge.cli.client;"
        "wheelforge.cli.client.run_remotely([], 'unix:/nobody');"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()

    ours = {name for name in loaded if name.startswith("wheelforge")}
    assert ours == {
        "wheelforge",
        "wheelforge.cli",
        "wheelforge.cli.client",
        "wheelforge.version",
    }
    assert not {"socket", "json", "argparse", "signal", "pathlib", "re"} & set(loaded)


def test_server__killed_leaves_no_hook_and_its_client_builds(
    tmp_path: Path,
) -> None:
    ground, mark = Ground.make(tmp_path), tmp_path / "mark"
    code = ONCE.format(mark=str(mark))
    sdist = write_sdist(tmp_path, build_wheel=code)
    with serving(ground) as service:
        client = service.start(sdist, "-o", tmp_path / "out")
        until(lambda: mark.exists() and mark.read_text())

        service.process.kill()
        done = finish(client)

        assert done.code == 0
        assert "it has ended meanwhile" in done.err
        until(lambda: not Path("/proc", mark.read_text()).exists(), 2)
        assert len(names_in(tmp_path / "out")) == 1
