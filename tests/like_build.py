"""Results of `python -m build` and `python -m wheelforge` for the same words, side by side.

`python -m tests.like_build` writes the table anew; a test fails when it is not what it would be.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.source import ROOT
from tests.support.wheels import DIST_INFO, Draft

TABLE = ROOT / "tests" / "like_build.md"
PROGRAMS = ("build", "wheelforge")
EPOCH = 1_600_000_000
SPEECH = "the backend speaks"
TIMEOUT_SECONDS = 240
BACKEND = f"""
import base64, gzip, hashlib, io, json, os, tarfile, tomllib, zipfile

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
with open("pyproject.toml", "rb") as file:
    DO = tomllib.load(file).get("tool", {{}}).get("do", "")
METADATA = "Metadata-Version: 2.2\\nName: demo\\nVersion: 1.0\\nSummary: D\u00e9mo\\n"


def _add(archive, name, data):
    info = tarfile.TarInfo("demo-1.0/" + name)
    info.size, info.mtime = len(data), EPOCH
    archive.addfile(info, io.BytesIO(data))


def build_sdist(directory, config_settings=None):
    print("{SPEECH}")
    with open(directory + "/demo-1.0.tar.gz", "wb") as file:
        with gzip.GzipFile("", "wb", mtime=EPOCH, fileobj=file) as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                for name in ("pyproject.toml", "backend.py"):
                    with open(name, "rb") as source:
                        _add(archive, name, source.read())
                _add(archive, "PKG-INFO", METADATA.encode())
    return "demo-1.0.tar.gz"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    print("{SPEECH}")
    exec(DO)
    top = "demo-1.0.dist-info/"
    wheel = "Wheel-Version: 1.0\\nGenerator: demo\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files = {{"settings.json": json.dumps(config_settings or {{}})}}
    files.update({{top + "METADATA": METADATA, top + "WHEEL": wheel}})
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += f"{{name}},sha256={{digest.decode().rstrip('=')}},{{len(text.encode())}}\\n"
    record += top + "RECORD,,\\n"
    with zipfile.ZipFile(directory + "/demo-1.0-py3-none-any.whl", "w") as archive:
        for name, text in {{**files, top + "RECORD": record}}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return "demo-1.0-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "demo"
version = "1.0"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Words for both, and why they differ in what comes of them, if they do."""

    words: str
    """Parted by blanks; what is in `_` stands for a blank."""
    reason: str = ""
    project: str = PROJECT
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    directory: str = "."
    about: str = ""
    """The special point of the case, where the words do not show it."""
    looks: tuple[str, ...] = ()
    """Further points to compare: "speech", "colour"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The visible results of a run."""

    is_well: bool
    files: tuple[str, ...]
    contents: tuple[tuple[str, object], ...]
    """Of each of them a digest, or what it says."""
    data: object = None
    """The standard output, if that is data."""
    signs: tuple[str, ...] = ()
    ending: str = field(default="", compare=False)
    """The exit code, and the error's, if it has one: finer than those of `build`."""

    def describe(self) -> str:
        """Return what stands in the table."""
        return ", ".join([self.ending, *(f"`{name}`" for name in self.files), *self.signs])


def swap(new: str) -> str:
    """Return the project with another `[build-system]`."""
    return PROJECT.replace(PROJECT.partition("[project]")[0], f"\n[build-system]\n{new}\n")


def write_ground(place: Path, case: Case) -> None:
    """Write all that words may speak of."""
    demo = place / "demo"
    demo.mkdir(parents=True)
    (demo / "pyproject.toml").write_text(case.project, encoding="utf-8")
    (demo / "backend.py").write_text(BACKEND, encoding="utf-8")
    sources = {"pyproject.toml": case.project, "backend.py": BACKEND, "PKG-INFO": _METADATA}
    with tarfile.open(place / "demo-1.0.tar.gz", "w:gz") as archive:
        for name, text in sources.items():
            info = tarfile.TarInfo(f"demo-1.0/{name}")
            data = text.encode()
            info.size, info.mtime = len(data), EPOCH
            archive.addfile(info, io.BytesIO(data))
    (place / "wheels").mkdir()
    (place / "wheels" / WHEEL).write_bytes(
        Draft(files={f"{DIST_INFO}/METADATA": _METADATA.encode()}).pack()
    )
    (place / "broken-1.0.tar.gz").write_bytes(b"no archive")
    (place / "empty").mkdir()
    (place / "file").write_text("a file", encoding="utf-8")
    (place / "constraints.txt").write_text("setuptools<1000\n", encoding="utf-8")
    (place / "newer.txt").write_text("demo>1\n", encoding="utf-8")
    (place / "full").mkdir()
    (place / "full" / "something").touch()


