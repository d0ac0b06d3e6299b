"""Tools that real builds run, in a sandbox: compilers, build systems, test runners."""

import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.builds import write_sdist
from tests.support.forge import Place
from wheelforge.hooks.sandbox.ladder import try_rungs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the rungs are those of Linux"),
    pytest.mark.xdist_group("users"),
    pytest.mark.long,
]
MAIN = {"main.c": "int main(void) { return 0; }\n", "src/main.rs": "fn main() {}\n"}
CMAKE = "cmake_minimum_required(VERSION 3.13)\nproject(demo C)\nadd_executable(demo main.c)\n"
CARGO = '[package]\nname = "demo"\nversion = "1.0.0"\nedition = "2021"\n'
TOOLS = {
    "cc": ["cc -pipe -O1 main.c -o demo", "./demo"],
    "cmake": ["cmake -S . -B made", "cmake --build made --parallel 2", "./made/demo"],
    "cargo": ["cargo build --release", "./target/release/demo"],
    "make": ["make -j 2 main", "./main"],
}
THREADS = """
import concurrent.futures, multiprocessing, socket, subprocess, sys, threading
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(abs, range(8))) == 28
for way in ("fork", "spawn", "forkserver"):
    process = multiprocessing.get_context(way).Process(target=abs, args=[1])
    process.start()
    process.join()
    assert process.exitcode == 0, way
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
one, other = socket.socketpair()
one.sendall(b"x")
assert other.recv(1) == b"x"
"""


def build(
    tmp_path: Path,
    sandbox: str,
    code: str,
    more: dict[str, str] | None = None,
    path: str = "",
) -> None:
    """Build an sdist whose hook runs that code, in a sandbox that this machine has."""
    found = {each.rung for each in try_rungs("/usr/bin:/bin")}
    if not found & ({"landlock"} if sandbox == "tcp-off" else {"bubblewrap", "unshare"}):
        pytest.skip(f"this machine has no such sandbox: {found}")
    files = {**MAIN, "CMakeLists.txt": CMAKE, "Cargo.toml": CARGO, **(more or {})}
    sdist = write_sdist(tmp_path, own=True, build_wheel=code, more=files)

    variables = {"PATH": path} if path else {}
    done = Place(path=tmp_path, variables=variables).run(
        sdist, "-o", tmp_path / "out", "--no-index", "-v", "--sandbox", sandbox
    )

    assert done.code == 0, done.err


@pytest.mark.parametrize("sandbox", ["strict", "tcp-off"])
@pytest.mark.parametrize("tool", TOOLS)
def test_sandbox__tool_works_in_it(tmp_path: Path, tool: str, sandbox: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    code = f"""
        import subprocess
        for line in {TOOLS[tool]!r}:
            subprocess.run(line.split(), check=True)
    """

    build(tmp_path, sandbox, textwrap.dedent(code))


@pytest.mark.parametrize("path", ["/usr/bin:/bin", ""])
def test_sandbox__processes_threads_and_loopback_work_in_it(tmp_path: Path, path: str) -> None:
    guarded = textwrap.indent(THREADS, "    ")
    code = "import subprocess, sys; subprocess.run([sys.executable, 'use.py'], check=True)"

    script = f'if __name__ == "__main__":\n{guarded}'
    build(tmp_path, "strict", code, {"use.py": script}, path or str(tmp_path))
