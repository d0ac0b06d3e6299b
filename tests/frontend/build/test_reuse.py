"""Wheels of earlier builds: when they are used, when not, and what a use costs and tells."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import Ground, ask, write_project, write_sdist
from tests.support.caches import NOTHING
from tests.support.forge import Place
from tests.support.index import File, Project, serve
from tests.support.maker import maker, read_mark, thing_file, write_thing
from tests.support.witness import watch
from wheelforge.build import toolchain
from wheelforge.models import Keep, Kind, Policy, Reuse
from wheelforge_isolation import ArchiveError, Layout, collect_garbage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelforge.models import Outcome

_HEAVY = {
    *("build", "pyproject_hooks", "resolvelib", "urllib3", "installer"),
    *("wheelforge.build.backend", "wheelforge.resolve.search", "wheelforge.build.attempt"),
    *("wheelforge.hooks.runner", "wheelforge.hooks.server", "wheelforge_isolation.archive.plan"),
}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def build(ground: Ground, source: Path | str, **facts: Any) -> Outcome:
    variables = {"PATH": "/usr/bin:/bin", "DEMO": "1"}
    with ground.forge(policy=Policy(**facts), variables=variables) as forge:
        return forge.build(ask(source, ground.cache.parent / "out"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_thing(tmp_path)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / maker().name).write_bytes(maker().content)
    return Place(path=tmp_path)


def words(place: Place, *more: str | Path) -> tuple[str | Path, ...]:
    source, wheels = place.path / "thing-1.0.tar.gz", place.path / "wheels"
    return (source, "-o", place.path / "out", "--no-index", "-f", wheels, *more)


def report(place: Place, *more: str | Path) -> dict[str, Any]:
    file = place.path / "report.json"
    assert place.run(*words(place, "--report", file, *more)).code == 0
    (found,) = json.loads(file.read_text(encoding="utf-8"))["builds"]
    assert isinstance(found, dict)
    return found


def test_reuse__runs_nothing_and_imports_no_more_than_it_needs(place: Place) -> None:
    assert place.call(*words(place)).code == 0

    modules, asked, files = watch(place, *words(place))

    assert (modules & _HEAVY, asked) == (set(), "")
    assert not [file for file in files if "/environments-v2/trees" in file]


def test_reuse__is_told_in_the_report_with_all_that_was_used(place: Place) -> None:
    first, second = report(place), report(place)

    assert (first["outcome"], second["outcome"]) == ("built", "reused")
    for name in ("artifacts", "environment", "backend", "sha256", "python"):
        assert second[name] == first[name]
    assert [phase["name"] for phase in second["phases"]] == ["deliver"]
    assert not any(second["cache"].values())


@pytest.mark.parametrize(
    ("options", "outcomes"),
    [
        (("--no-reuse",), ["built", "reused", "built"]),
        (("--rebuild",), ["built", "built", "reused"]),
        (("--rebuild", "Thing"), ["built", "built", "reused"]),
        (("--rebuild", "other"), ["built", "reused", "reused"]),
        (("--refresh",), ["built", "built", "reused"]),
    ],
)
def test_reuse__can_be_refused(place: Place, options: tuple[str, ...], outcomes: list[str]) -> None:
    if options == ("--no-reuse",):
        found = [report(place, *options)["outcome"], report(place)["outcome"]]
        assert found == ["built", "built"]
    found = [report(place)["outcome"], report(place, *options)["outcome"]]
    if options != ("--no-reuse",):
        assert [*found, report(place)["outcome"]] == outcomes
    else:
        assert found == ["reused", "built"]


def test_rebuild__source_after_it_is_no_name(place: Place) -> None:
    source, *rest = words(place)
    place.run(source, *rest)

    done = place.run("--rebuild", source, *rest, "-v")

    assert len(done.paths) == 1
    assert "build wheel (" in done.err


@pytest.mark.parametrize(
    "facts",
    [
        {"kinds": (Kind.WHEEL,), "tree": "tree"},
        {"kinds": (Kind.METADATA,)},
        {"source": "directory"},
    ],
)
def test_reuse__other_requests_are_always_built(
    ground: Ground, tmp_path: Path, facts: dict[str, Any]
) -> None:
    source = write_sdist(tmp_path)
    build(ground, source)
    if "tree" in facts:
        facts = {**facts, "tree": tmp_path / "tree"}
    if "source" in facts:
        facts = {"source": write_project(tmp_path / "directory")}
    request = {"source": source, "output": tmp_path / "out", **facts}

    with ground.forge() as forge:
        found = [forge.build(ask(**request)).verdict for _ in range(2)]

    assert found == ["built", "built"]


@pytest.mark.parametrize("suffix", [".tgz", ".tar.xz", ".zip"])
def test_reuse__sdist_with_the_wrong_name_is_refused_as_without_it(
    ground: Ground, tmp_path: Path, suffix: str
) -> None:
    source = write_sdist(tmp_path)
    build(ground, source)
    renamed = source.with_name(f"demo-1.0{suffix}")
    renamed.write_bytes(source.read_bytes())

    with pytest.raises(ArchiveError) as raised:
        build(ground, renamed)

    assert raised.value.code == "archive-kind"
    assert build(ground, source).verdict == "reused"


def test_reuse__directory_of_a_build_that_is_wanted_is_made(ground: Ground, tmp_path: Path) -> None:
    source = write_sdist(tmp_path)
    build(ground, source)

    assert build(ground, source, keep=Keep.ALWAYS).verdict == "built"
    assert len(ground.stages) == 1


def test_reuse__nothing_is_kept_without_it(ground: Ground, tmp_path: Path) -> None:
    build(ground, write_sdist(tmp_path), reuse=Reuse.OFF)

    layout = Layout(root=ground.cache)
    assert layout.built.list_records() == []
    assert not layout.manifests.exists()


def test_reuse__release_and_url_are_the_same_source(place: Place) -> None:
    file = thing_file()
    with serve(Project("thing", file), Project("maker", maker())) as index:
        path = place.path / file.name
        path.write_bytes(file.content)
        outcomes: list[object] = []
        for source in ("thing==1.0", f"{index.origin}/files/{file.name}", path):
            to = place.path / "report.json"
            done = place.run(source, "-o", place.path, "-i", index.url, "--report", to)
            assert done.code == 0, done.err
            outcomes.append(json.loads(to.read_text("utf-8"))["builds"][0]["outcome"])

    assert outcomes == ["built", "reused", "reused"]


def test_reuse__other_version_than_asked_for_is_left_to_the_build(place: Place) -> None:
    file = thing_file()
    renamed = type(file)(name="thing-2.0.tar.gz", content=file.content)
    with serve(Project("thing", file, renamed), Project("maker", maker())) as index:
        words = ("-o", place.path, "-i", index.url)
        assert place.run("thing==1.0", *words).code == 0

        done = place.run("thing==2.0", *words)

    assert done.error == "result-invalid"


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def list_members(result: Outcome) -> list[str]:
    with zipfile.ZipFile(result.artifacts[0].path) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def find_wheel(layout: Layout) -> Path:
    return next(layout.files.rglob("demo-*.whl"))


DAMAGES: dict[str, Callable[[Layout], object]] = {
    "wheel": lambda layout: flip(find_wheel(layout)),
    "no wheel": lambda layout: find_wheel(layout).unlink(),
    "record": lambda layout: flip(layout.built.list_records()[0]),
    "no record": lambda layout: layout.built.list_records()[0].unlink(),
    "manifest": lambda layout: flip(next(layout.manifests.glob("asked-*"))),
    "tools": lambda layout: flip(next(layout.manifests.glob("tools-*"))),
    "salt": lambda layout: (layout.built.root / "salt").write_bytes(b"short"),
    "all": lambda layout: collect_garbage(layout, NOTHING),
}


CAUSES = {
    "wheel": "damaged",
    "no wheel": "damaged",
    "record": "damaged",
    "no record": "collected",
    "manifest": "damaged",
    "tools": "",
    "salt": "changed",
    "all": "first",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_reuse__damaged_cache_costs_a_build_and_no_more(
    ground: Ground, tmp_path: Path, damage: str
) -> None:
    source, layout = write_sdist(tmp_path), Layout(root=ground.cache)
    before = list_members(build(ground, source))

    DAMAGES[damage](layout)
    found = [build(ground, source) for _ in range(2)]

    expected = ["reused", "reused"] if damage == "tools" else ["built", "reused"]
    assert [each.verdict for each in found] == expected
    cause = found[0].cause
    assert (cause.code if cause else "") == CAUSES[damage]
    assert list_members(found[1]) == before


def test_reuse__source_that_changes_meanwhile_is_not_kept(ground: Ground, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'demo-1.0.tar.gz')!r}, 'ab').write(b'x')"
    source = write_sdist(tmp_path, build_wheel=code)

    build(ground, source)

    assert Layout(root=ground.cache).built.list_records() == []


def test_reuse__later_release_of_a_requirement_is_noticed(place: Place) -> None:
    assert [report(place)["outcome"], report(place)["outcome"]] == ["built", "reused"]
    newer = maker("2.0", "newer")
    (place.path / "wheels" / newer.name).write_bytes(newer.content)

    assert read_mark(place.run(*words(place)).paths[0]) == "newer"


def why(place: Place, *words: str | Path) -> str:
    done = place.run("why", *words)
    assert (done.code, done.err) == (0, "")
    return done.out


def test_why__names_the_first_cause_and_those_who_share_it(place: Place) -> None:
    place.run(*words(place))
    first = why(place, "thing")
    place.run(*words(place), CFLAGS="-O3")
    by_name, by_source = why(place, "thing==1.0"), why(place, place.path / "thing-1.0.tar.gz")

    facts = json.loads(why(place, "thing", "--json"))

    assert first == "thing-1.0-py3-none-any.whl: no earlier build of it is in this cache\n"
    assert by_name == by_source
    assert by_name.endswith(": the variable `CFLAGS` is -O3, was nothing\n")
    assert (facts["code"], facts["place"]) == ("changed", "environment.CFLAGS")
    assert (facts["now"], facts["shared_by"]) == ("-O3", 0)


def test_why__compares_two_builds(place: Place) -> None:
    (first,) = place.run(*words(place)).paths
    kept = first.rename(place.path / first.name)
    newer = maker("2.0", "newer")
    (place.path / "wheels" / newer.name).write_bytes(newer.content)
    (second,) = place.run(*words(place)).paths

    assert why(place, second, kept).endswith(": `maker` is 2.0, was 1.0\n")
    assert why(place, kept, second).endswith(": `maker` is 1.0, was 2.0\n")
    assert why(place, kept, kept).endswith(": nothing has changed\n")


def test_why__tells_all_that_differs_and_for_whom_it_is_new(ground: Ground, tmp_path: Path) -> None:
    place = Place(path=tmp_path)
    sdists = [write_sdist(tmp_path, name=name) for name in ("one", "two")]
    changed = {"CFLAGS": "-O3", **{f"X_{number}": "1" for number in range(10)}}
    for variables in (dict[str, str](), changed):
        done = place.run(*ground.words(*sdists, "-j1", "-o", tmp_path / "out"), **variables)
        assert done.code == 0, done.err

    head, besides, shared = why(place, "one", "--cache-dir", ground.cache).splitlines()

    assert head.endswith(": the variable `CFLAGS` is -O3, was nothing")
    assert besides.startswith("  what differs besides: environment.X_0, environment.X_1, ")
    assert besides.endswith("environment.X_7 and 2 more")
    assert shared == "  the same is new for 1 other build"


def test_why__tells_when_a_newer_requirement_was_published(place: Place) -> None:
    def build(*files: File) -> None:
        with serve(Project("maker", *files)) as index:
            words = (place.path / "thing-1.0.tar.gz", "-o", place.path / "out", "-i", index.url)
            assert place.run(*words).code == 0

    old, new = maker(), maker("2.0", "newer")
    build(old)
    build(old, replace(new, uploaded="2026-02-08T10:00:00Z"))
    build(old, new)  # it is known which one is meant, and not when it was published

    assert why(place, "thing").endswith(": `maker` is 2.0, was 1.0 (published 2026-02-08)\n")


def test_why__tells_another_image_by_first_difference(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run(*words(place))
    system = place.path / "system"
    system.write_text('PRETTY_NAME="Other 9"\n', encoding="utf-8")
    monkeypatch.setattr(toolchain, "_SYSTEM", system)
    place.run(*words(place))

    facts = json.loads(why(place, "thing", "--json"))

    assert (facts["code"], facts["place"]) == ("other-machine", "platform.distribution")
    assert "of another machine or image: the system is Other 9, was " in facts["sentence"]


@pytest.mark.parametrize("name", ["strange", "strange==1.0", "thing==2.0", "thing-1.0.tar.gz"])
def test_why__build_that_never_was_is_one_sentence(place: Place, name: str) -> None:
    done = place.run("why", name)

    assert (done.code, done.error) == (2, "option-invalid")
    assert "no build of it is in this cache" in done.err


def test_cause__stands_in_the_report(place: Place) -> None:
    found = [report(place), report(place), report(place, "--rebuild"), report(place, "-C", "x=1")]

    causes = [each["cause"] and each["cause"]["code"] for each in found]
    assert causes == ["first", None, "asked", "changed"]
    assert found[3]["cause"]["sentence"] == "the config setting `x` is 1, was nothing"