WHEEL = "demo-1.0-py3-none-any.whl"
_METADATA = "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\nSummary: D\u00e9mo\n"


def look(program: str, case: Case, place: Path, home: Path) -> Sight:
    """Run one of the programs, and return what there is to see."""
    write_ground(place, case)
    before = set(_list_files(place))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "WHEELFORGE_CACHE_DIR": str(home / "cache"),
    }
    words = [word.replace("_", " ") for word in case.words.split()]
    done = subprocess.run(
        [sys.executable, "-m", program, *words],
        cwd=place / case.directory,
        env={**variables, **case.variables},
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    is_well = done.returncode == 0
    new = sorted(set(_list_files(place)) - before)
    heard = (done.stdout + done.stderr).decode()
    code = re.search(r"^error\[([a-z-]+)\]", re.sub(r"\x1b\[[0-9;]*m", "", heard), re.MULTILINE)
    signs = {
        "speech": SPEECH in heard,
        "colour": "\x1b[" in heard,
        "warning": "warning" in heard.lower(),
    }
    return Sight(
        is_well=is_well,
        files=tuple(new),
        contents=tuple((name, read_content(place, name)) for name in new),
        data=json.loads(done.stdout) if "--metadata" in words and is_well else None,
        ending=f"{done.returncode} `{code[1]}`" if code else str(done.returncode),
        signs=tuple(name if signs[name] else f"no {name}" for name in case.looks),
    )


def read_content(place: Path, name: str) -> object:
    """Return a digest, or of a report what both programs' reports have."""
    if (place / name).is_dir():
        return None
    data = (place / name).read_bytes()
    if not name.endswith(".json"):
        return hashlib.sha256(data).hexdigest()
    report = json.loads(data)
    for artifact in report["artifacts"]:
        artifact["path"] = str((place / artifact["path"]).resolve().relative_to(place.resolve()))
    keys = ("name", "path", "kind", "size", "hashes")
    artifacts = [[artifact[key] for key in keys] for artifact in report["artifacts"]]
    return [report["version"], artifacts]


def _list_files(place: Path) -> list[str]:
    found = (path for path in place.rglob("*") if path.is_file())
    names = (path.relative_to(place).as_posix() for path in found)
    # Of an environment that is kept the fact is enough.
    return sorted({name.partition("/")[0] if name.startswith("env/") else name for name in names})


def compare(case: Case, home: Path) -> tuple[Sight, Sight]:
    """Return what is to be seen of both."""
    with TemporaryDirectory(dir=home) as place:
        theirs, ours = (look(program, case, Path(place, program), home) for program in PROGRAMS)
        return theirs, ours


def compare_all(cases: tuple[Case, ...]) -> list[tuple[Sight, Sight]]:
    """Return that of all cases."""
    with TemporaryDirectory() as home, ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(partial(compare, home=Path(home)), cases))


def render(cases: tuple[Case, ...], sights: list[tuple[Sight, Sight]]) -> str:
    """Return the table."""
    lines = [HEAD]
    for case, (theirs, ours) in zip(cases, sights, strict=True):
        told = [f"`{name}={value}`" for name, value in case.variables.items()]
        words = case.words.replace("_", " ").replace("|", "\\|")
        what = " ".join([*told, f"`{words}`" if words else "(nothing)"])
        what = f"{what}: {case.about}" if case.about else what
        difference = case.reason or "none"
        lines.append(f"| {what} | {theirs.describe()} | {ours.describe()} | {difference} |")
    return "\n".join([*lines, ""])


