"""Builds over the API run their hooks in a strict sandbox, unless the server is told otherwise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builds import Ground, write_sdist
from tests.support.service import PLAIN, serving
from wheelforge.hooks.sandbox.ladder import choose_sandbox

_BEST = choose_sandbox("auto", PLAIN["PATH"])
pytestmark = [
    pytest.mark.skipif(
        _BEST.level != "strict", reason=f"this machine has no strict sandbox: {_BEST}"
    ),
    pytest.mark.xdist_group("users"),
]
_DENIED = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" "$@"'


def test_server__builds_over_the_api_are_in_a_strict_sandbox(own: Ground, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="ascii")
    reads, plain = (tmp_path / name for name in ("reads", "plain"))
    bad = write_sdist(reads, own=True, build_wheel=f"open({str(secret)!r}).read()")
    good = write_sdist(plain, own=True)

    with serving(own, "--sandbox", "auto") as service:
        endings = [
            service.wait(service.build(path, output=str(tmp_path / "out"))) for path in (bad, good)
        ]

    outcomes = [ending["outcome"] for ending in endings]
    assert [outcome["outcome"] for outcome in outcomes] == ["failed", "built"]
    assert outcomes[1]["sandbox"]["level"] == "strict"


def test_target__may_have_a_sandbox_of_its_own(own: Ground, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path / "plain", own=True)
    words = ("--target", f"safe={sys.executable}", "--target", f"free={sys.executable}")

    with serving(own, *words, "--sandbox", "auto", "--target-sandbox", "free=none") as service:
        endings = {
            target: service.wait(service.build(sdist, target=target)) for target in ("safe", "free")
        }

    levels = {name: each["outcome"]["sandbox"] for name, each in endings.items()}
    assert levels["safe"]["level"] == "strict"
    assert (levels["free"] or {"level": "none"})["level"] == "none"


def test_server__says_loudly_that_there_is_no_strict_sandbox(own: Ground) -> None:
    words = [*("unshare", "--user", "--map-root-user", "sh", "-c", _DENIED), sys.executable, "-m"]
    command = [*words, "wheelforge", *own.words("serve", "--idle", "0.1")]

    done = subprocess.run(
        command, env=PLAIN, cwd=own.links, capture_output=True, text=True, check=False
    )

    assert "warning: hooks of builds over the API can reach more than they should" in done.stderr
    assert "user namespaces are forbidden here" in done.stderr


def test_server__that_requires_a_strict_sandbox_does_not_start_without_one(own: Ground) -> None:
    words = [*("unshare", "--user", "--map-root-user", "sh", "-c", _DENIED), sys.executable, "-m"]
    command = [*words, "wheelforge", *own.words("serve", "--require-sandbox", "strict")]

    done = subprocess.run(
        command, env=PLAIN, cwd=own.links, capture_output=True, text=True, check=False
    )

    assert done.returncode == 5
    assert done.stderr.startswith("error[sandbox-unavailable]: ")


@pytest.mark.parametrize(
    ("server", "client", "expected"),
    [
        (("--sandbox", "strict"), ("--sandbox", "none"), "strict"),
        (("--sandbox", "auto", "--require-sandbox", "tcp-off"), (), "tcp-off"),
        (("--sandbox", "auto", "--require-sandbox", "tcp-off"), ("--sandbox", "strict"), "strict"),
        (("--sandbox", "auto"), ("--sandbox", "none"), None),
    ],
)
def test_server__stricter_sandbox_of_server_and_client_wins(
    own: Ground,
    tmp_path: Path,
    server: tuple[str, ...],
    client: tuple[str, ...],
    expected: str | None,
) -> None:
    report = tmp_path / "report.json"
    sdist = write_sdist(tmp_path, own=True)

    with serving(own, *server) as service:
        done = service.run(sdist, "-o", tmp_path / "out", "--report", report, *client)

    assert done.code == 0, done.err
    facts = json.loads(report.read_text(encoding="utf-8"))["builds"][0]["sandbox"]
    assert (facts and facts["level"]) == expected
