"""Sandboxes of macOS and Windows: the words and files that are made for them; not run there."""

import ctypes
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from wheelforge.errors import SandboxError
from wheelforge.hooks.sandbox import ladder
from wheelforge.hooks.sandbox.job import pack_limits
from wheelforge.hooks.sandbox.ladder import Sandbox, choose_sandbox
from wheelforge.hooks.sandbox.policy import SandboxPolicy
from wheelforge.hooks.sandbox.seatbelt import write_profile

PROFILE = """\
(version 1)
(deny default)
(import "system.sb")
(allow process-fork)
(allow sysctl-read)
(allow signal (target same-sandbox))
(allow file-read-metadata)
(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow process-exec
  (subpath "/nonexistent/usr")
  (subpath "/nonexistent/a \\"quoted\\" \\\\ place"))
(allow file-read*
  (subpath "/nonexistent/usr")
  (subpath "/nonexistent/a \\"quoted\\" \\\\ place"))
(allow file-map-executable
  (subpath "/nonexistent/usr")
  (subpath "/nonexistent/a \\"quoted\\" \\\\ place"))
(allow file-write*
  (subpath "/nonexistent/a \\"quoted\\" \\\\ place"))
"""
POLICY = SandboxPolicy(
    readable=(Path("/nonexistent/usr"),),
    writable=(Path('/nonexistent/a "quoted" \\ place'),),
)
EXEC = '#!/bin/sh\n[ "$1" = -p ] || exit 64\nshift 2\nexec "$@"\n'

needs_shell = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")


@needs_shell
def test_seatbelt__profile_allows_no_more_than_the_policy() -> None:
    assert write_profile(POLICY) == PROFILE


def test_seatbelt__profile_allows_the_network_only_if_the_policy_does() -> None:
    policy = SandboxPolicy(readable=(), writable=(), network=True)

    assert write_profile(policy).endswith("(allow network*)\n")
    assert "network" not in write_profile(POLICY)


@needs_shell
def test_seatbelt__profile_names_places_behind_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")

    profile = write_profile(SandboxPolicy(readable=(tmp_path / "link",), writable=()))

    assert f'(subpath "{(tmp_path / "real").resolve()}")' in profile
    assert "file-write*" not in profile


@needs_shell
def test_ladder__on_macos_is_sandbox_exec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sandbox-exec"
    program.write_text(EXEC, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(ladder, "RUNGS", ("seatbelt",))
    monkeypatch.setattr(ladder, "PROGRAM", str(program))

    found = choose_sandbox("auto", "/usr/bin:/bin")

    assert (found.rung, found.level) == ("seatbelt", "tcp-off")
    assert choose_sandbox("tcp-off", "/usr/bin:/bin") == found
    assert found.write_prefix(POLICY).words == (str(program), "-p", PROFILE)
    with pytest.raises(SandboxError, match="other processes and the names of files are seen"):
        choose_sandbox("strict", "/usr/bin:/bin")


@needs_shell
def test_ladder__on_macos_says_that_there_is_no_sandbox_exec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "RUNGS", ("seatbelt",))
    monkeypatch.setattr(ladder, "PROGRAM", str(tmp_path / "none"))

    found = choose_sandbox("auto", "/usr/bin:/bin")

    assert found.rung == "none"
    assert found.reasons[0].startswith("seatbelt: ")


def make_structure(*fields: tuple[str, object]) -> Any:  # ruff: ignore[any-type]
    """Return a type with the layout that a C compiler gives to these fields."""
    return type("Limits", (ctypes.Structure,), {"_fields_": fields})


BASIC_LIMITS = make_structure(
    ("process_time", ctypes.c_int64),
    ("job_time", ctypes.c_int64),
    ("flags", ctypes.c_uint32),
    ("least_working_set", ctypes.c_size_t),
    ("most_working_set", ctypes.c_size_t),
    ("processes", ctypes.c_uint32),
    ("affinity", ctypes.c_size_t),
    ("priority", ctypes.c_uint32),
    ("scheduling", ctypes.c_uint32),
)
"""`JOBOBJECT_BASIC_LIMIT_INFORMATION`, as the header of Windows has it."""
EXTENDED_LIMITS = make_structure(
    ("basic", BASIC_LIMITS),
    ("counters", ctypes.c_uint64 * 6),
    ("process_memory", ctypes.c_size_t),
    ("job_memory", ctypes.c_size_t),
    ("peak_process_memory", ctypes.c_size_t),
    ("peak_job_memory", ctypes.c_size_t),
)
"""`JOBOBJECT_EXTENDED_LIMIT_INFORMATION`."""


@pytest.mark.skipif(sys.maxsize < 1 << 32, reason="the layout is that of 64 bits")
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, (0x2000, 0, 0)),
        ({"RLIMIT_DATA": 1 << 33}, (0x2100, 0, 1 << 33)),
        ({"RLIMIT_NPROC": 8}, (0x2008, 9, 0)),
        ({"RLIMIT_DATA": 5, "RLIMIT_NPROC": 1}, (0x2108, 2, 5)),
    ],
)
def test_job__limits_have_the_layout_of_windows(
    limits: dict[str, int], expected: tuple[int, int, int]
) -> None:
    content = pack_limits(limits)

    assert len(content) == ctypes.sizeof(EXTENDED_LIMITS)
    found = EXTENDED_LIMITS.from_buffer_copy(content)
    assert (found.basic.flags, found.basic.processes, found.process_memory) == expected


def test_job__is_entered_by_a_script_before_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    words = Sandbox("job").write_prefix(POLICY, {"RLIMIT_NPROC": 4}).words

    assert words[:3] == (sys.executable, "-I", "-S")
    assert Path(words[3]).name == "job.py"
