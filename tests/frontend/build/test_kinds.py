"""The kinds of artifacts from each kind of source, and the environment that the backend sees."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import NEWEST, Ground, ask, facts_of, names_in, write_project, write_sdist
from tests.support.codes import raises
from tests.support.stock import PYENV
from wheelforge.errors import (
    BackendFailedError,
    HookMissingError,
    RequirementInvalidError,
    UsageError,
)
from wheelforge.models import Kind, Policy
from wheelforge_isolation import WheelKey
from wheelforge_isolation.formats.metadata import to_json

SDIST, WHEEL = "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ((), [SDIST, WHEEL]),
        ((Kind.SDIST,), [SDIST]),
        ((Kind.WHEEL,), [WHEEL]),
        ((Kind.EDITABLE,), [WHEEL]),
        ((Kind.SDIST, Kind.WHEEL), [SDIST, WHEEL]),
    ],
)
def test_kinds__directory_becomes_each_of_them(
    tmp_path: Path, ground: Ground, kinds: tuple[Kind, ...], names: list[str]
) -> None:
    project = write_project(tmp_path / "project")
    before = names_in(project)

    outcome = ground.build(project, tmp_path / "out", kinds=kinds)

    assert [artifact.path for artifact in outcome.artifacts] == [
        tmp_path / "out" / name for name in names
    ]
    assert sorted(names_in(tmp_path / "out")) == sorted(names)
    assert names_in(project) == before
    assert ground.stages == []


def test_kinds__default_builds_the_wheel_from_the_sdist(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", own=True)

    through = facts_of(ground.build(project, tmp_path / "out", kinds=()))
    straight = facts_of(ground.build(project, tmp_path / "out"))

    assert through["directory"].startswith(str(ground.cache / "stage-v1"))
    assert through["directory"].endswith("/src/demo-1.0")
    assert straight["directory"] == str(project)


def test_kinds__sdist_becomes_a_wheel(tmp_path: Path, ground: Ground) -> None:
    outcome = ground.build(write_sdist(tmp_path), tmp_path / "out", kinds=())

    assert [artifact.kind for artifact in outcome.artifacts] == [Kind.WHEEL]
    assert (outcome.artifacts[0].name, outcome.artifacts[0].version) == ("demo", "1.0")
    assert len(outcome.sha256) == 64
    assert outcome.wheels[0].name == "willing"


@pytest.mark.parametrize(
    "code", ["", "del prepare_metadata_for_build_wheel"], ids=["by the hook", "by a wheel"]
)
def test_metadata__comes_from_the_hook_or_a_wheel(
    tmp_path: Path, ground: Ground, code: str
) -> None:
    project = write_project(tmp_path / "project", own=True)
    with (project / "willing.py").open("a", encoding="utf-8") as backend:
        backend.write(code)

    outcome = ground.build(project, tmp_path / "out", kinds=(Kind.METADATA,))

    assert to_json(outcome.metadata)["name"] == "demo"
    assert outcome.artifacts == ()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [Kind.SDIST, Kind.WHEEL, Kind.EDITABLE])
def test_missing_hook__is_named(tmp_path: Path, ground: Ground, kind: Kind) -> None:
    project = write_project(tmp_path / "project", own=True)
    with (project / "willing.py").open("a", encoding="utf-8") as backend:
        backend.write(f"del build_{kind.value}")

    with pytest.raises(HookMissingError, match=f"build_{kind.value}"):
        ground.build(project, tmp_path / "out", kinds=(kind,))


def test_missing_hook__is_none_where_the_backend_has_it_and_fails(
    tmp_path: Path, ground: Ground
) -> None:
    project = write_project(
        tmp_path / "project", own=True, build_wheel="import json; json.build_wheel()"
    )

    with pytest.raises(BackendFailedError, match="no attribute 'build_wheel'"):
        ground.build(project, tmp_path / "out")


def test_editable_wheel__of_an_sdist_needs_a_place_that_stays(
    tmp_path: Path, ground: Ground
) -> None:
    sdist, tree = write_sdist(tmp_path), tmp_path / "tree"

    with raises("option-invalid", match="--sdist-extract-dir"):
        ground.build(sdist, tmp_path / "out", kinds=(Kind.EDITABLE,))
    outcome = ground.build(sdist, tmp_path / "out", kinds=(Kind.EDITABLE,), tree=tree)

    assert names_in(tmp_path / "out") == [WHEEL]
    assert facts_of(outcome)["directory"] == str(tree / "demo-1.0")


def test_unsupported_hook__is_named(tmp_path: Path, ground: Ground) -> None:
    project = write_project(
        tmp_path / "project", own=True, build_sdist="raise UnsupportedOperation('no git here')"
    )
    backend = (project / "willing.py").read_text(encoding="utf-8")
    error = "class UnsupportedOperation(Exception): pass\n"
    backend = backend.replace("STATE = []", f"STATE = []\n{error}")
    backend = backend.replace(
        "state=STATE", "state=STATE, UnsupportedOperation=UnsupportedOperation"
    )
    (project / "willing.py").write_text(backend, encoding="utf-8")

    with raises("hook-unsupported", match="no git here"):
        ground.build(project, tmp_path / "out", kinds=(Kind.SDIST,))


def test_backend__that_cannot_be_imported_is_named(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", own=True)
    (project / "willing.py").unlink()

    with raises("backend-unavailable", match="willing"):
        ground.build(project, tmp_path / "out")


def test_source__missing_is_a_usage_error(tmp_path: Path, ground: Ground) -> None:
    with raises("source-invalid", match="No such file"):
        ground.build(tmp_path / "nothing", tmp_path / "out")


# The environment of the backend


def test_config_settings__reach_every_hook_unchanged(tmp_path: Path, ground: Ground) -> None:
    settings = {"one": "1", "two": ["a", "b"], "deep": {"key": [1, None, True]}, "": "é"}
    code = "assert settings['two'] == ['a', 'b']"
    project = write_project(tmp_path / "project", get_requires_for_build_wheel=code)

    outcome = ground.build(project, tmp_path / "out", config_settings=settings)

    assert facts_of(outcome)["settings"] == settings


def test_hook_requirements__are_there_in_the_next_hook(
    tmp_path: Path, ground: Ground, extra: WheelKey
) -> None:
    project = write_project(
        tmp_path / "project",
        get_requires_for_build_wheel=f"answer = ['{extra.name}']",
        build_wheel="import extra; files['extra.txt'] = extra.version",
    )

    outcome = ground.build(project, tmp_path / "out")

    assert zipfile.ZipFile(outcome.artifacts[0].path).read("extra.txt") == b"1.0"
    assert {key.name for key in outcome.wheels} == {"willing", "extra"}


def test_hook_requirements__of_one_kind_are_not_there_for_another(
    tmp_path: Path, ground: Ground, extra: WheelKey
) -> None:
    project = write_project(
        tmp_path / "project",
        get_requires_for_build_sdist=f"answer = ['{extra.name}']",
        build_wheel="import importlib.util; assert importlib.util.find_spec('extra') is None",
    )

    assert len(ground.build(project, tmp_path / "out", kinds=()).artifacts) == 2


@pytest.fixture
def extra(ground: Ground) -> WheelKey:
    return ground.stock.add("extra")


def test_hook_requirements__invalid_one_is_named(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", requires=("not a requirement",))

    with pytest.raises(RequirementInvalidError, match="not a requirement"):
        ground.build(project, tmp_path / "out")


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_python__another_one_builds_the_wheel(tmp_path: Path, ground: Ground, version: str) -> None:
    found = sorted(PYENV.glob(f"{version}.*/bin/python"))
    if not found:
        pytest.skip(f"needs Python {version} of pyenv")
    project = write_project(tmp_path / "project")

    with ground.forge(python=str(found[0])) as forge:
        outcome = forge.build(ask(project, tmp_path / "out"))

    assert facts_of(outcome)["python"] == [int(part) for part in version.split(".")]
    assert outcome.python.startswith(version)


def test_hook__gets_composed_variables_and_no_input(tmp_path: Path, ground: Ground) -> None:
    variables = {
        **ground.settings().variables,
        "MINE": "1",
        "PYTHONPATH": "/nowhere",
        "PIP_INDEX_URL": "https://example.org",
    }
    project = write_project(tmp_path / "project", own=True)

    with ground.forge(variables=variables) as forge:
        facts = facts_of(forge.build(ask(project, tmp_path / "out")))

    environment = facts["environ"]["VIRTUAL_ENV"]
    assert environment.startswith(str(ground.cache / "environments-v2"))
    assert facts["environ"]["PATH"].startswith(f"{environment}/bin")
    assert facts["environ"]["PATH"].endswith(variables["PATH"])
    assert facts["environ"]["MINE"] == "1"
    assert not {"PYTHONPATH", "PIP_INDEX_URL"} & facts["environ"].keys()
    assert not facts["input"]


@pytest.mark.parametrize(
    ("policy", "variables", "epoch"),
    [
        ("", {}, str(NEWEST)),
        ("", {"SOURCE_DATE_EPOCH": "7"}, "7"),
        ("5", {"SOURCE_DATE_EPOCH": "7"}, "5"),
    ],
    ids=["of the newest file", "given as a variable", "given as a rule"],
)
def test_source_date_epoch__is_the_newest_file_of_an_sdist(
    tmp_path: Path, ground: Ground, policy: str, variables: dict[str, str], epoch: str
) -> None:
    facts: dict[str, Any] = {
        "policy": Policy(source_date_epoch=policy or None),
        "variables": {**ground.settings().variables, **variables},
    }

    with ground.forge(**facts) as forge:
        outcome = forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))

    assert facts_of(outcome)["environ"]["SOURCE_DATE_EPOCH"] == epoch


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "4354819200", "٣", "9" * 400])
def test_source_date_epoch__that_no_file_can_have_is_refused_before_any_hook(
    tmp_path: Path, own: Ground, text: str
) -> None:
    sdist = write_sdist(tmp_path, requires=("absent",))
    with own.forge(variables={"SOURCE_DATE_EPOCH": text}) as forge:
        error = forge.try_build(ask(sdist, tmp_path)).error

    assert isinstance(error, UsageError)
    assert str(error).startswith(f"`SOURCE_DATE_EPOCH` cannot be used: `{text}` is no number")


def test_source_date_epoch__is_set_for_the_sdist_of_a_directory(
    tmp_path: Path, ground: Ground
) -> None:
    project = write_project(tmp_path / "project")

    straight = facts_of(ground.build(project, tmp_path / "out"))
    through = facts_of(ground.build(project, tmp_path / "out", kinds=()))

    assert "SOURCE_DATE_EPOCH" not in straight["environ"]
    assert int(through["environ"]["SOURCE_DATE_EPOCH"]) >= NEWEST


def test_timeout__ends_the_hook(tmp_path: Path, ground: Ground) -> None:
    project = write_project(
        tmp_path / "project",
        build_wheel="import time; print('it waits', flush=True); time.sleep(600)",
    )

    with ground.forge(policy=Policy(timeout_seconds=2)) as forge:
        outcome = forge.try_build(ask(project, tmp_path / "out"))

    assert outcome.error is not None
    assert outcome.error.code == "hook-timed-out"
    assert str(outcome.error) == (
        "`project`: `build_wheel` did not end within 2 s\n  it waits\n"
        f"all of its output is in `{outcome.log}`"
    )
    assert not (tmp_path / "out").exists()


def test_log__has_all_output(tmp_path: Path, ground: Ground) -> None:
    project = write_project(
        tmp_path / "project",
        get_requires_for_build_wheel="print('asked', flush=True)",
        build_wheel="import os; os.write(2, b'built \\xff\\n'); raise SystemExit(1)",
    )

    with ground.forge() as forge:
        outcome = forge.try_build(ask(project, tmp_path / "out"))

    assert outcome.log is not None
    first, rest = outcome.log.read_bytes().split(
        b"\n-- once more, in processes that are not forked --\n\n"
    )
    assert first == rest == b"asked\nbuilt \xff\n"
    assert isinstance(outcome.error, BackendFailedError)
    assert str(outcome.log) in str(outcome.error)
