"""Lock files, written and read back."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from packaging.markers import default_environment
from packaging.pylock import Pylock
from packaging.tags import parse_tag

from tests.support.index import Project, serve
from tests.support.index import wheel as served_wheel
from tests.support.lockfiles import (
    DEMO,
    FLIT,
    SETUPTOOLS,
    SIX,
    answer_with,
    load,
    lock_one,
    make_pin,
    make_python,
    make_wheel,
    save,
    save_and_read,
)
from tests.support.universe import ORIGIN, PYTHON, Universe, ask, content_of, sha256_of
from wheelforge.errors import DownloadMismatchError
from wheelforge.index import Index, IndexSettings
from wheelforge.lockfile import Lock, LockedPython, Recorder, Source, describe_python, read_lock
from wheelforge.resolve import Resolution, prepare_wheels, resolve
from wheelforge_isolation import Interpreter

WHOLE = r"""lock-version = "1.0"
environments = [
    "implementation_name == \"cpython\" and python_version == \"3.11\"\
 and sys_platform == \"linux\" and platform_machine == \"x86_64\"",
]
dependency-groups = [
    "six-1-16-0-tar-gz",
]
created-by = "wheelforge"

[[packages]]
name = "setuptools"
version = "80.9.0"
marker = "\"six-1-16-0-tar-gz\" in dependency_groups"
index = "https://index.test/simple"

[[packages.wheels]]
name = "setuptools-80.9.0-py3-none-any.whl"
url = "https://index.test/simple/files/setuptools-80.9.0-py3-none-any.whl"

[packages.wheels.hashes]
sha256 = "SETUPTOOLS"

[tool.wheelforge]
format = 1

[[tool.wheelforge.sources]]
name = "six-1.16.0.tar.gz"
sha256 = "5555555555555555555555555555555555555555555555555555555555555555"

[tool.wheelforge.sources.python]
implementation = "cpython"
version = "3.11"
abi = "cp311"
platform = "linux"
machine = "x86_64"

[[tool.wheelforge.sources.answers]]
group = "six-1-16-0-tar-gz"
requirements = [
    "setuptools>=40",
]
files = [
    "setuptools-80.9.0-py3-none-any.whl#sha256=SETUPTOOLS",
]
""".replace("\\\n", "").replace("SETUPTOOLS", SETUPTOOLS.sha256)
EARLIER = """\
lock-version = "1.0"
environments = [
  "implementation_name == 'cpython' and python_version == '3.11' and sys_platform == 'linux'",
]
dependency-groups = ["six-1.16.0.tar.gz"]
created-by = "wheelforge"

[[packages]]
name = "setuptools"
version = "80.9.0"
marker = "'six-1.16.0.tar.gz' in dependency_groups"
index = "https://index.test/simple"
wheels = [{ name = "setuptools-80.9.0-py3-none-any.whl", url = "URL", hashes = HASHES }]

[tool.wheelforge]
format = 1

[[tool.wheelforge.sources]]
name = "six-1.16.0.tar.gz"
sha256 = "5555555555555555555555555555555555555555555555555555555555555555"
python = { implementation = "cpython", version = "3.11", abi = "cp311", platform = "linux", \
machine = "x86_64" }

