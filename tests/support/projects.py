"""Projects for the backends in widest use: one module each, and a part in C where that is usual."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PROJECT = """
[project]
name = "demo"
version = "1.5"
description = "a demonstration"
requires-python = ">=3.9"
"""
_PURE = {"demo/__init__.py": "def answer():\n    return 42\n"}
_WITH_C = {
    "demo/__init__.py": "from demo._demo import answer\n",
    "demo/_demo.c": """
#include <Python.h>

static PyObject *answer(PyObject *module, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_demo", NULL, -1, methods};
PyMODINIT_FUNC PyInit__demo(void) { return PyModule_Create(&definition); }
""",
}
_MESON = """
project('demo', 'c', version: '1.5')
python = import('python').find_installation(pure: false)
python.install_sources('demo/__init__.py', subdir: 'demo')
python.extension_module('_demo', 'demo/_demo.c', subdir: 'demo', install: true,
                        dependencies: python.dependency())
"""
_CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(demo LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
python_add_library(_demo MODULE demo/_demo.c WITH_SOABI)
install(TARGETS _demo DESTINATION demo)
"""
_SETUP = """
from setuptools import Extension, setup

setup(name="demo", version="1.5", packages=["demo"],
      ext_modules=[Extension("demo._demo", ["demo/_demo.c"])])
"""
_IN_TREE = "from flit_core.buildapi import *\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The files of a project, and the programs that its backend runs."""

    requires: str
    backend: str = ""
    backend_path: str = ""
    files: Mapping[str, str] = field(default_factory=lambda: _PURE)
    settings: str = _PROJECT
    programs: tuple[str, ...] = ()
    platform: str = ""
    """The only one that a program among the requirements has a wheel for."""
    is_committed: bool = False
    """Whether the backend makes an sdist of what is committed to git only."""

    @property
    def is_pure(self) -> bool:
        return self.files.keys().isdisjoint(_WITH_C.keys() - _PURE.keys())

    def write(self, place: Path) -> Path:
        system = f"[build-system]\nrequires = [{self.requires}]\n"
        if self.backend:
            system += f'build-backend = "{self.backend}"\n'
        if self.backend_path:
            system += f'backend-path = ["{self.backend_path}"]\n'
        files = {**self.files}
        if self.requires:
            files["pyproject.toml"] = system + self.settings
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, encoding="utf-8")
        if self.is_committed:
            _commit(place)
        return place


def _commit(place: Path) -> None:
    author = ["-c", "user.name=demo", "-c", "user.email=demo@example.org"]
    git = shutil.which("git") or "git"
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "demo"]):
        subprocess.run([git, *words], cwd=place, check=True)


PROJECTS = {
    "setuptools": Project(requires='"setuptools"', backend="setuptools.build_meta"),
    "flit-core": Project(requires='"flit_core"', backend="flit_core.buildapi"),
    "hatchling": Project(requires='"hatchling"', backend="hatchling.build"),
    "poetry-core": Project(requires='"poetry-core"', backend="poetry.core.masonry.api"),
    "pdm-backend": Project(requires='"pdm-backend"', backend="pdm.backend"),
    "meson-python": Project(
        requires='"meson-python"',
        backend="mesonpy",
        files={**_WITH_C, "meson.build": _MESON},
        programs=("cc", "ninja", "git"),
        is_committed=True,
        platform="linux_x86_64",
    ),
    "scikit-build-core": Project(
        requires='"scikit-build-core"',
        backend="scikit_build_core.build",
        files={**_WITH_C, "CMakeLists.txt": _CMAKE},
        programs=("cc", "cmake", "ninja"),
    ),
    "in-tree": Project(
        requires='"flit_core"',
        backend="backend",
        backend_path="tools",
        files={**_PURE, "tools/backend.py": _IN_TREE},
        settings=f'{_PROJECT}\n[tool.flit.sdist]\ninclude = ["tools/*"]\n',
    ),
    "setup.py": Project(requires="", files={**_WITH_C, "setup.py": _SETUP}, programs=("cc",)),
}
"""By the name of the backend; the last one has a ``setup.py`` and nothing else."""
