"""Each input of a build, changed alone, has it built again; all else changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import WILLING, ask, write_sdist
from tests.support.processes import needs
from tests.support.reuse import OVERRIDE, World
from wheelforge.build import code_search, key_document, toolchain
from wheelforge.build.cause import compare
from wheelforge.build.forge import open_forge
from wheelforge.build.sources import describe_path
from wheelforge.errors import UsageError
from wheelforge_isolation import Layout, Links, WheelKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[World], object]
    Search = Callable[[Path], list[str]]

pytestmark = needs(posix="tools and packages as Linux has them")
PATCH = "--- a/demo.txt\n+++ b/demo.txt\n@@ -1 +1 @@\n-one\n\\ No newline at end of file\n+two\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World.make(tmp_path, monkeypatch)


def override(*lines: str) -> Change:
    return lambda world: setattr(world, "overrides", OVERRIDE + "\n".join(lines) + "\n")


def variable(name: str, value: str | None) -> Change:
    def change(world: World) -> None:
        world.variables.pop(name, None)
        if value is not None:
            world.variables[name] = value

    return change


def setting(**facts: object) -> Change:
    return lambda world: world.request.update(config_settings=facts)


def file(name: str, text: str, mode: int = 0o644) -> Change:
    return lambda world: world.write(name, text, mode)


def python(**facts: str) -> Change:
    return lambda world: world.change_python(**facts)


def wheel(name: str, version: str, content: bytes = b"", *requires: str) -> Change:
    return lambda world: world.add_wheel(name, version, *requires, content=content)


def patched(world: World) -> None:
    world.write("one.patch", PATCH)
    override('patches = ["one.patch"]')(world)


def newer_release(world: World) -> None:
    world.monkeypatch.setattr(key_document, "VERSION", "9.9")


def limit(text: str) -> Change:
    return lambda world: setattr(world, "constraints", text)


INPUTS: dict[str, tuple[str, Change]] = {
    "a byte of the sdist": ("source.sha256", lambda world: world.more.update({"demo.txt": "two"})),
    "a time in the sdist": ("source.sha256", lambda world: setattr(world, "moment", 1_500_000_000)),
    "a config setting": ("request.config_settings.x", setting(x="1")),
    "a list of config settings": ("request.config_settings.x", setting(x=["1", "2"])),
    "the link mode": (
        "request.links",
        lambda world: world.request.update(links=Links("copy")),
    ),
    "the epoch": ("request.epoch", lambda world: world.policy.update(source_date_epoch="86400")),
    "the release of wheelforge": ("policy.wheelforge", newer_release),
    "a patch": ("overrides.patches", patched),
    "a deleted file": ("overrides.delete", override('delete = ["demo.txt"]')),
    "an added requirement": (
        "overrides.build-requires.add",
        override('build-requires.add = ["deeper"]'),
    ),
    "a changed METADATA": (
        "overrides.metadata.requires-dist.add",
        override('metadata.requires-dist.add = ["x"]'),
    ),
    "a config setting of an override": (
        "request.config_settings.x",
        override('config-settings = { x = "1" }'),
    ),
    "a variable of an override": ("environment.DEMO", override('environment = { DEMO = "1" }')),
    "a patch release of Python": ("interpreter.version", python(version="3.11.99")),
    "the ABI of Python": ("interpreter.abi", python(soabi="cpython-311d")),
    "another build of Python": ("interpreter.identity", python(identity="0" * 16)),
    "the kernel": ("platform.release", python(release="99")),
    "the C library": ("platform.libc", python(libc="manylinux_2_99_x86_64")),
    "the processor": ("platform.cpu", file("cpu", "model name : two\nflags : fpu\n")),
    "the distribution": ("platform.distribution", file("system", 'PRETTY_NAME="Two"\n')),
    "the compiler": ("toolchain.tools.cc.digest", file("bin/cc", "#!/bin/sh\n#\n", 0o755)),
    "the compiler behind a wrapper": (
        "toolchain.tools.cc in",
        file("other/cc", "#!/bin/sh\n#\n", 0o755),
    ),
    "a tool that tells how to compile": (
        "toolchain.tools.pg_config.digest",
        file("bin/pg_config", "#!/bin/sh\n#\n", 0o755),
    ),
    "a tool that was not there": ("toolchain.tools.zig", file("bin/zig", "", 0o755)),
    "a compiler with machine and version in its name": (
        "toolchain.tools.x86_64-linux-gnu-gcc-99",
        file("bin/x86_64-linux-gnu-gcc-99", "#!/bin/sh\n", 0o755),
    ),
    "a tool that is gone": (
        "toolchain.tools.pg_config",
        lambda world: (world.path / "bin" / "pg_config").unlink(),
    ),
    "a package with headers": (
        "toolchain.libraries.libdemo-dev",
        file("dpkg", "Package: libdemo-dev\nStatus: install ok installed\nVersion: 2\n\n"),
    ),
    "a library that is in no package": ("toolchain.libraries.", file("library/second", "")),
    "a user's settings of a tool": ("toolchain.settings", file("home/.pydistutils.cfg", "[x]\n")),
    "a compiler behind the wrapper that a variable names": (
        "toolchain.tools.cxx-12 of $CXX",
        file("bin/cxx-12", "#!/bin/sh\n#\n", 0o755),
    ),
    "a file that a variable names": (
        "toolchain.settings.$DIST_EXTRA_CONFIG",
        file("extra.cfg", "[build_ext]\n"),
    ),
    "the version behind rustup": (
        "toolchain.settings.~/.rustup/update-hashes",
        file("rustup/update-hashes/stable", "two"),
    ),
    "CFLAGS": ("environment.CFLAGS", variable("CFLAGS", "-O3")),
    "LDFLAGS": ("environment.LDFLAGS", variable("LDFLAGS", "-s")),
    "a variable that the backend reads": (
        "environment.DEMO_ROOT",
        variable("DEMO_ROOT", "/two"),
    ),
    "a variable that is gone": ("environment.DEMO_ROOT", variable("DEMO_ROOT", None)),
    "a build of Jenkins that an override sets": (
        "environment.BUILD_NUMBER",
        override('environment = { BUILD_NUMBER = "12" }'),
    ),
    "a host that an override sets": (
        "environment.HOSTNAME",
        override('environment = { HOSTNAME = "one" }'),
    ),
    "SOURCE_DATE_EPOCH": ("environment.SOURCE_DATE_EPOCH", variable("SOURCE_DATE_EPOCH", "1")),
    "the language": ("environment.LANG", variable("LANG", "C")),
    "a release of a build requirement": (
        "closure.wheels.helper.version",
        wheel("helper", "2.0", b"", "deeper"),
    ),
    "other bytes of a build requirement": (
        "closure.wheels.helper.sha256",
        wheel("helper", "1.0", b"two = 2\n", "deeper"),
    ),
    "the backend": ("closure.wheels.willing.version", wheel("willing", "2.0", WILLING.encode())),
    "a requirement of a requirement": ("closure.wheels.deeper.version", wheel("deeper", "2.0")),
    "a constraint": ("closure.constraints", limit("helper>=1")),
}


def test_cause__first_build_requirement_of_all_is_named() -> None:
    wheel = {"version": "1.0", "file": "helper.whl", "sha256": "0"}
    nothing: dict[str, object] = {"closure": {"wheels": {}}}
    something: dict[str, object] = {"closure": {"wheels": {"helper": wheel}}}

    found = [compare(nothing, something, {}), compare(something, nothing, {})]

    assert [each.sentence for each in found] == [
        "`helper` is 1.0, was nothing",
        "`helper` is nothing, was 1.0",
    ]


@pytest.mark.parametrize("name", INPUTS)
def test_reuse__other_input_is_built_again(world: World, name: str) -> None:
    cause, change = INPUTS[name]
    first, same = world.build(), world.build("again")

    change(world)
    changed, settled = world.build("changed"), world.build("settled")

    assert [each.verdict for each in (first, same)] == ["built", "reused"]
    assert [each.verdict for each in (changed, settled)] == ["built", "reused"]
    assert changed.cause is not None
    code = "other-machine" if cause.startswith("platform.") else "changed"
    assert (changed.cause.code, settled.cause) == (code, None)
    assert changed.cause.place.startswith(cause)


@pytest.mark.parametrize("name", ["setup.py", "scripts/version"])
def test_reuse__variable_of_a_ci_run_counts_where_the_sdist_names_it(
    world: World, name: str
) -> None:
    world.more[name] = 'version = os.environ["BUILD_NUMBER"]'
    world.more[".github/workflows/build.yml"] = world.more[".ci/version.py"] = "$GITHUB_RUN_ID"

    def build(number: str, run: str) -> str:
        world.variables |= {"BUILD_NUMBER": number, "GITHUB_RUN_ID": run}
        return world.build(f"{number}-{run}").verdict

    found = [build("1", "1"), build("1", "2"), build("2", "3"), build("2", "3")]

    assert found == ["built", "reused", "built", "reused"]


def test_reuse__variable_of_a_ci_run_counts_where_a_build_requirement_names_it(
    world: World,
) -> None:
    content = b"import os\nnumber = os.environ.get('BUILD_NUMBER')\n"
    world.add_wheel("helper", "1.0", "deeper", content=content)

    def build(number: str, run: str) -> str:
        world.variables |= {"BUILD_NUMBER": number, "GITHUB_RUN_ID": run}
        return world.build(f"{number}-{run}").verdict

    found = [build("1", "1"), build("1", "2"), build("2", "3"), build("1", "4")]
    # The environment outlives the wheels that it is made of.
    layout = Layout(root=world.ground.cache)
    for path in [*layout.wheels.list_records(), *layout.manifests.glob("searched-*")]:
        path.unlink()
    found += [build("1", "5"), build("1", "6"), build("3", "7")]

    assert found[:4] == ["built", "reused", "built", "reused"]
    assert found[4:] == ["built", "reused", "built"]


def without_helper(world: World) -> None:
    for path in world.ground.links.glob("helper-*"):
        path.unlink()


def elsewhere(world: World) -> None:
    apart = world.ground.apart(world.path / "apart").links
    world.settings["find_links"] = (str(apart), str(world.ground.links))


REQUIREMENTS: dict[str, tuple[str, Change]] = {
    "nothing": ("frozen", lambda _: None),
    "a newer release": ("frozen", wheel("helper", "2.0", b"", "deeper")),
    "other bytes of the same release": ("frozen", wheel("helper", "1.0", b"two = 2\n", "deeper")),
    "no wheels at all": ("frozen", without_helper),
    "another directory": ("reused", elsewhere),
    "a day": (
        "reused",
        lambda world: world.request.update(cutoff=datetime(2100, 1, 1, tzinfo=UTC)),
    ),
    "a constraint": ("built", limit("helper>=1")),
    "a requirement more": ("built", override('build-requires.add = ["deeper"]')),
    "a variable": ("built", variable("CFLAGS", "-O3")),
    "the sdist": ("built", lambda world: world.more.update({"demo.txt": "two"})),
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_frozen__requirements_are_those_of_the_last_build(world: World, name: str) -> None:
    expected, change = REQUIREMENTS[name]
    first = world.build()
    change(world)
    world.policy["reuse_policy"] = "frozen"

    found = world.build("again")

    is_frozen = any("no index was asked" in note for note in found.notes)
    assert (first.verdict, "frozen" if is_frozen else found.verdict) == ("built", expected)
    assert expected == "built" or found.wheels == first.wheels


def test_frozen__variables_of_a_ci_run_count_as_ever(world: World) -> None:
    content = b"import os\nnumber = os.environ.get('BUILD_NUMBER')\n"
    world.add_wheel("helper", "1.0", "deeper", content=content)
    world.policy["reuse_policy"] = "frozen"

    def build(number: str) -> str:
        world.variables["BUILD_NUMBER"] = number
        return world.build(number).verdict

    assert [build("1"), build("1"), build("2")] == ["built", "reused", "built"]


def test_reuse__wheel_is_searched_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def noting(find: Search) -> Search:
        def find_and_note(root: Path) -> list[str]:
            searched.append(root.name)
            return find(root)

        return find_and_note

    for find in (code_search.find_named_variables, code_search.find_inputs_of_wheel):
        monkeypatch.setattr(code_search, find.__name__, noting(find))
    world.build()
    variable("CFLAGS", "-O3")(world)
    world.build()
    world.build()

    assert len(searched) == 4  # the sdist and three wheels


TOOLS: dict[str, Change] = {
    "other bytes": file("bin/cc", "#!/bin/sh\n#\n", 0o755),
    "no right to run it": file("bin/cc", "#!/bin/sh\n", 0o644),
    "one before it": file("bin/clang", "#!/bin/sh\n", 0o755),
    "one that is gone": lambda world: (world.path / "bin" / "pg_config").unlink(),
    "a user's settings": file("home/.pydistutils.cfg", "[x]\n"),
    "the package": file("dpkg", "Package: a-dev\nStatus: install ok installed\nVersion: 2\n\n"),
    "the file of a variable": file("extra.cfg", "[build_ext]\n"),
    "another variable": variable("CC", "clang-99"),
}


@pytest.mark.parametrize("name", TOOLS)
def test_toolchain__change_is_seen_by_a_process_that_lives_on(world: World, name: str) -> None:
    tools, named = toolchain.Toolchain(world.path / "memory"), ("DIST_EXTRA_CONFIG",)
    before, same = (tools.describe(dict(world.variables), named) for _ in range(2))

    TOOLS[name](world)
    changed = tools.describe(dict(world.variables), named)

    assert before == same != changed
    fresh = toolchain.Toolchain(world.path / "fresh")
    assert changed == fresh.describe(dict(world.variables), named)


def test_toolchain__programs_are_looked_for_once_for_all_builds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = toolchain.Toolchain(world.path / "memory")
    first = tools.describe(dict(world.variables))
    monkeypatch.setattr(tools, "_list_tools", None)

    assert tools.describe(dict(world.variables)) == first


def moved_cache(world: World) -> None:
    (world.path / "cache").rename(world.path / "moved")
    world.settings["cache_dir"] = world.path / "moved"


def moved_sdist(world: World) -> None:
    source = world.path / "demo.tar.gz"
    source.write_bytes(world.pack().read_bytes())
    os.utime(source, (1, 1))
    world.request["source"] = source


IRRELEVANT: dict[str, Change] = {
    "another path and time of the sdist": moved_sdist,
    "a moved cache": moved_cache,
    "the terminal": variable("TERM", "dumb"),
    "its width": variable("COLUMNS", "40"),
    "its colours": variable("NO_COLOR", "1"),
    "the working directory": variable("PWD", "/"),
    "the one before": variable("OLDPWD", "/"),
    "the depth of shells": variable("SHLVL", "9"),
    "the host": variable("HOSTNAME", "0123456789ab"),
    "a session": variable("SSH_CONNECTION", "::1 1 ::1 2"),
    "the directory that pyenv was started in": variable("PYENV_DIR", "/elsewhere"),
    "a prompt of a shell": variable("STARSHIP_SESSION_KEY", "2167832169"),
    "a command of sudo": variable("SUDO_COMMAND", "/usr/bin/wheelforge -o elsewhere"),
    "a run of GitHub": variable("GITHUB_RUN_ID", "7"),
    "a commit of GitHub": variable("GITHUB_SHA", "0" * 40),
    "a job of GitLab": variable("CI_JOB_TOKEN", "secret"),
    "a token in a URL of GitLab": variable("CI_REPOSITORY_URL", "https://a:token@b/c.git"),
    "a build of Jenkins": variable("BUILD_NUMBER", "12"),
    "a commit of Jenkins": variable("GIT_COMMIT", "0" * 40),
    "a branch of Azure": variable("BUILD_SOURCEBRANCHNAME", "next"),
    "a branch of CircleCI": variable("CIRCLE_BRANCH", "next"),
    "how many jobs there are": variable("MAX_JOBS", "3"),
    "a job server": variable("MAKEFLAGS", " -j2 --jobserver-auth=fifo:/tmp/x"),
    "settings of an installer": variable("PIP_RETRIES", "0"),
    "a limit of time": lambda world: world.policy.update(timeout_seconds=99.0),
    "a program that is no tool": file("bin/dance", "", 0o755),
    "a file that is no program": file("bin/zig", ""),
    "a package without headers": file(
        "dpkg",
        "Package: libdemo-dev\nStatus: install ok installed\nVersion: 1.0\n\n"
        "Package: vim\nStatus: install ok installed\nVersion: 9\n\n",
    ),
    "the speed of the processor": file("cpu", "model name : one\nflags : fpu\ncpu MHz : 2\n"),
    "another wheel": wheel("stranger", "1.0"),
    "a constraint on another package": limit("stranger<2"),
}


@pytest.mark.parametrize("name", IRRELEVANT)
def test_reuse__no_input_changes_nothing(world: World, name: str) -> None:
    built = world.build()

    IRRELEVANT[name](world)
    again = world.build("again")

    assert (built.verdict, again.verdict) == ("built", "reused")
    assert again.artifacts[0].path.read_bytes() == built.artifacts[0].path.read_bytes()


@pytest.mark.parametrize(
    ("lines", "verdicts"),
    [
        ('key-files = ["read"]', ["built", "reused", "built"]),
        ("reuse = false", ["built", "built", "built"]),
        ('environment = { DEMO = "1" }', ["built", "reused", "reused"]),
    ],
)
def test_reuse__override_names_files_or_forbids_it(
    world: World, lines: str, verdicts: list[str]
) -> None:
    override(lines)(world)
    found = [world.build(), world.build()]
    world.write("read", "two")
    found.append(world.build())

    assert [each.verdict for each in found] == verdicts


def test_reuse__home_that_cannot_be_looked_at_has_no_files(world: World) -> None:
    world.variables["HOME"] = "/" + "long" * 99

    assert [world.build().verdict, world.build().verdict] == ["built", "reused"]


def test_reuse__variables_are_not_remembered_of_an_sdist_that_was_replaced(world: World) -> None:
    world.more["setup.py"] = 'version = os.environ["BUILD_NUMBER"]'
    named, request = describe_path(world.pack()), ask(world.pack(), world.path / "out")
    world.more["setup.py"] = ""
    with open_forge(world.ground.settings(variables=world.variables)) as forge:
        reuse = forge.context.reuse
        assert reuse is not None
        replaced = named._replace(path=world.pack())
        found = [reuse.open(request, replaced, None, world.path), reuse.open(request, named)]

    assert found == [None, None]


def test_reuse__limit_of_jobs_replaces_flags_of_make(world: World) -> None:
    override("reuse = true")(world)
    world.variables["MAKEFLAGS"] = "DEMO=1"
    found = [world.build()]
    override("limits.jobs = 2")(world)
    found += [world.build(), world.build()]

    assert [each.verdict for each in found] == ["built", "built", "reused"]


def test_reuse__file_to_delete_that_is_missing_is_an_error_again(world: World) -> None:
    override("ignore-missing = true", 'delete = ["absent"]')(world)
    world.build()
    override('delete = ["absent"]')(world)

    with pytest.raises(UsageError, match="absent"):
        world.build()


def test_reuse__requirement_is_built_anew_for_other_variables(world: World) -> None:
    write_sdist(world.ground.links, name="source")
    world.code["get_requires_for_build_wheel"] = "answer = ['source']"
    with open_forge(world.ground.settings(variables=world.variables)) as forge:
        found = [
            forge.build(
                ask(world.pack(), world.path / "out", variables={**world.variables, **more})
            )
            for more in ({}, {"DEMO_ROOT": "/two"}, {})
        ]

    digests = [
        next(wheel.sha256 for wheel in each.wheels if wheel.name == "source") for each in found
    ]
    assert [each.verdict for each in found] == ["built", "built", "reused"]
    assert digests[0] == digests[2] != digests[1]


def test_reuse__what_changes_during_the_build_is_not_kept(world: World) -> None:
    override('key-files = ["read"]')(world)
    world.code["build_wheel"] = f"open({str(world.path / 'read')!r}, 'w').write('two')"
    built = world.build()
    world.write("read", "one")

    assert (built.verdict, world.build().verdict) == ("built", "built")


def test_key__holds_no_password_of_a_constraint() -> None:
    helper = WheelKey(name="helper", version="1.0", file_name="helper.whl", sha256="0")
    texts = ("helper @ https://me:hunter2@example.org/helper.whl",)

    found = key_document.describe_closure([("helper",)], [(helper,)], texts)

    assert "example.org/helper.whl" in str(found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "hunter2"),
        ("index", "https://me:hunter2@example.org/simple"),
        ("--global-option", ["--x", "--api-key=hunter2"]),
        ("cmake.define.SECRET_KEY", "hunter2"),
    ],
)
def test_key__holds_no_config_setting_that_may_be_secret(
    world: World, name: str, value: object
) -> None:
    setting(**{name: value})(world)
    found = [world.build(), world.build()]
    setting(**{name: "other"})(world)
    found.append(world.build())

    assert [each.verdict for each in found] == ["built", "reused", "built"]
    assert found[2].cause is not None
    assert found[2].cause.sentence == f"the config setting `{name}` is another one"
    assert not [
        path for path in world.ground.cache.rglob("*.json") if b"hunter2" in path.read_bytes()
    ]


def test_key__holds_no_value_that_may_be_secret(world: World) -> None:
    world.variables |= {"DEMO_TOKEN": "hunter2-hunter2", "CMAKE_ARGS": "-DTOKEN=hunter2-hunter2"}
    world.build()

    # The backend of this test writes all variables into the wheel.
    every = [path for path in world.ground.cache.rglob("*.json") if path.is_file()]
    (record,) = Layout(root=world.ground.cache).built.list_records()
    assert b"DEMO_TOKEN" in record.read_bytes()
    assert not [path for path in every if b"hunter2" in path.read_bytes()]
