"""Many small projects, and the command line that builds them."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.index import core_metadata
from tests.support.source import ROOT
from tests.support.wheels import Draft

_BACKEND = (ROOT / "fixtures" / "projects" / "minimal" / "backend.py").read_text(encoding="utf-8")
_DURING = """

_build_wheel = build_wheel


def build_wheel(*words):
    name = _project()["name"]
    exec({code!r}, {{"name": name, "settings": words[1]}})
    return _build_wheel(*words)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yard:
    """A place with projects, sdists, a cache and an output directory."""

    place: Path

    @property
    def output(self) -> Path:
        return self.place / "out"

    @property
    def words(self) -> list[str]:
        """The options that every command ends with."""
        cache = str(self.place / "cache")
        links = str(self.place / "links")
        return ["-o", str(self.output), "--cache-dir", cache, "--no-index", "-f", links]

    def project(
        self, name: str, during: str = "", *, requires: Sequence[str] = (), version: str = "1.0"
    ) -> Path:
        """Write a project; ``during``, run when it is built, knows ``name`` and ``settings``."""
        root = self.place / "projects" / name
        (root / "src").mkdir(parents=True)
        (root / "src" / f"{name}.py").write_text(f"NAME = {name!r}\n", encoding="utf-8")
        code = _BACKEND + (_DURING.format(code=during) if during else "")
        (root / "backend.py").write_text(code, encoding="utf-8")
        text = _describe(name, version, json.dumps(list(requires)), "backend", '["."]')
        (root / "pyproject.toml").write_text(text, encoding="utf-8")
        return root

    def sdist(self, name: str, during: str = "", *, version: str = "1.0") -> Path:
        """Write an sdist of such a project where `--find-links` looks."""
        root = self.project(name, during, version=version)
        files = [path for path in root.rglob("*") if path.is_file()]
        contents = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
        return self.pack(name, version, contents)

    def served_sdist(self, name: str) -> Path:
        """Write an sdist whose backend is a build requirement."""
        text = _describe(name, "1.0", '["tiny-backend"]', "tiny_backend", "[]")
        return self.pack(name, "1.0", {"pyproject.toml": text.encode()})

    def pack(self, name: str, version: str, contents: Mapping[str, bytes]) -> Path:
        """Write an sdist."""
        links = self.place / "links"
        links.mkdir(exist_ok=True)
        base = f"{name}-{version}"
        every = {**contents, "PKG-INFO": core_metadata(name, version)}
        with tarfile.open(links / f"{base}.tar.gz", "w:gz") as archive:
            for path, content in every.items():
                member = tarfile.TarInfo(f"{base}/{path}")
                member.size, member.mtime = len(content), 1700000000
                archive.addfile(member, io.BytesIO(content))
        return links / f"{base}.tar.gz"

    def backend(self) -> None:
        """Offer the backend as a wheel."""
        links = self.place / "links"
        links.mkdir(exist_ok=True)
        info = "tiny_backend-1.0.dist-info"
        metadata = core_metadata("tiny-backend", "1.0")
        files = {"tiny_backend.py": _BACKEND.encode(), f"{info}/METADATA": metadata}
        wheel = Draft(dist_info=info, files=files).pack()
        (links / "tiny_backend-1.0-py3-none-any.whl").write_bytes(wheel)

    def results(self) -> set[str]:
        """Return what was delivered: names without versions."""
        return {path.name.split("-")[0] for path in self.output.glob("*.whl")}

    def start(self, *words: str | Path, **variables: str) -> subprocess.Popen[str]:
        """Start a build in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "wheelforge", "build", *map(str, words), *self.words],
            env={**os.environ, "PIP_CONFIG_FILE": os.devnull, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.place,
        )

    def run(self, *words: str | Path, **variables: str) -> tuple[int, str, str]:
        """Build; return the exit code and both outputs."""
        with self.start(*words, **variables) as process:
            out, err = process.communicate()
        return process.returncode, out, err


def _describe(name: str, version: str, requires: str, backend: str, path: str) -> str:
    return (
        f"[build-system]\nrequires = {requires}\nbuild-backend = {backend!r}\n"
        f"backend-path = {path}\n\n[project]\nname = {name!r}\nversion = {version!r}\n"
    )


def noting(path: Path) -> str:
    """Return code that adds the project's name to the file ``path``."""
    return f"open({str(path)!r}, 'a').write(name + '\\n')"


def read_lines(path: Path) -> list[str]:
    """Return what such code has written."""
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def without_summary(text: str) -> str:
    """Leave out the lines that sum up a batch, which must come last."""
    counts = r"done: (\d+ [\w ]+(, )?)+ in \d+\.\d s \(\d+\.\d s of work, \d+ jobs?\)\n"
    return re.sub(rf"{counts}(  (slowest|environments|results|reports|again)\b.*\n)*\Z", "", text)


def write_requirements(yard: Yard, *lines: str) -> Path:
    """Write the lines into a file of requirements, and return it."""
    path = yard.place / "requirements.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