HEAD = """\
# In the place of `build`

What `python -m build` 1.6.1 and `python -m wheelforge` make of the same words: the exit code, new
files, compared byte by byte under one `SOURCE_DATE_EPOCH`, the artifacts of a report, metadata as
data. Written by `python -m tests.like_build`, which runs both. Where nothing else is said, the
words are given beside a project `demo`, its sdist and its wheel, and `-n` makes the runs short.

What differs everywhere: standard output has the path of each result on a line of its own, where
`build` has sentences; messages go to standard error; an exit code that is not 0 says more, and
beside it is the code of the error.

| words | build | wheelforge | difference |
|---|---|---|---|"""

NEEDING_DEMO = swap('requires = ["demo"]\nbuild-backend = "backend"\nbackend-path = ["."]')
TELLING = (
    PROJECT
    + """[tool]
do = '''
seen = [os.environ.get(name) for name in ("PYTHONHASHSEED", "TZ", "LC_ALL")]
globals()["METADATA"] += f"Keywords: {seen}\\n"
'''
"""
)
WARNING = PROJECT + """[tool]\ndo = 'import warnings; warnings.warn("old")'\n"""

CASES = (
    Case(words="--help"),
    Case(words="--version"),
    Case(words="-n", directory="demo", about="in the project"),
    Case(words="-n demo"),
    Case(words="-n ./demo-1.0.tar.gz"),
    Case(words="--no-isolation -s demo"),
    Case(words="-n --wheel demo"),
    Case(words="-n --sdist -w ./demo/"),
    Case(words="-n -w -w demo"),
    Case(words="-n -w --outdir new/out demo"),
    Case(words="-n -w -o out demo-1.0.tar.gz"),
    Case(words="-n --sdist-extract-dir tree demo"),
    Case(words="-n --sdist-extract-dir tree demo-1.0.tar.gz"),
    Case(words="-n --sdist-extract-dir tree -w demo"),
    Case(words="-n --report report.json demo"),
    Case(words="-n --report report.json demo-1.0.tar.gz"),
    Case(words="-n --metadata demo"),
    Case(words="-n --metadata demo-1.0.tar.gz"),
    Case(words=f"--metadata wheels/{WHEEL}"),
    Case(words="-n --metadata -o out demo"),
    Case(words="-n -w -C key demo", looks=("warning",)),
    Case(words="-n -w -C key= demo", looks=("warning",)),
    Case(words="-n -w -Ckey=1 -Ckey=2 -Ckey=3 demo"),
    Case(words="-n -w --config-setting=--key=a=b demo"),
    Case(words='-n -w --config-json {"key":[1,{"a":null}]} demo'),
    Case(words="-n -w -q demo", looks=("speech",)),
    Case(words="-n -w -qq demo", looks=("speech",)),
    Case(
        words="-n -w demo",
        looks=("speech",),
        reason="what a backend prints is shown when it fails, or with `-v`",
    ),
    Case(words="-n -w -v demo", looks=("speech",)),
    Case(words="-n -w -vv demo", looks=("speech",)),
    Case(
        words="-n -w demo", project=WARNING, looks=("warning",), about="the backend warns of `old`"
    ),
    Case(
        words="-n -w -q demo",
        project=WARNING,
        looks=("warning",),
        about="the backend warns of `old`",
        reason="`-q` leaves nothing but what went wrong",
    ),
    Case(
        words="-n -w demo",
        project=TELLING,
        about="the backend writes `PYTHONHASHSEED`, `TZ` and `LC_ALL` down",
        reason="hooks have these variables, so that wheels do not differ from user to user",
    ),
    Case(
        words="-n -w demo",
        project=TELLING,
        variables={"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        about="the backend writes them down",
    ),
    Case(
        words="-n -w -q -v demo",
        reason="the last one counts, as a variable may have set the other one",
    ),
    Case(
        words="-n -x -w demo",
        project=swap('requires = ["not-there"]\nbuild-backend = "backend"\nbackend-path = ["."]'),
        about="it requires `not-there`",
    ),
    Case(words="-w demo", about="with isolation"),
    Case(words="-w --installer pip --dependency-constraints-txt constraints.txt demo"),
    Case(
        words="-w demo",
        project=NEEDING_DEMO,
        variables={"PIP_FIND_LINKS": "wheels", "PIP_CONSTRAINT": "constraints.txt"},
        about="it requires `demo`, of which there is 1.0",
    ),
    Case(
        words="-w demo",
        project=NEEDING_DEMO,
        variables={"PIP_FIND_LINKS": "wheels", "PIP_CONSTRAINT": "newer.txt"},
        about="it requires `demo`, of which there is 1.0, and `newer.txt` says `demo>1`",
    ),
    Case(words="-w --env-dir env demo"),
    Case(words="absent", variables={"FORCE_COLOR": "1"}, looks=("colour",)),
    Case(words="absent", variables={"NO_COLOR": "1"}, looks=("colour",)),
    Case(
        words="absent",
        variables={"NO_COLOR": "1", "FORCE_COLOR": "1"},
        looks=("colour",),
        reason="`build` says in colours that it will use none",
    ),
    Case(words="absent", looks=("colour",)),
    Case(words="--nonsense demo"),
    Case(words="-n empty", about="nothing is there"),
    Case(words="-n file", about="a file that is no sdist"),
    Case(words="-n broken-1.0.tar.gz", about="no archive in truth"),
    Case(words=f"-n wheels/{WHEEL}"),
    Case(words="-n -s demo-1.0.tar.gz"),
    Case(words="-n -w demo", project="[build-system", about="bad TOML"),
    Case(words="-n -w demo", project=swap('requires = "nothing"'), about="`requires` is a string"),
    Case(words="-n -w demo", project=swap('build-backend = "backend"'), about="no `requires`"),
    Case(
        words="-n -w demo",
        project=swap('requires = []\nbuild-backend = "nowhere"'),
        about="no such backend",
    ),
    Case(
        words="-n -w demo",
        project=swap('requires = []\nbuild-backend = "json"'),
        about="a backend without hooks",
    ),
    Case(
        words="-n -w demo",
        project=swap('requires = []\nbuild-backend = "backend"\nbackend-path = ["absent"]'),
        about="no such `backend-path`",
    ),
    Case(
        words="-n -w demo",
        project=swap('requires = []\nbuild-backend = "backend"\nbackend-path = [".."]'),
        about="`backend-path` outside",
    ),
    Case(
        words="-n -w demo",
        project=PROJECT + "[tool]\ndo = 'raise RuntimeError'\n",
        about="the backend raises",
    ),
    Case(
        words="-n demo",
        project=PROJECT + "[tool]\ndo = 'raise RuntimeError'\n",
        about="the backend raises, after an sdist",
    ),
    Case(
        words="-n -w demo",
        project=swap('requires = ["not-there"]\nbuild-backend = "backend"\nbackend-path = ["."]'),
        about="it requires `not-there`",
    ),
    Case(
        words="-w demo",
        project=swap('requires = ["not-there"]\nbuild-backend = "backend"\nbackend-path = ["."]'),
        about="it requires `not-there`, with isolation",
    ),
    Case(
        words="-n -w demo",
        project=swap(
            'requires = ["not a requirement!"]\nbuild-backend = "backend"\nbackend-path = ["."]'
        ),
        about="it requires `not a requirement!`",
    ),
    Case(words="-n -w -C key=value --config-json {} demo"),
    Case(words="-n -w --config-json {key demo"),
    Case(words="-n -w --config-json [] demo"),
    Case(words="-n --metadata -w demo"),
    Case(words="-n --metadata --report report.json demo"),
    Case(words="-n --env-dir env demo"),
    Case(words="-n --installer pip demo"),
    Case(words="--installer conda demo"),
    Case(words="-w --env-dir full demo", about="`full` is not empty"),
    Case(words="-n -w -o file demo", about="`file` is a file"),
    Case(
        words="-n -w --report absent/report.json demo",
        reason="that a report cannot be written is said before anything is built",
    ),
    Case(words="-w --dependency-constraints-txt absent.txt demo"),
    Case(words="-n -w demo demo-1.0.tar.gz", reason="any number of sources may be built at once"),
)

if __name__ == "__main__":
    TABLE.write_text(render(CASES, compare_all(CASES)), encoding="utf-8")
