"""astral-sh/uv#537: two versions of one build requirement in one run met in a cache by name."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.builds import Ground, write_sdist
from tests.support.caches import versions
from tests.support.forge import Done, Place

HELPERS = {
    "1.0": {"helper/__init__.py": b"VERSION = '1.0'\n", "helper/old.py": b"", "helper/data": b"1"},
    "2.0": {"helper/__init__.py": b"VERSION = '2.0'\n", "helper/new.py": b"", "helper/data": b"2"},
}
SEEN = {
    "first": "1.0 of __init__.py, data 1, old.py",
    "second": "2.0 of __init__.py, data 2, new.py",
}
LOOK = """
import os, time
from pathlib import Path

meeting = Path({meeting!r})
(meeting / os.environ["RUN"]).touch()
while len(os.listdir(meeting)) < {runs}:
    time.sleep(0.005)
import helper
found = {{path.name: path for path in Path(helper.__file__).parent.glob("[!_]*")}}
names = sorted(["__init__.py", *found])
names[names.index("data")] += f" {{found['data'].read_text()}}"
files["seen"] = f"{{helper.VERSION}} of {{', '.join(names)}}"
"""
"""Looks once somebody of each run is here, so that neither run is over before the other begins."""


def read_seen(output: Path) -> dict[str, str]:
    """Return for each project what its backend saw of the helper."""
    seen: dict[str, str] = {}
    for wheel in output.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            seen[wheel.name.partition("-")[0]] = archive.read("seen").decode()
    return seen


@pytest.mark.parametrize("runs", [1, 2])
def test_environments__two_projects_see_their_version_of_one_requirement(
    tmp_path: Path, runs: int
) -> None:
    ground = Ground.make(tmp_path)
    for version, files in HELPERS.items():
        ground.stock.add("helper", version, files)
    meeting = tmp_path / "meeting"
    look = LOOK.format(meeting=str(meeting), runs=runs)
    sdists = [
        write_sdist(tmp_path, name=name, requires=(f"helper=={version}",), build_wheel=look)
        for name, version in zip(SEEN, HELPERS, strict=True)
    ]
    words = ground.words("build", *sdists, "-j", "2", "--timeout", "60", "--no-reuse")

    def build(output: Path) -> Done:
        place = Place(path=tmp_path, variables={"RUN": output.name})
        return place.call(*words, "-o", output)

    for temperature in ("cold", "warm"):
        meeting.mkdir()
        outputs = [tmp_path / temperature / str(run) for run in range(runs)]
        with ThreadPoolExecutor(runs) as pool:
            done = list(pool.map(build, outputs))
        meeting.rename(tmp_path / f"met {temperature}")

        assert [run.code for run in done] == [0] * runs, done
        assert [read_seen(output) for output in outputs] == [SEEN] * runs
    backend, *helpers = versions(Place(path=tmp_path).layout)
    assert (backend, helpers) == ("1.0", [*HELPERS])
