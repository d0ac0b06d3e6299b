"""Files that will be needed come at the same time, and each of them once."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.index import File, Project, Status, serve, sha256, wheel
from tests.support.indexes import open_index
from wheelforge.errors import DownloadMismatchError, PackageIndexError
from wheelforge_isolation import ForgeError

COUNT = 9
LARGE = 17 << 20
"""More than is kept in memory."""


def test_early_files__files_that_are_expected_are_asked_for_once(tmp_path: Path) -> None:
    files = [wheel("demo", str(number)) for number in range(COUNT)]

    with serve(Project("demo", *files)) as server, open_index(server) as index:
        found = index.find("demo").usable
        index.prefetch_files(found)
        index.prefetch_files(found)
        for candidate in found:
            index.fetch(candidate, str(tmp_path / candidate.file_name))

    assert server.count("/files/") == COUNT
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        file.name: file.content for file in files
    }


def test_early_files__a_large_file_is_written_as_it_comes(tmp_path: Path) -> None:
    large = wheel("demo", "1.0", padding=LARGE)

    with serve(Project("demo", large)) as server, open_index(server) as index:
        found = index.find("demo").usable
        index.prefetch_files(found)
        index.fetch(found[0], str(tmp_path / "file"))

    assert (tmp_path / "file").read_bytes() == large.content


SMALL = wheel("demo", "1.0")
FAILING = {
    "gone": (replace(SMALL, faults=(Status(code=404),) * 2), PackageIndexError),
    "another": (replace(SMALL, hashes={"sha256": sha256(b"")}), DownloadMismatchError),
}


@pytest.mark.parametrize(("file", "error"), FAILING.values(), ids=FAILING)
def test_early_files__the_caller_is_told_why_it_did_not_come(
    file: File, error: type[ForgeError], tmp_path: Path
) -> None:
    with serve(Project("demo", file)) as server, open_index(server) as index:
        found = index.find("demo").usable
        index.prefetch_files(found)
        with pytest.raises(error):
            index.fetch(found[0], str(tmp_path / "file"))

    assert list(tmp_path.iterdir()) == []
