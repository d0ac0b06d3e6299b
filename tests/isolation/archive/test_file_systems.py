"""Plans for an archive on file systems that this one is not."""

import io
from pathlib import Path

import pytest

from tests.support.archives import NO_LIMITS, PROJECT, file, folder, pax, symlink, tar
from wheelforge_isolation import Links
from wheelforge_isolation.archive.members import Plan, RuleError
from wheelforge_isolation.archive.plan import PlanOptions, make_plan
from wheelforge_isolation.archive.spool import open_spool
from wheelforge_isolation.archive.tar import read_tar
from wheelforge_isolation.files.capabilities import FilesystemCapabilities


class FakeFileSystem(FilesystemCapabilities):
    """A file system of which only the odd sides are named."""

    def __init__(
        self,
        *,
        has_links: bool = True,
        folds_names: bool = False,
        has_windows_names: bool = False,
        takes_raw_names: bool = True,
    ) -> None:
        super().__init__("/nowhere")
        self.has_links = has_links
        self.folds_names = folds_names
        self.has_windows_names = has_windows_names
        self.takes_raw_names = takes_raw_names


LINUX = FakeFileSystem()
MACOS = FakeFileSystem(folds_names=True, takes_raw_names=False)
WINDOWS = FakeFileSystem(
    has_links=False, folds_names=True, has_windows_names=True, takes_raw_names=False
)
FILE_SYSTEMS = {"Linux": LINUX, "macOS": MACOS, "Windows": WINDOWS}

DEVICES = [
    "CON", "prn", "Aux.c", "nul.tar.gz", "COM0", "com1.txt", "LPT9", "com\u00b9", "lpt\u00b3.x",
    "CONIN$", "conout$", "aux /x", "con.d/x", "d/NUL",
]  # fmt: skip
NO_DEVICES = ["console", "aux_", "com10", "lpt", "x.aux", "nulls/x", "d.con", "com\u2074"]
CHARACTERS = [
    "a:b", "a:b:$DATA", "a<b", "a>b", 'a"b', "a|b", "a?b", "a*b", "a.", "a ", "d./x", "d /x",
]  # fmt: skip
TWINS = {
    "case": ("A", "a"),
    "unicode form": ("\u00e9", "e\u0301"),
    "sharp s": ("stra\u00dfe", "STRASSE"),
    "sigma": ("\u03c3", "\u03c2"),
    "dotted capital i": ("\u0130", "i\u0307"),
}


def plan(*parts: bytes, system: FakeFileSystem, links: Links | None = None) -> Plan:
    """Return the plan for an sdist of ``parts`` on that file system."""
    spool = io.BytesIO(tar(*PROJECT, *parts))
    members, _ = read_tar(spool, len(spool.getvalue()), NO_LIMITS)
    options = PlanOptions(
        stem="p-1", is_zip=False, limits=NO_LIMITS, capabilities=system, links=links
    )
    return make_plan(members, open_spool(spool), options)


def refused_rule(*parts: bytes, system: FakeFileSystem) -> str:
    """Return the rule by which a file system refuses an sdist of ``parts``."""
    with pytest.raises(RuleError) as caught:
        plan(*parts, system=system)
    return caught.value.rule


@pytest.mark.parametrize(
    ("name", "rule", "other"),
    [*((name, "N11", MACOS) for name in DEVICES), *((name, "N12", LINUX) for name in CHARACTERS)],
)
def test_file_system__name_of_a_device_or_with_its_character_is_refused_on_windows_alone(
    name: str, rule: str, other: FakeFileSystem
) -> None:
    part = file(f"p-1/{name}")

    assert refused_rule(part, system=WINDOWS) == rule
    assert [note.rule for note in plan(part, system=other).notes if note.is_warning] == []


@pytest.mark.parametrize("name", NO_DEVICES)
def test_file_system__name_that_resembles_a_device_is_fine(name: str) -> None:
    planned = plan(file(f"p-1/{name}"), system=WINDOWS)

    assert f"p-1/{name}" in planned.files
    assert planned.notes == []


@pytest.mark.parametrize("system", [MACOS, WINDOWS], ids=["macOS", "Windows"])
@pytest.mark.parametrize(("one", "other"), TWINS.values(), ids=TWINS)
def test_file_system__twins_are_refused_where_names_fold(
    one: str, other: str, system: FakeFileSystem
) -> None:
    parts = (file(f"p-1/{one}", b"1"), file(f"p-1/{other}", b"2"))

    assert refused_rule(*parts, system=system) == "N13"


@pytest.mark.parametrize(("one", "other"), TWINS.values(), ids=TWINS)
def test_file_system__twins_are_noted_where_they_can_be(one: str, other: str) -> None:
    planned = plan(file(f"p-1/{one}"), file(f"p-1/{other}"), system=LINUX)

    assert [note.rule for note in planned.notes if note.is_warning] == ["N13"]


@pytest.mark.parametrize("system", FILE_SYSTEMS.values(), ids=FILE_SYSTEMS)
def test_file_system__directory_twins_are_refused(system: FakeFileSystem) -> None:
    assert refused_rule(folder("p-1/D"), file("p-1/d/x"), system=system) == "N13"


@pytest.mark.parametrize("system", [MACOS, WINDOWS], ids=["macOS", "Windows"])
def test_file_system__name_that_is_not_utf_8_is_refused_where_names_are_text(
    system: FakeFileSystem,
) -> None:
    assert refused_rule(file(b"p-1/\xff"), system=system) == "N14"


@pytest.mark.parametrize("system", FILE_SYSTEMS.values(), ids=FILE_SYSTEMS)
def test_file_system__length_of_a_name_does_not_depend_on_the_file_system(
    system: FakeFileSystem,
) -> None:
    assert refused_rule(pax(path="p-1/" + "n" * 256) + file("p-1/x"), system=system) == "N15"


def test_file_system__links_are_kept_where_they_can_be() -> None:
    planned = plan(file("p-1/a"), symlink("p-1/l", "a"), system=LINUX)

    assert planned.links == {"p-1/l": "a"}
    assert "p-1/l" not in planned.files


def test_file_system__links_are_copied_where_there_are_none() -> None:
    planned = plan(file("p-1/a"), symlink("p-1/l", "a"), system=WINDOWS)

    assert planned.links == {}
    assert planned.files["p-1/l"] == planned.files["p-1/a"]


@pytest.mark.parametrize("system", [LINUX, WINDOWS], ids=["links", "no links"])
def test_file_system__what_is_asked_for_decides_about_links(system: FakeFileSystem) -> None:
    parts = (file("p-1/a"), symlink("p-1/l", "a"))

    assert plan(*parts, system=system, links=Links.KEEP).links == {"p-1/l": "a"}
    assert plan(*parts, system=system, links=Links.COPY).links == {}


@pytest.mark.parametrize(
    "target", ["../x", "/x", "", "a/../a"], ids=["out", "absolute", "empty", "turns back"]
)
def test_file_system__links_are_judged_alike_where_there_are_none(target: str) -> None:
    parts = (file("p-1/a"), symlink("p-1/evil", target))

    assert refused_rule(*parts, system=WINDOWS) == refused_rule(*parts, system=LINUX)


def test_file_system__capabilities_are_found_by_trying_and_left_clean(tmp_path: Path) -> None:
    system = FilesystemCapabilities(str(tmp_path))

    found = (system.has_links, system.folds_names, system.has_windows_names, system.takes_raw_names)

    assert all(isinstance(answer, bool) for answer in found)
    assert list(tmp_path.iterdir()) == []
