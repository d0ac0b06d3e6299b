"""astral-sh/uv#1858: a link that an sdist stores before its target could not be unpacked."""

import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filesystems.mounts import mounted, mounted_tmpfs
from tests.support.builds import names_in
from tests.support.corpus import DOWNLOADS
from tests.support.forge import Place
from tests.support.processes import needs
from wheelforge_isolation import WheelKey

SDIST = "pgpdump-1.5.tar.gz"
WHEEL = "pgpdump-1.5-py3-none-any.whl"
KEPT, COPIED = ("link to README.md", "file"), ("file", "file")


@pytest.fixture(params=["disk", "memory", "exfat"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A file system that has links, or one that has none."""
    kind = str(request.param)
    if kind == "disk":  # or whatever the tests run on
        yield kind, tmp_path
    elif kind == "memory":
        with mounted_tmpfs(tmp_path / kind, kibibytes=200_000, inodes=50_000) as place:
            yield kind, place
    else:
        with mounted(kind, tmp_path) as place:
            yield kind, place


def describe(path: Path) -> str:
    return f"link to {path.readlink()}" if path.is_symlink() else "file"


@needs(posix="`rm`")
@pytest.mark.filesystems
@pytest.mark.usefixtures("real_sdists")
def test_sdist__with_a_link_before_its_target_is_built_and_the_cache_removable(
    ground: tuple[str, Path], tmp_path: Path, real_wheels: dict[str, WheelKey]
) -> None:
    kind, top = ground
    links = tmp_path / "links"
    links.mkdir()
    shutil.copy(DOWNLOADS / real_wheels["setuptools"].file_name, links)
    variables = {"WHEELFORGE_NO_INDEX": "1", "WHEELFORGE_FIND_LINKS": str(links)}
    place = Place(path=top, variables=variables)
    ways = {"copy": COPIED} | ({} if kind == "exfat" else {"keep": KEPT})
    ways[""] = ways.get("keep", COPIED)  # the default

    for way, expected in ways.items():
        unpacked, output = top / f"tree-{way}", top / f"out-{way}"
        words = ["--links", way] if way else []
        places = ["-o", str(output), "--sdist-extract-dir", str(unpacked)]
        done = place.run(DOWNLOADS / SDIST, *words, *places)

        tree = unpacked / "pgpdump-1.5"
        assert (done.code, names_in(output)) == (0, [WHEEL]), done.err
        assert tuple(describe(tree / name) for name in ("README", "README.md")) == expected
        assert (tree / "README").read_bytes() == (tree / "README.md").read_bytes() != b""
        assert "pgpdump/packet.py" in zipfile.ZipFile(output / WHEEL).namelist()
    cleared = place.run("cache", "clear")
    assert (cleared.code, cleared.err) == (0, "")
    assert not place.run("cache", "list").out
    command = ["rm", "-r", str(place.layout.root)]
    removed = subprocess.run(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    assert not removed.stderr
    assert not place.layout.root.exists()
