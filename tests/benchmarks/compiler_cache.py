"""A C extension of 20 files, built again after a new version of it: with ccache and without."""

from __future__ import annotations

import io
import shutil
import tarfile
from typing import TYPE_CHECKING

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import OFFLINE, Bench, SkipError, building, run_child
from wheelforge_isolation import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

BASE = "without"
_FILES = 20
_FUNCTIONS = 60
_PROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "twenty"
version = "{}"
"""
_SETUP = f"""from setuptools import Extension, setup
setup(ext_modules=[Extension("twenty", [f"part{{n}}.c" for n in range({_FILES})])])
"""
_FUNCTION = """PyObject *f{0}(PyObject *self, PyObject *arguments) {{
  long count = {1};
  if (!PyArg_ParseTuple(arguments, "l", &count)) return NULL;
  for (int i = 0; i < count; i++) count += i * {1};
  return PyLong_FromLong(count);
}}
"""
_MODULE = """static struct PyModuleDef it = {PyModuleDef_HEAD_INIT, "twenty", 0, -1, 0};
PyMODINIT_FUNC PyInit_twenty(void) { return PyModule_Create(&it); }
"""


def run(bench: Bench) -> Result:
    """Compare the second version, when the cache has seen only the first one."""
    if shutil.which("ccache") is None:
        raise SkipError("there is no ccache")
    first, second = (_write_sdist(bench.place, f"1.{minor}") for minor in range(2))
    words = ("--compiler-cache", "ccache", "--outdir")
    seen, used = bench.place / "seen", bench.place / "used"
    with serve_wheels() as url:
        online = bench.compose(bench.place, url, CCACHE_DIR=str(seen))
        run_child((*bench.build_with_ours(first)[:-1], *words, "dist"), online, bench.place)
        measure({BASE: building(bench.build_with_ours(second), online)}, 0, bench.place)
    variables = {**online, **OFFLINE, "CCACHE_DIR": str(used)}

    def prepare(_: Path) -> None:
        remove_tree(str(used))
        shutil.copytree(seen, used)

    covered = building((*bench.build_with_ours(second)[:-1], *words), variables)
    contenders = {
        BASE: building(bench.build_with_ours(second), variables),
        "with ccache": Contender(covered.run, prepare),
    }
    samples = measure(contenders, bench.rounds, bench.place)
    row = Row(title=f"{_FILES} files of C, a new version", samples=samples, base=BASE)
    return Result(name="compiler-cache", title="a compiler cache", rows=[row])


def _write_sdist(place: Path, version: str) -> Path:
    base = f"twenty-{version}"
    files = {"pyproject.toml": _PROJECT.format(version), "setup.py": _SETUP}
    files["PKG-INFO"] = f"Metadata-Version: 2.2\nName: twenty\nVersion: {version}\n"
    for part in range(_FILES):
        functions = (_FUNCTION.format(f"{part}_{n}", n) for n in range(_FUNCTIONS))
        end = "" if part else _MODULE
        files[f"part{part}.c"] = f"#include <Python.h>\n{''.join(functions)}{end}"
    path = place / f"{base}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{base}/{name}")
            info.size, info.mtime = len(text), 1_600_000_000
            archive.addfile(info, io.BytesIO(text.encode()))
    return path
