"""Many who build the same at once, and a collector: what is found is whole, to the last."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.caches import NOTHING, ignore, write_wheels
from wheelforge_isolation import Bounds, Layout, collect_garbage, open_cache, read_wheel_key

_BUILDER = """
import sys, time
from pathlib import Path
from wheelforge_isolation import Layout, open_cache, read_wheel_key

root, wheel, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
key = read_wheel_key(wheel)
found = built = 0
end = time.monotonic() + seconds
while time.monotonic() < end:
    with open_cache(Layout(root=root), lambda _: None) as cache:
        known = cache.built.find("key")
        if known is None:
            assert cache.built.store("key", wheel).key == key
            built += 1
        else:
            assert known.key == key, "it is not what was built"
            assert known.path.read_bytes() == wheel.read_bytes(), "it changed while it was in use"
            found += 1
print(found, built)
"""


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.stress)])
def test_built_races__same_key_at_once_leaves_one_record(tmp_path: Path, seconds: float) -> None:
    layout = Layout(root=tmp_path / "cache")
    (wheel,) = write_wheels(tmp_path / "wheels", 1)

    (found, built), complaints, rounds = build(layout, wheel, seconds)

    assert complaints == []
    assert min(found, built, rounds) > 0
    with open_cache(layout, ignore) as cache:
        left = cache.built.find("key")
        assert left is None or left.key == read_wheel_key(wheel)
        assert list(cache.verify()) == []
    assert len(layout.built.list_records()) <= 1
    collect_garbage(layout, NOTHING)
    files = (path for path in layout.root.rglob("*") if path.is_file())
    assert {path.name for path in files} == {"CACHEDIR.TAG", ".gitignore", ".git"}


def build(layout: Layout, wheel: Path, seconds: float) -> tuple[tuple[int, int], list[str], int]:
    """Let two builders build beside a collector that leaves nothing but what is in use.

    Return how often they found and built something, their complaints, and how often it came round.
    """
    command = [sys.executable, "-c", _BUILDER, str(layout.root), str(wheel), str(seconds)]
    builders = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    rounds = 0
    while any(builder.poll() is None for builder in builders):
        # Once in a while everything; else what nobody could find any more.
        collect_garbage(layout, Bounds(max_bytes=0) if rounds % 8 == 0 else Bounds())
        rounds += 1
    output = [builder.communicate() for builder in builders]
    counts = [tuple(map(int, out.split())) for out, _ in output if out]
    complaints = [errors for _, errors in output if errors]
    return (sum(a for a, _ in counts), sum(b for _, b in counts)), complaints, rounds
