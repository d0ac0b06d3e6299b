"""Builds whose hooks are in a sandbox: what they get, what is refused, and what is said of it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.builds import Ground, write_project, write_sdist
from tests.support.forge import Done, Place
from tests.support.hooks import wait_until

Words = list[str | Path]
pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("bwrap") is None, reason="needs bubblewrap"
    ),
    pytest.mark.xdist_group("users"),
]
WITHOUT_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    *('echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" "$@"',),
)
"""Runs a command where no further user namespace can be made, as in many a container."""
_FILTERED = """
import os, sys
from wheelforge.hooks.sandbox.enter import call, filter_calls
from wheelforge.hooks.sandbox.filter import write_filter
call("prctl", "no new privileges", 38, 1, 0, 0, 0)
filter_calls(write_filter(os.uname().machine, only_tcp=False))
os.execv(sys.argv[1], sys.argv[1:])
"""
WITH_FILTERED_CALLS = (sys.executable, "-c", _FILTERED)
"""Runs a command where a filter refuses the call that makes namespaces, as that of Docker does."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(path=tmp_path)


def build(place: Place, *words: str | Path, build_wheel: str = "") -> Done:
    """Build a wheel of an sdist with a backend of its own, whose hook runs that code first."""
    sdist = write_sdist(place.path, own=True, build_wheel=build_wheel)
    return place.run(sdist, "-o", place.path / "out", "--no-index", *words)


def read_report(path: Path) -> dict[str, object]:
    facts: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))["builds"][0]
    return facts


def test_sandbox__report_and_log_tell_level_and_rung(place: Place) -> None:
    report = place.path / "report.json"

    done = build(place, "--sandbox", "auto", "--report", report)

    assert done.code == 0, done.err
    expected = {"level": "strict", "rung": "bubblewrap", "reasons": [], "network": False}
    facts = read_report(report)
    assert facts["sandbox"] == expected
    assert "-- sandbox: strict (bubblewrap) --" in Path(str(facts["log"])).read_text("utf-8")


@pytest.mark.parametrize("sandbox", ["strict", "tcp-off"])
def test_sandbox__home_and_temporary_directory_are_new(place: Place, sandbox: str) -> None:
    code = """
        import os, tempfile
        assert os.listdir(os.path.expanduser("~")) == []
        assert os.listdir(tempfile.gettempdir()) == []
        open(os.path.expanduser("~/x"), "w").close()
        tempfile.NamedTemporaryFile().close()
    """

    done = build(place, "--sandbox", sandbox, build_wheel=textwrap.dedent(code))

    assert done.code == 0, done.err


@pytest.mark.parametrize("sandbox", ["strict", "tcp-off"])
def test_sandbox__backend_of_the_environment_is_imported_inside(
    place: Place, own: Ground, sandbox: str
) -> None:
    secret = place.path / "secret"
    secret.write_text("secret", encoding="utf-8")
    module = f"""
        try:
            SEEN = open({str(secret)!r}).read()
        except OSError:
            SEEN = ""
        from willing import *
    """
    own.stock.add("spy", files={"spy.py": textwrap.dedent(module).encode()})
    code = "import spy; print('SEEN', repr(spy.SEEN))"
    sdist = write_sdist(place.path, requires=("spy", "willing"), build_wheel=code)
    manifest = sdist.parent / "trees" / "demo" / "pyproject.toml"
    text = manifest.read_text("utf-8").replace('build-backend = "willing"', 'build-backend = "spy"')
    manifest.write_text(text, encoding="utf-8")
    words: Words = [
        manifest.parent,
        "-w",
        "-o",
        place.path / "out",
        "--find-links",
        own.links,
        "-v",
    ]

    done = place.call(*words, "--sandbox", sandbox)

    assert done.code == 0, done.err
    assert "SEEN ''" in done.out + done.err


def test_sandbox__strict_fails_closed_with_the_reason(place: Place) -> None:
    sdist = write_sdist(place.path, own=True)

    done = place.call(sdist, "-o", place.path, "--sandbox", "strict", before=WITHOUT_NAMESPACES)

    assert (done.code, done.error) == (5, "sandbox-unavailable")
    assert "bubblewrap: user namespaces are forbidden here" in done.err
    assert "unshare: user namespaces are forbidden here" in done.err
    assert "Traceback" not in done.err
    assert list(place.path.glob("*.whl")) == []


