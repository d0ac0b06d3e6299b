"""Values that travel between processes, and those that do not."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import wheelforge.errors
from tests.support.source import ROOT
from wheelforge.batch.executors.wire import from_text, to_text
from wheelforge.errors import BackendFailedError, Failure, HookFailedError, LockError
from wheelforge.events import BuildEvent
from wheelforge.models import (
    AppliedOverride,
    Artifact,
    BuildAttempt,
    BuildRequest,
    Cause,
    Kind,
    Outcome,
    Phase,
    Policy,
)
from wheelforge.overrides.model import Overrides, read_overrides
from wheelforge.settings import Settings
from wheelforge_isolation import ArchiveError, ForgeError, WheelKey

FAILURE = Failure("x-1.0.tar.gz", "build_wheel", 1, b"\x00no\xff", "/log")
ERRORS = [
    BackendFailedError("header-missing", FAILURE, "lber.h", "`libldap-dev`"),
    ArchiveError("x.tar.gz", "N2", "member 3 has a '..' component", "../../x"),
    HookFailedError("build_wheel", -9, ("python", "x"), b"killed"),
    LockError("lock-outdated", "pylock.toml", ("+ a", "- b")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_wire__errors_say_the_same_elsewhere(error: ForgeError) -> None:
    found = from_text(to_text(error), ForgeError)

    assert type(found) is type(error)
    assert (str(found), found.hint, found.code, found.exit_code) == (
        *(str(error), error.hint),
        *(error.code, error.exit_code),
    )
    assert vars(found) == vars(error)


def test_wire__facts_added_to_an_error_travel_with_it() -> None:
    error = ArchiveError("x.tar.gz", "N2", "reason")
    error.advice = "do something else"

    assert from_text(to_text(error), ForgeError).hint == "do something else"


def test_wire__outcomes_are_the_same_elsewhere() -> None:
    request = BuildRequest(
        source=Path("/x-1.0.tar.gz"),
        output=Path("/out"),
        kinds=(Kind.WHEEL,),
        config_settings={"a": ["1", "2"], "b": "\udcff"},
        cutoff=datetime(2024, 5, 1, tzinfo=UTC),
    )
    artifact = Artifact(
        kind=Kind.WHEEL,
        path=Path("/out/x-1.0-py3-none-any.whl"),
        name="x",
        version="1.0",
        size_bytes=5,
        sha256="ab",
    )
    phase = Phase("fetch", 1.5, 0.25)
    outcome = Outcome(
        request=request,
        artifacts=(artifact,),
        metadata=b"\xff",
        phases=(phase,),
        wheels=(WheelKey(name="a", version="1", file_name="a.whl", sha256="cd"),),
        cause=Cause("first", "it is the first"),
        overrides=(AppliedOverride("x", ">1", Path("/o.toml"), 3, ("a.b",), "why"),),
        attempts=(BuildAttempt("era", None, (phase,), None, (0, 9)),),
        sandbox={"level": "strict", "reasons": ["a"], "network": False},
        waits={"slot": 0.5},
    )

    found = from_text(to_text(outcome), Outcome)

    assert found == outcome
    assert found.request.config_settings == request.config_settings
    assert found.sandbox == outcome.sandbox


def test_wire__overrides_do_the_same_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "overrides.toml"
    (tmp_path / "a.patch").write_text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", encoding="utf-8")
    path.write_text(
        '[[package]]\nname = "x"\nversions = "<2"\nwhen = "os_name != \'java\'"\nreason = "r"\n'
        'patches = ["a.patch"]\nlimits.memory = "1GB"\nenvironment = { CFLAGS = "-O0" }\n',
        encoding="utf-8",
    )
    overrides = read_overrides([], [path])
    path.unlink()
    settings = Settings(overrides=overrides, policy=Policy(timeout_seconds=5.0))

    found = from_text(to_text(settings), Settings).overrides

    assert isinstance(overrides, Overrides)
    assert isinstance(found, Overrides)
    assert found.digest == overrides.digest
    markers = {"os_name": "posix"}
    applied = [each.find("x", "1.0", markers).list_applied() for each in (found, overrides)]
    assert applied[0] == applied[1]
    assert applied[0][0].line == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"$":"Popen","v":{"args":["id"]}}',
        '{"$":"error","v":{"class":"SystemExit","args":[],"more":{"$":"mapping","v":[]}}}',
        '{"$":"error","v":{"class":"base","args":[],"more":{"$":"mapping","v":[]}}}',
        '{"$":"BuildEvent","v":{"nothing":1}}',
        '{"$":"Kind","v":"other"}',
        '{"no":"kind"}',
        "[" * 100_000,
        "nothing",
        "1",
    ],
)
def test_wire__makes_nothing_of_what_is_no_value_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_text(text, BuildEvent)


def test_wire__other_things_are_not_handed_on() -> None:
    request = replace(
        BuildRequest(source="six", output=Path("/out")), config_settings={"a": object()}
    )

    with pytest.raises(TypeError, match="a object is not handed to other processes"):
        to_text(request)


def list_error_classes() -> list[type[ForgeError]]:
    text = (ROOT / "frontend" / "wheelforge" / "errors" / "__init__.pyi").read_text(
        encoding="utf-8"
    )
    names = [line.split()[0] for line in text.splitlines() if line.startswith("    ")]
    found: list[Any] = [getattr(wheelforge.errors, name) for name in names]
    return [each for each in found if isinstance(each, type) and issubclass(each, ForgeError)]


def test_wire__every_error_with_a_table_travels() -> None:
    tried = 0
    for kind in list_error_classes():
        kinds: dict[str, Any] = getattr(kind, "kinds", {})
        for code, row in kinds.items():
            facts = row.facts.split()
            given = [code] * (len(kinds) > 1) + [("a", "b") for _ in facts]
            if kind.__init__ is not wheelforge.errors.BuildError.__init__:
                continue
            error = kind(*given)
            found = from_text(to_text(error), ForgeError)
            assert (type(found), vars(found)) == (kind, vars(error))
            tried += 1

    assert tried > 60


def test_wire__settings_travel_whole() -> None:
    settings = Settings(variables={"PATH": "/bin"}, cache_dir=Path("/cache"))

    assert from_text(to_text(settings), Settings) == settings
