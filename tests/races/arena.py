"""One cache, and processes that use it at the same time."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.processes import needs
from tests.support.stock import Reporter, Stock
from wheelforge_isolation import Event, Interpreter, Layout, WheelKey, open_cache

pytestmark = needs(posix="fork")

_CROWD = """
import json, os, signal, sys
from pathlib import Path
import installer.scripts, installer.utils, packaging.utils, packaging.version, subprocess
from wheelforge_isolation import Layout, WheelKey, find_interpreter, open_cache
import wheelforge_isolation.environments.install, wheelforge_isolation.wheels

root, stock, memory = map(Path, sys.argv[1:4])
jobs = [[WheelKey(**key) for key in keys] for keys in json.loads(sys.argv[4])]
steps = int(sys.argv[5])
python = find_interpreter(sys.executable, search=(), cache_dir=memory)

def fetch(key, path):
    log = os.open(stock / "fetched", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{key.file_name}\\n".encode())
    os.close(log)
    Path(path).write_bytes((stock / key.file_name).read_bytes())

def count_down(*_):
    global steps
    steps -= 1
    if steps == 0:
        os.killpg(0, signal.SIGKILL)

def work(keys):
    os.setpgid(0, 0)
    os.close(writer)
    os.read(reader, 1)
    if steps:
        sys.addaudithook(count_down)  # at whatever touches a file system
    with open_cache(Layout(root=root), lambda event: None) as cache:
        environment = cache.environments.get_or_create(python, keys, fetch)
        os.write(1, f"{environment.path}\\n".encode())
        environment.give_back()
    os._exit(0)

reader, writer = os.pipe()
children = []
for keys in jobs:
    child = os.fork()
    if child == 0:
        try:
            work(keys)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            raise
    children.append(child)
os.close(writer)
statuses = {os.waitpid(child, 0)[1] for child in children}
print(*statuses)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """One cache, and wheels that have files in common."""

    layout: Layout
    stock: Stock
    memory: Path
    python: Interpreter
    keys: dict[str, WheelKey]

    def let_loose(self, jobs: list[list[WheelKey]], steps: int = 0) -> tuple[list[str], set[int]]:
        """Let one process for each job work; return the paths they got, and how they ended."""
        facts = json.dumps([[asdict(key) for key in keys] for keys in jobs])
        places = map(str, (self.layout.root, self.stock.path, self.memory))
        command = [sys.executable, "-c", _CROWD, *places, facts, str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *paths, statuses = done.stdout.splitlines()
        return paths, set(map(int, statuses.split()))

    def get_or_create(self, keys: list[WheelKey]) -> tuple[dict[str, bytes], list[Event]]:
        """Return what the environment of ``keys`` holds, wherever it is."""
        reporter = Reporter()
        with open_cache(self.layout, reporter) as cache:
            top = cache.environments.get_or_create(self.python, keys, self.stock.fetch).path
            files = [path for path in top.rglob("*") if path.is_file()]
            texts = {str(path.relative_to(top)): path.read_bytes() for path in files}
        place = str(top).encode()
        return {name: text.replace(place, b"TOP") for name, text in texts.items()}, reporter.events

    def litter(self) -> set[str]:
        """Return what is in the cache besides what it should have when all is used."""
        entries = {*self.layout.root.rglob("*")}
        shelves = (self.layout.wheels, self.layout.environments)
        trees = [tree for shelf in shelves for tree in shelf.list_trees()]
        records = [record for shelf in shelves for record in shelf.list_records()]
        text = b"".join(record.read_bytes() for record in records)
        known = {path for tree in trees for path in [tree, *tree.rglob("*")]}
        known |= {*records, *self.layout.list_files()}
        known |= {path for place in self.layout.list_files() for path in place.iterdir()}
        usual = {"CACHEDIR.TAG", ".gitignore", ".git", "gc.lock"}
        litter = {path for path in entries - known if path.is_file() and path.name not in usual}
        litter |= {tree for tree in trees if tree.name.encode() not in text}
        return {str(path.relative_to(self.layout.root)) for path in litter}