@pytest.mark.parametrize("before", [WITHOUT_NAMESPACES, WITH_FILTERED_CALLS])
def test_sandbox__auto_takes_the_next_rung_and_says_why(
    place: Place, before: tuple[str, ...]
) -> None:
    sdist, report = write_sdist(place.path, own=True), place.path / "report.json"
    words: Words = [sdist, "-o", place.path, "--no-index", "--sandbox", "auto", "--report", report]

    done = place.call(*words, before=before)

    assert done.code == 0, done.err
    facts = read_report(report)["sandbox"]
    assert isinstance(facts, dict)
    assert facts["rung"] == "landlock"
    assert ["user namespaces" in reason for reason in facts["reasons"]] == [True, True]


def test_sandbox__unknown_reason_is_quoted_as_the_program_says_it(place: Place) -> None:
    programs = place.path / "bin"
    programs.mkdir()
    (programs / "bwrap").write_text("#!/bin/sh\necho 'out of order' >&2\nexit 1\n", "utf-8")
    (programs / "bwrap").chmod(0o755)
    report = place.path / "report.json"
    search = f"{programs}:{os.environ['PATH']}"
    sdist = write_sdist(place.path, own=True)
    words: Words = [sdist, "-o", place.path, "--no-index", "--sandbox", "auto", "--report", report]

    done = place.run(*words, PATH=search)

    assert done.code == 0, done.err
    facts = read_report(report)["sandbox"]
    assert isinstance(facts, dict)
    assert (facts["rung"], facts["reasons"]) == ("unshare", ["bubblewrap: out of order"])


def test_sandbox__level_below_the_required_one_builds_nothing(place: Place) -> None:
    done = build(place, "--sandbox", "tcp-off", "--require-sandbox", "strict")

    assert (done.code, done.error) == (5, "sandbox-unavailable")
    assert "`strict`" in done.err


def test_sandbox__command_is_put_before_the_hooks(place: Place) -> None:
    code = "import resource; assert resource.getrlimit(resource.RLIMIT_NOFILE) == (77, 77)"

    done = build(place, "--sandbox", "prlimit '--nofile=77:77'", build_wheel=code)

    assert done.code == 0, done.err


def test_sandbox__command_that_ends_at_once_is_quoted(place: Place) -> None:
    done = build(place, "--sandbox", "sh -c 'echo out of order >&2; exit 1'")

    assert (done.code, done.error) == (5, "hook-not-started")
    assert "out of order" in done.err


@pytest.mark.parametrize("command", ["stirct", "firejail '", "''"])
def test_sandbox__command_that_is_not_there_is_an_error(place: Place, command: str) -> None:
    done = build(place, "--sandbox", command)

    assert (done.code, done.error) == (2, "sandbox-command-missing")


def test_sandbox__override_allows_the_network_and_files_to_one_package(place: Place) -> None:
    tools = place.path / "tools"
    tools.mkdir()
    (tools / "tool").write_text("x", encoding="utf-8")
    report, overrides = place.path / "report.json", place.path / "overrides.toml"
    reading = f"open({str(tools / 'tool')!r}).read()"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port})); {reading}"
        words = ("--sandbox", "strict", "--report", report)
        refused = build(place, *words, build_wheel=code)
        text = f"""
            [[package]]
            name = "demo"
            reason = "fetches a model"
            sandbox = {{network = true, read = ["{tools}"], reason = "from our mirror"}}
        """
        overrides.write_text(textwrap.dedent(text), encoding="utf-8")
        done = build(place, *words, "--overrides", overrides, build_wheel=code)

    assert refused.code == 4
    assert done.code == 0, done.err
    facts = read_report(report)
    assert isinstance(facts["sandbox"], dict)
    assert facts["sandbox"]["network"] is True
    assert "fetches a model" in json.dumps(facts["overrides"])


def test_sandbox__failure_for_want_of_the_network_tells_how_to_allow_it(place: Place) -> None:
    code = "import socket; socket.getaddrinfo('files.example.org', 443)"

    done = build(place, "--sandbox", "strict", build_wheel=code)

    assert (done.code, done.error) == (4, "build-network")
    assert "`sandbox.network = true`" in done.err


