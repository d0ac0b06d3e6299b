"""A server whose builds are done by the workers of a cluster."""

from pathlib import Path

import pytest

from tests.support.batches import Yard
from tests.support.builds import Ground, write_sdist
from tests.support.clusters import need_distributed, open_scheduler, open_worker
from tests.support.forge import Place
from tests.support.service import serving

BUILDER = """
import os, pathlib
pid = os.getpid()
while b"\\0worker\\0" not in pathlib.Path(f"/proc/{{pid}}/cmdline").read_bytes():
    pid = int(pathlib.Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[1])
pathlib.Path({path!r}).write_text(str(pid))
"""
"""Code that writes down by which worker it is run; it fails if that is none."""


@pytest.mark.long
def test_server__hands_its_builds_to_a_cluster(tmp_path: Path) -> None:
    need_distributed()
    ground, note = Ground.make(tmp_path), tmp_path / "builder"
    sdist = write_sdist(tmp_path, build_wheel=BUILDER.format(path=str(note)))
    with open_scheduler() as (address, _), open_worker(Yard(place=tmp_path), address) as worker:
        with serving(ground, "--executor", "dask", "--scheduler", address) as server:
            done = server.wait(server.build(sdist))

        assert done["verdict"] == "built", done["outcome"]["error"]
        assert note.read_text(encoding="ascii") == str(worker.pid)


def test_server__needs_a_scheduler_for_a_cluster(tmp_path: Path) -> None:
    done = Place(path=tmp_path).run("serve", "--executor", "dask")

    assert (done.code, done.error) == (2, "option-invalid")
    assert "a server hands builds to a `--scheduler` that is there already" in done.err
