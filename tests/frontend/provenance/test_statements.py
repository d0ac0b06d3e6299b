"""Statements of what artifacts were built of: their content, and how they are delivered."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import Ground, ask, facts_of, names_in, write_project, write_sdist
from tests.support.codes import raises
from wheelforge.models import Kind, Policy, Reuse
from wheelforge.provenance.options import Provenance
from wheelforge_isolation import digest
from wheelforge_isolation.errors import DestinationNotEmptyError

if TYPE_CHECKING:
    from wheelforge.models import Outcome

STATED = Provenance(statements=True)
SUFFIX = ".provenance.json"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def build(ground: Ground, source: Path | str, **facts: Any) -> Outcome:
    with ground.forge(**{"provenance": STATED, **facts}) as forge:
        return forge.build(ask(source, ground.links.parent / "out", kinds=()))


def read(artifact: Path) -> Any:
    return json.loads(Path(f"{artifact}{SUFFIX}").read_text(encoding="utf-8"))


def definition_of(artifact: Path) -> Any:
    return read(artifact)["predicate"]["buildDefinition"]


def test_statement__is_about_the_wheel_its_source_and_all_that_it_was_built_with(
    ground: Ground, tmp_path: Path
) -> None:
    source = write_sdist(tmp_path)
    outcome = build(ground, source)

    (artifact,) = outcome.artifacts
    statement, definition = read(artifact.path), definition_of(artifact.path)
    (willing,) = outcome.wheels
    assert statement["subject"] == [
        {"name": artifact.path.name, "digest": {"sha256": digest(artifact.path)}}
    ]
    assert artifact.statement == digest(Path(f"{artifact.path}{SUFFIX}"))
    sdist, wheel, python = definition["resolvedDependencies"]
    assert sdist == definition["externalParameters"]["source"]
    assert sdist["digest"] == {"sha256": digest(source)}
    assert sdist["uri"] == "pkg:pypi/demo@1.0?file_name=demo-1.0.tar.gz"
    assert wheel["digest"] == {"sha256": willing.sha256}
    assert wheel["downloadLocation"] == (ground.links / willing.file_name).as_uri()
    assert python["uri"] == f"pkg:generic/cpython@{outcome.python}"
    assert definition["internalParameters"]["environments"] == [
        {"requires": ["willing"], "wheels": [willing.sha256]}
    ]
    seen = facts_of(outcome)["environ"]
    assert definition["internalParameters"]["sourceDateEpoch"] == seen["SOURCE_DATE_EPOCH"]


def test_statement__sdist_of_a_directory_is_the_source_of_its_wheel(
    ground: Ground, tmp_path: Path
) -> None:
    outcome = build(ground, write_project(tmp_path / "tree"))

    sdist, wheel = (artifact.path for artifact in outcome.artifacts)
    first, second = definition_of(sdist), definition_of(wheel)
    assert [each["externalParameters"]["kind"] for each in (first, second)] == ["sdist", "wheel"]
    assert first["externalParameters"]["source"]["annotations"] == {"pinned": False}
    assert second["externalParameters"]["source"]["digest"] == {"sha256": digest(sdist)}


def test_statement__of_a_reused_wheel_is_that_of_its_build(ground: Ground, tmp_path: Path) -> None:
    source = write_sdist(tmp_path)
    plain = build(ground, source, provenance=Provenance())
    assert names_in(tmp_path / "out") == [plain.artifacts[0].path.name]

    first = build(ground, source)
    before = read(first.artifacts[0].path)
    second = build(ground, source)

    assert [each.verdict for each in (plain, first, second)] == ["built", "built", "reused"]
    assert read(second.artifacts[0].path) == before
    assert second.artifacts[0].statement == first.artifacts[0].statement


@pytest.mark.parametrize("reuse", [Reuse.OFF, Reuse.SDISTS])
def test_statement__names_that_of_a_requirement_that_was_built(
    ground: Ground, tmp_path: Path, reuse: Reuse
) -> None:
    needed = write_sdist(ground.links, name="needed")
    source = write_sdist(tmp_path, requires=("needed",))
    policy = Policy(reuse=reuse)

    other = write_sdist(tmp_path, name="other", requires=("needed",))
    outcomes = [build(ground, each, policy=policy) for each in (source, other)]
    definitions = [definition_of(outcome.artifacts[0].path) for outcome in outcomes]

    for definition in definitions:
        (wheel,) = (
            each for each in definition["resolvedDependencies"] if each["name"].startswith("needed")
        )
        told = wheel["annotations"]
        assert told["builtFrom"] == {"uri": needed.as_uri(), "digest": {"sha256": digest(needed)}}
        assert len(told["statement"]["sha256"]) == 64
        assert "downloadLocation" not in wheel


def test_statement__has_no_secrets(ground: Ground, tmp_path: Path) -> None:
    variables = {
        "PATH": "/usr/bin:/bin",
        "API_TOKEN": "hush-hush",
        "PIP_INDEX_URL": "https://me:sesame@host/",
    }
    (artifact,) = build(ground, write_sdist(tmp_path), variables=variables).artifacts

    text = Path(f"{artifact.path}{SUFFIX}").read_text(encoding="utf-8")
    assert (
        definition_of(artifact.path)["internalParameters"]["variables"]["API_TOKEN"][:5] == "hmac:"
    )
    assert "hush-hush" not in text
    assert "sesame" not in text


def test_statement__is_what_it_was_if_the_wheel_cannot_be_delivered(
    ground: Ground, tmp_path: Path
) -> None:
    source, out = write_sdist(tmp_path), tmp_path / "out"
    name = "demo-1.0-py3-none-any.whl"
    (out / name).mkdir(parents=True)
    with pytest.raises(DestinationNotEmptyError):
        build(ground, source)
    assert names_in(out) == [name]

    (out / f"{name}{SUFFIX}").write_text("of an earlier one", encoding="utf-8")
    with pytest.raises(DestinationNotEmptyError):
        build(ground, source)
    assert (out / f"{name}{SUFFIX}").read_text(encoding="utf-8") == "of an earlier one"
    assert names_in(out) == [name, f"{name}{SUFFIX}"]


def test_statement__is_refused_where_the_environment_is_not_ours(
    ground: Ground, tmp_path: Path
) -> None:
    with raises("option-invalid", match="`--provenance`.*`--no-isolation` uses what is installed"):
        build(ground, write_sdist(tmp_path), isolated=False, checked=False)


def test_log__is_known_by_as_many_bytes_as_there_were(ground: Ground, tmp_path: Path) -> None:
    outcome = build(ground, write_sdist(tmp_path, build_wheel="print('speaks')"))

    log, _ = read(outcome.artifacts[0].path)["predicate"]["runDetails"]["byproducts"]
    assert outcome.log is not None
    content = outcome.log.read_bytes()[: log["annotations"]["bytes"]]
    (tmp_path / "part").write_bytes(content)
    assert b"speaks" in content
    assert log["digest"] == {"sha256": digest(tmp_path / "part")}


def test_editable_wheel__has_no_statement(ground: Ground, tmp_path: Path) -> None:
    source = write_project(tmp_path / "tree")
    with ground.forge(provenance=STATED) as forge:
        outcome = forge.build(ask(source, tmp_path / "out", kinds=(Kind.EDITABLE,)))

    assert names_in(tmp_path / "out") == [outcome.artifacts[0].path.name]


def test_statement__of_a_reused_sdist_comes_with_that_of_its_wheel(
    ground: Ground, tmp_path: Path
) -> None:
    source, policy = write_project(tmp_path / "tree"), Policy(reuse=Reuse.ALL)

    first = build(ground, source, policy=policy)
    before = [read(artifact.path) for artifact in first.artifacts]
    second = build(ground, source, policy=policy)

    assert second.verdict == "reused"
    assert [read(artifact.path) for artifact in second.artifacts] == before
