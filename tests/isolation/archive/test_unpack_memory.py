"""How much memory a large archive takes, as the operating system counts it."""

import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

MEBIBYTE = 1 << 20
CEILING_MEBIBYTES = 100
_MEMBERS = ["PKG-INFO", "setup.py", "a", "b", "c", "d", "e", "f"]
"""The first is read for what it says, and nobody promised that it is short."""

# The peak of a child includes the memory of its parent at the fork, and the test process
# has a lot. So a small process stands between the two.
_MEASURE = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "wheelforge", "unpack", *sys.argv[1:]], stdout=2)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss // 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a peak in kibibytes")
@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
@pytest.mark.parametrize(
    "mebibytes", [128, pytest.param(1024, marks=[pytest.mark.stress])], ids="{}M".format
)
def test_unpack__large_archive_takes_little_memory(
    suffix: str, mebibytes: int, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as directory:
        archive, destination = Path(directory, f"p-1.0{suffix}"), Path(directory, "destination")
        write = _write_zip if suffix == ".zip" else _write_tar
        write(archive, mebibytes // len(_MEMBERS))

        peak_mebibytes = _measure_unpacking(archive, destination)

        sizes = [path.stat().st_size for path in destination.glob("*/*")]

    assert sizes == [mebibytes // len(_MEMBERS) * MEBIBYTE] * len(_MEMBERS)
    assert peak_mebibytes < CEILING_MEBIBYTES


def _write_tar(path: Path, member_mebibytes: int) -> None:
    """Write a file that hardly shrinks: the repetition is too far away for zlib to see."""
    block = os.urandom(MEBIBYTE)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for name in _MEMBERS:
            member = tarfile.TarInfo(f"p-1.0/{name}")
            member.size = member_mebibytes * MEBIBYTE
            file.write(member.tobuf())
            for _ in range(member_mebibytes):
                file.write(block)
        file.write(bytes(2 * tarfile.BLOCKSIZE))


def _write_zip(path: Path, member_mebibytes: int) -> None:
    block = os.urandom(MEBIBYTE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in _MEMBERS:
            with archive.open(f"p-1.0/{name}", "w") as member:
                for _ in range(member_mebibytes):
                    member.write(block)


def _measure_unpacking(archive: Path, destination: Path) -> int:
    command = [sys.executable, "-S", "-c", _MEASURE, str(archive), str(destination)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