[[tool.wheelforge.sources.answers]]
group = "six-1.16.0.tar.gz"
requirements = ["setuptools>=40"]
files = ["setuptools-80.9.0-py3-none-any.whl#sha256=SETUPTOOLS"]
"""
"""A lock as earlier releases laid it out."""


def select(path: Path, group: str, python: Interpreter = PYTHON) -> set[str]:
    """Return the files that any installer takes for ``group``."""
    environment = default_environment()
    environment.update(python.markers)  # type: ignore[typeddict-item]
    tags = [tag for text in python.tags for tag in parse_tag(text)]
    pylock = Pylock.from_dict(load(path))
    chosen = pylock.select(environment=environment, tags=tags, dependency_groups=[group])
    return {getattr(file, "name", "") for _, file in chosen}


def names(resolution: Resolution) -> list[str]:
    return [pin.file_name for pin in resolution.pins]


def test_lock__a_lock_is_a_file_that_people_can_read(tmp_path: Path) -> None:
    path = save(lock_one(SETUPTOOLS, requirements=("setuptools >= 40",)), tmp_path)

    assert path.read_text(encoding="utf-8") == WHOLE


def test_reading__takes_the_layout_of_earlier_releases(tmp_path: Path) -> None:
    path = tmp_path / "pylock.build.toml"
    hashes = f'{{ sha256 = "{SETUPTOOLS.sha256}" }}'
    text = EARLIER.replace("HASHES", hashes).replace("URL", SETUPTOOLS.url)
    path.write_text(text.replace("SETUPTOOLS", SETUPTOOLS.sha256), encoding="utf-8")

    assert read_lock(path) == lock_one(SETUPTOOLS, requirements=("setuptools >= 40",))


def test_lock__what_was_answered_is_answered_again(tmp_path: Path) -> None:
    lock = save_and_read(lock_one(SETUPTOOLS, FLIT, requirements=("setuptools", "a")), tmp_path)

    first, second = lock.answer(SIX, ("a", "setuptools"), PYTHON).pins
    assert (first.file_name, second.file_name) == (FLIT.file_name, SETUPTOOLS.file_name)
    assert (second.name, second.version, second.url) == ("setuptools", "80.9.0", SETUPTOOLS.url)
    assert second.sha256 == SETUPTOOLS.sha256
    assert second.accepted == (f"sha256:{SETUPTOOLS.sha256}",)
    assert second.is_wheel


def test_lock__what_hooks_asked_for_is_locked_beside_what_the_project_declares(
    tmp_path: Path,
) -> None:
    recorder = Recorder()
    recorder.record(DEMO, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    recorder.record(DEMO, PYTHON, ("setuptools", "flit_core"), answer_with(SETUPTOOLS, FLIT))

    path = save(recorder.lock(), tmp_path)

    lock = read_lock(path)
    assert names(lock.answer(DEMO, ("setuptools",), PYTHON)) == [SETUPTOOLS.file_name]
    assert len(lock.answer(DEMO, ("flit-core", "setuptools"), PYTHON).pins) == 2
    assert select(path, "demo") == {SETUPTOOLS.file_name, FLIT.file_name}


def test_lock__a_project_that_needs_nothing_is_locked_as_well(tmp_path: Path) -> None:
    lock = save_and_read(lock_one(requirements=()), tmp_path)

    assert lock.answer(SIX, (), PYTHON) == Resolution(pins=())


def test_lock__nothing_is_a_lock_too(tmp_path: Path) -> None:
    assert Pylock.from_dict(load(save(Recorder().lock(), tmp_path))).packages == []


@pytest.mark.parametrize(
    "spelling",
    [
        ("Set_Up.Tools>=40,<90", "b [Y,x]; python_version>'3'"),
        ("  set-up-tools <90 , >=40 ", 'b[x,y] ; python_version > "3"', "set-up-tools<90,>=40"),
    ],
)
def test_lock__the_spelling_of_requirements_changes_nothing(
    tmp_path: Path, spelling: tuple[str, ...]
) -> None:
    asked = ("b[x,y]; python_version > '3'", "set_up_tools >=40, <90")
    lock = save_and_read(lock_one(SETUPTOOLS, requirements=asked), tmp_path)

    assert names(lock.answer(SIX, spelling, PYTHON)) == [SETUPTOOLS.file_name]


def test_lock__two_versions_of_one_package_stand_side_by_side(tmp_path: Path) -> None:
    old = make_wheel("setuptools", "59.8.0")
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    recorder.record(DEMO, PYTHON, ("setuptools<60",), answer_with(old))

    path = save(recorder.lock(), tmp_path)

    assert select(path, "six-1.16.0.tar.gz") == {SETUPTOOLS.file_name}
    assert select(path, "demo") == {old.file_name}
    assert names(read_lock(path).answer(DEMO, ("setuptools<60",), PYTHON)) == [old.file_name]


def test_lock__a_package_that_several_need_is_there_once(tmp_path: Path) -> None:
    recorder = Recorder()
    for source in (SIX, DEMO):
        recorder.record(source, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))

    path = save(recorder.lock(), tmp_path)

    (package,) = load(path)["packages"]
    assert package["marker"] == (
        '"demo" in dependency_groups or "six-1-16-0-tar-gz" in dependency_groups'
    )
    assert [pin.file_name for pin in read_lock(path).files()] == [SETUPTOOLS.file_name]


def test_lock__hooks_that_change_the_version_get_a_group_of_their_own(tmp_path: Path) -> None:
    old = make_wheel("setuptools", "59.8.0")
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    recorder.record(SIX, PYTHON, ("setuptools", "setuptools<60"), answer_with(old))

    path = save(recorder.lock(), tmp_path)

    assert select(path, "six-1.16.0.tar.gz") == {old.file_name}
    assert select(path, "six-1.16.0.tar.gz-2") == {SETUPTOOLS.file_name}
    assert names(read_lock(path).answer(SIX, ("setuptools",), PYTHON)) == [SETUPTOOLS.file_name]


def test_lock__names_that_installers_confuse_are_different_groups(tmp_path: Path) -> None:
    labels = (
        "a-1.0.zip", "a-1-0.zip", "a-1.0+local.zip", "a-1.0-local.zip", "ü", "…", "a-1-0-zip-2",
    )  # fmt: skip
    wheels = [make_wheel("b", f"{number}.0") for number, _ in enumerate(labels)]
    recorder = Recorder()
    for label, wheel in zip(labels, wheels, strict=True):
        recorder.record(Source(label=label), PYTHON, ("b",), answer_with(wheel))

    path = save(recorder.lock(), tmp_path)

    lock = read_lock(path)
    groups = {
        source["name"]: source["answers"][0]["group"]
        for source in load(path)["tool"]["wheelforge"]["sources"]
    }
    for label, wheel in zip(labels, wheels, strict=True):
        assert names(lock.answer(Source(label=label), ("b",), PYTHON)) == [wheel.file_name]
        assert select(path, groups[label]) == {wheel.file_name}


def test_lock__a_name_that_is_no_text_can_be_locked(tmp_path: Path) -> None:
    source = Source(label='a\udcff"\\\x7f\n.zip')

    lock = save_and_read(lock_one(SETUPTOOLS, source=source), tmp_path)

    assert names(lock.answer(source, ("setuptools",), PYTHON)) == [SETUPTOOLS.file_name]


def test_lock__one_lock_serves_several_pythons(tmp_path: Path) -> None:
    recorder = Recorder()
    wheels = {
        python: make_wheel("cffi", "1.17", python.tags[0])
        for python in (PYTHON, make_python(12), make_python(13), make_python(13, abi="cp313t"))
    }
    for python, wheel in wheels.items():
        recorder.record(SIX, python, ("cffi",), answer_with(wheel, SETUPTOOLS))

    path = save(recorder.lock(), tmp_path)

    lock = read_lock(path)
    for python, wheel in wheels.items():
        assert names(lock.answer(SIX, ("cffi",), python)) == [wheel.file_name, SETUPTOOLS.file_name]
    every = {pin.file_name for pin in lock.files()}
    assert every == {SETUPTOOLS.file_name, *(wheel.file_name for wheel in wheels.values())}
    for python in (PYTHON, make_python(12), make_python(13)):
        chosen = {wheels[python].file_name, SETUPTOOLS.file_name}
        assert select(path, "six-1.16.0.tar.gz", python) == chosen
    threaded = make_python(13, abi="cp313t")
    chosen = {wheels[threaded].file_name, SETUPTOOLS.file_name}
    assert select(path, "six-1.16.0.tar.gz-2", threaded) == chosen


def test_lock__a_patch_release_and_a_newer_system_are_served_as_well(tmp_path: Path) -> None:
    later = {**PYTHON.markers, "python_full_version": "3.11.9", "platform_release": "7.0"}
    python = replace(PYTHON, version="3.11.9", identity="another", markers=later)

    lock = save_and_read(lock_one(SETUPTOOLS), tmp_path)

    assert names(lock.answer(SIX, ("setuptools",), python)) == [SETUPTOOLS.file_name]


def test_lock__a_python_is_described_by_what_decides_which_files_it_takes() -> None:
    assert describe_python(make_python(13, abi="cp313t")) == LockedPython(
        implementation="cpython", version="3.13", abi="cp313t", platform="linux", machine="x86_64"
    )


def test_lock__what_is_built_for_a_build_is_a_source_too(tmp_path: Path) -> None:
    legacy = make_pin("legacy-1.0.tar.gz")
    built = Source(label="legacy-1.0.tar.gz", sha256=legacy.sha256)
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("legacy",), answer_with(legacy))
    recorder.record(built, PYTHON, ("flit_core",), answer_with(FLIT))

    path = save(recorder.lock(), tmp_path)

    lock = read_lock(path)
    (pin,) = lock.answer(SIX, ("legacy",), PYTHON).pins
    assert (pin.file_name, pin.is_wheel) == ("legacy-1.0.tar.gz", False)
    assert names(lock.answer(built, ("flit_core",), PYTHON)) == [FLIT.file_name]
    assert select(path, "six-1.16.0.tar.gz") == {"legacy-1.0.tar.gz"}


def test_lock__what_was_built_and_passed_over_is_not_locked(tmp_path: Path) -> None:
    deep, chosen, refused = (make_pin(f"{name}-1.0.tar.gz") for name in ("deep", "chosen", "no"))
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("chosen",), answer_with(chosen))
    for pin, needs in ((chosen, (deep,)), (deep, (FLIT,)), (refused, (SETUPTOOLS,))):
        source = Source(label=pin.file_name, sha256=pin.sha256)
        recorder.record(source, PYTHON, ("x",), answer_with(*needs), is_wanted=False)

    lock = save_and_read(recorder.lock(), tmp_path)

    assert [locked.source.label for locked in lock.sources] == [
        chosen.file_name,
        deep.file_name,
        SIX.label,
    ]
    assert {pin.name for pin in lock.files()} == {"chosen", "deep", "flit-core"}


def test_lock__the_hash_of_what_was_built_is_known_even_if_no_index_states_it(
    tmp_path: Path,
) -> None:
    sha256 = sha256_of("legacy-1.0.tar.gz")
    recorder = Recorder()
    pin = make_pin("legacy-1.0.tar.gz", sha256="")
    recorder.record(SIX, PYTHON, ("legacy",), answer_with(pin))
    recorder.record(Source(label=pin.file_name, sha256=sha256), PYTHON, (), answer_with())

    lock = save_and_read(recorder.lock(), tmp_path)

    assert lock.answer(SIX, ("legacy",), PYTHON).pins[0].sha256 == sha256


@pytest.mark.parametrize(
    "file_name", ["Old.Name-1.0-1.tar.gz", "main.zip", "a-1.0.tar.gz", "a-1.0-py3-none-any.whl"]
)
def test_lock__a_file_at_a_url_is_an_archive_whatever_its_name(
    tmp_path: Path, file_name: str
) -> None:
    bare = f"https://elsewhere.test/x%20y/{file_name}"
    url = bare if file_name.endswith(".whl") else f"{bare}#subdirectory=a/b"
    pin = make_wheel("a")._replace(file_name=file_name, url=f"{url}", origin=bare)
    pin = pin._replace(is_wheel=file_name.endswith(".whl"))
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(pin))
    recorder.record(Source(label=file_name, sha256=pin.sha256), PYTHON, (), answer_with())

    path = save(recorder.lock(), tmp_path)

    (package,) = load(path)["packages"]
    assert package["archive"]["url"] == bare
    (again,) = read_lock(path).answer(SIX, ("a",), PYTHON).pins
    assert (again.url, again.file_name, again.is_wheel) == (url, file_name, pin.is_wheel)
    assert read_lock(path) == recorder.lock()


def test_lock__an_old_sdist_of_an_index_is_an_archive_with_an_index(tmp_path: Path) -> None:
    pin = make_pin("a-1.0.tar.gz")._replace(file_name="a-1.0-1.zip", version="1.0.post1")
    pin = pin._replace(url=f"{ORIGIN}/files/a-1.0-1.zip")
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(pin))
    recorder.record(Source(label="a-1.0-1.zip", sha256=pin.sha256), PYTHON, (), answer_with())

    path = save(recorder.lock(), tmp_path)

    (package,) = load(path)["packages"]
    assert (package["index"], package["archive"]["url"]) == (ORIGIN, pin.url)
    assert read_lock(path) == recorder.lock()


@pytest.mark.parametrize("is_named_itself", [False, True])
def test_lock__a_local_file_is_found_from_the_lock_wherever_both_are(
    tmp_path: Path, *, is_named_itself: bool
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    wheels = before / "all wheels #1"
    wheels.mkdir(parents=True)
    (before / "locks").mkdir()
    path = wheels / "a-1.0-py3-none-any.whl"
    path.write_bytes(content_of(path.name))
    origin = path.as_uri() if is_named_itself else str(wheels)
    recorded = lock_one(make_pin(path.name, url=path.as_uri(), origin=origin))

    lock = save(recorded, before / "locks")

    assert str(tmp_path) not in lock.read_text(encoding="utf-8")
    assert "../all wheels #1/a-1.0" in lock.read_text(encoding="utf-8")
    assert read_lock(lock) == recorded
    before.rename(after)
    (pin,) = read_lock(after / "locks" / lock.name).files()
    assert pin.url == (after / "all wheels #1" / path.name).as_uri()


def test_lock__nothing_secret_is_written_and_asking_with_it_changes_nothing(tmp_path: Path) -> None:
    secret = "https://me:hunter2@elsewhere.test/a-1.0-py3-none-any.whl"  # ruff: ignore[hardcoded-password-string]
    signed = f"{secret}?X-Amz-Signature=hunter2&access_token=hunter2&version=7"
    pin = make_pin("a-1.0-py3-none-any.whl", url=signed, origin=signed)
    indexed = make_wheel("b")._replace(origin="https://me:hunter2@index.test/simple?key=hunter2")
    asked = (f"a @ {signed}", "b")

    path = save(lock_one(pin, indexed, requirements=asked), tmp_path)

    text = path.read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert "me:" not in text
    answer = read_lock(path).answer(SIX, asked, PYTHON)
    assert answer.pins[0].url == "https://elsewhere.test/a-1.0-py3-none-any.whl?version=7"


def test_lock__one_file_from_two_places_is_one_file(tmp_path: Path) -> None:
    url = "https://mirror.test/a-1.0-py3-none-any.whl"
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), answer_with(make_wheel("a")))
    there = make_pin("a-1.0-py3-none-any.whl", url=url, origin=url)
    recorder.record(DEMO, PYTHON, (f"a @ {url}",), answer_with(there))

    lock = save_and_read(recorder.lock(), tmp_path)

    assert len(lock.files()) == 1
    assert lock == recorder.lock()


def test_lock__several_threads_may_record(tmp_path: Path) -> None:
    def record(recorder: Recorder, label: str) -> None:
        for number in range(50):
            source = Source(label=f"{label}-{number}")
            recorder.record(source, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))

    outcomes: list[bytes] = []
    for labels in ("abcd", "dcba"):
        recorder = Recorder()
        threads = [Thread(target=record, args=(recorder, label)) for label in labels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        outcomes.append(save(recorder.lock(), tmp_path).read_bytes())

    assert outcomes[0] == outcomes[1]
    assert outcomes[0].count(b"[[tool.wheelforge.sources]]") == 200


def test_lock__writing_again_replaces_the_lock_and_leaves_nothing_else(tmp_path: Path) -> None:
    save(lock_one(FLIT), tmp_path)

    path = save(lock_one(SETUPTOOLS), tmp_path)

    assert list(tmp_path.iterdir()) == [path]
    assert names(read_lock(path).answer(SIX, ("setuptools",), PYTHON)) == [SETUPTOOLS.file_name]


def test_lock__a_lock_that_was_not_written_answers_like_one_that_was(tmp_path: Path) -> None:
    lock = lock_one(SETUPTOOLS)

    assert isinstance(lock, Lock)
    assert names(lock.answer(SIX, ("setuptools",), PYTHON)) == [SETUPTOOLS.file_name]
    assert lock == save_and_read(lock, tmp_path)


def test_lock__what_was_resolved_is_delivered_from_the_lock_without_asking(tmp_path: Path) -> None:
    universe = Universe(workshop=tmp_path)
    universe.add("a", "1.0", "b", hashes={})
    universe.add("b", "1.0")
    delivery = prepare_wheels(universe.resolve("a"), universe, None, workspace=tmp_path / "first")
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("a",), delivery.resolution)
    lock = save_and_read(recorder.lock(), tmp_path)
    universe.fetched.clear()

    again = prepare_wheels(
        lock.answer(SIX, ("a",), PYTHON), universe, None, workspace=tmp_path / "second"
    )

    assert again.keys == delivery.keys
    assert universe.fetched == []


def test_lock__other_bytes_than_the_locked_ones_are_refused_in_the_name_of_the_lock(
    tmp_path: Path,
) -> None:
    good = served_wheel("a", "1.0")
    changed = replace(good, content=b"x" * len(good.content), hashes={})
    with serve(Project("a", good)) as server:
        settings = IndexSettings(index_urls=(server.url,), timeout_seconds=5.0)
        with Index(settings, PYTHON.tags) as index:
            lock = save_and_read(lock_one(*resolve(ask("a"), index).pins), tmp_path)
    (pin,) = lock.answer(SIX, ("setuptools",), PYTHON).pins

    with serve(Project("a", changed)) as server:
        moved = pin._replace(
            url=f"{server.url.removesuffix('/simple/')}/{pin.url.split('/', 3)[3]}"
        )
        with Index(settings, PYTHON.tags) as index:
            delivery = prepare_wheels(Resolution(pins=(moved,)), index, None, workspace=tmp_path)
            with pytest.raises(DownloadMismatchError) as caught:
                delivery.fetch(delivery.keys[0], str(tmp_path / "a.whl"))

    assert caught.value.origin == str(tmp_path / "pylock.build.toml")


def test_lock__importing_the_room_loads_no_parser() -> None:
    code = (
        "import sys; before = {*sys.modules}; import wheelforge.lockfile; "
        "print(*({*sys.modules} - before))"
    )

    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()

    assert {"packaging", "tomli_w", "tomllib", "urllib3", "resolvelib"}.isdisjoint(loaded)


@pytest.mark.parametrize("url", ["https://me:x@index.test/six.tar.gz", "file:///in/six.tar.gz"])
@pytest.mark.parametrize("index", ["", "https://me:x@index.test/simple"])
def test_lock__the_sdist_of_a_release_comes_back(tmp_path: Path, url: str, index: str) -> None:
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    recorder.name_archive(SIX, PYTHON, "six-1.16.0.tar.gz", url, index)
    lock = recorder.lock()

    found = save_and_read(lock, tmp_path)

    assert found == lock
    assert "me:x" not in save(lock, tmp_path).read_text(encoding="utf-8")
    archive = found.find_archive(SIX.label, PYTHON)
    assert archive is not None
    assert (archive.file_name, archive.sha256) == ("six-1.16.0.tar.gz", SIX.sha256)
    assert found.archives() == (archive,)
    assert found.find_archive(SIX.label, make_python(12)) is None


def test_lock__an_sdist_whose_name_would_not_be_read_is_left_out() -> None:
    recorder = Recorder()
    recorder.record(SIX, PYTHON, ("setuptools",), answer_with(SETUPTOOLS))
    recorder.name_archive(SIX, PYTHON, "six\0.tar.gz", "https://index.test/six.tar.gz", "")

    assert recorder.lock().archives() == ()