def test_sandbox__wheel_of_a_build_without_one_is_not_used_again(place: Place) -> None:
    words: Words = [
        write_sdist(place.path, own=True),
        "-o",
        place.path / "out",
        "--no-index",
    ]
    reports = [place.path / f"{number}.json" for number in range(3)]

    for report, sandbox in zip(reports, ["none", "strict", "strict"], strict=True):
        assert place.run(*words, "--sandbox", sandbox, "--report", report).code == 0

    found = [read_report(report)["outcome"] for report in reports]
    assert found == ["built", "built", "reused"]


def test_sandbox__answer_is_not_read_through_a_planted_link(place: Place) -> None:
    elsewhere = place.path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "output.json").write_text('{"return_val": "planted.whl"}', encoding="utf-8")
    code = f"""
        import atexit, os, sys
        control = sys.argv[-1]
        def plant():
            os.rename(control, control + "-old")
            os.symlink({str(elsewhere)!r}, control)
        atexit.register(plant)
    """

    done = build(place, "--sandbox", "strict", build_wheel=textwrap.dedent(code))

    assert done.code == 0, done.err
    assert (elsewhere / "output.json").exists()


@pytest.mark.parametrize("member", [".", "members/demo"])
def test_sandbox__directory_sees_its_repository_and_cannot_change_it(
    place: Place, member: str
) -> None:
    top = place.path / "top"
    code = """
        import os, subprocess
        top = subprocess.check_output(["git", "rev-parse", "--show-toplevel"], text=True).strip()
        assert subprocess.run(["git", "diff", "--quiet", "HEAD"]).returncode == 0
        try:
            open(os.path.join(top, ".git", "hooks", "post-checkout"), "w")
        except OSError:
            pass
        else:
            raise SystemExit("written")
        open("written", "w").close()
    """
    project = top / member
    write_project(project, own=True, build_wheel=textwrap.dedent(code))
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "x")):
        subprocess.run([shutil.which("git") or "git", "-C", str(top), *words], check=True)

    done = place.run(project, "-w", "-o", place.path / "out", "--no-index", "--sandbox", "strict")

    assert done.code == 0, done.err
    assert (project / "written").exists()


@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("ccache")), reason="needs ccache")
@pytest.mark.parametrize("sandbox", ["strict", "tcp-off"])
def test_sandbox__objects_of_ccache_are_kept_outside(place: Place, sandbox: str) -> None:
    code = "import subprocess; subprocess.run(['cc', '-c', 'part.c'], check=True)"
    sdist = write_sdist(
        place.path, own=True, build_wheel=code, more={"part.c": f"int {sandbox[0]};"}
    )
    words: Words = [sdist, "-o", place.path / "out", "--no-index", "--no-reuse"]
    words += ["--sandbox", sandbox, "--compiler-cache", "ccache"]

    done = [place.run(*words, CCACHE_DIR=str(place.path / "objects")) for _ in range(2)]

    assert [each.code for each in done] == [0, 0], done
    assert "1 of 1 compilations were in the cache" in done[1].err


def test_sandbox__nothing_is_left_of_a_hook_that_is_late(place: Place) -> None:
    mark = f"wf-late-{os.getpid()}"
    script = "import os, time; os.setsid(); time.sleep(600)"
    code = f"""
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", {script!r}, {mark!r}])
        time.sleep(600)
    """
    words = ("--sandbox", "strict", "--timeout", "0.5")

    done = build(place, *words, build_wheel=textwrap.dedent(code))

    assert (done.code, done.error) == (4, "hook-timed-out")
    wait_until(lambda: not _is_running(mark))


def _is_running(mark: str) -> bool:
    end = mark.encode() + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().endswith(end):
                return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize("sandbox", ["none", "strict", "tcp-off"])
def test_limits__of_memory_and_files_hold_for_all_processes_of_a_hook(
    place: Place, sandbox: str
) -> None:
    code = """
        import os, subprocess, sys
        def fails(words, status):
            done = subprocess.run([sys.executable, "-c", words], stderr=subprocess.PIPE)
            assert done.returncode == status, done
        fails("bytearray(300 << 20)", 1)
        fails("open('large', 'wb').write(bytes(40 << 20))", 1)
        assert os.path.getsize("large") == 32_000_000
        bytearray(50 << 20)
    """
    words = ("--sandbox", sandbox, "--max-memory", "200MB", "--max-file-size", "32MB")

    done = build(place, *words, build_wheel=textwrap.dedent(code))

    assert done.code == 0, done.err
