"""A build backend that comes as a wheel, and leaves its mark in whatever it builds.

What was really used for a build can so be read from its result, whoever says what it should be.
"""

import ast
import zipfile
from pathlib import Path

from tests.support.archives import file, gz, tar
from tests.support.forge import Done
from tests.support.index import File, core_metadata
from tests.support.wheels import Draft

_BACKEND = """
import zipfile

MARK = {mark!r}


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(directory, config_settings=None, metadata_directory=None):
    import {module} as self

    info = "thing-1.0.dist-info"
    tag = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files = {{
        "thing.py": f"made_by = {{self.MARK!r}}\\n",
        f"{{info}}/METADATA": "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n",
        f"{{info}}/WHEEL": tag,
    }}
    record = "".join(f"{{path}},{{row(text)}}\\n" for path, text in files.items())
    files[f"{{info}}/RECORD"] = f"{{record}}{{info}}/RECORD,,\\n"
    with zipfile.ZipFile(f"{{directory}}/thing-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return "thing-1.0-py3-none-any.whl"


def row(text):
    import base64, hashlib

    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={{base64.urlsafe_b64encode(digest).decode().rstrip('=')}},{{len(text)}}"
"""


def maker(
    version: str = "1.0", mark: str = "good", *requires: str, name: str = "maker", inside: str = ""
) -> File:
    """Return the backend ``name`` as a wheel, whose METADATA may be of something else inside."""
    stem = f"{name}-{version}"
    code = _BACKEND.format(mark=mark, module=name).encode()
    draft = Draft(
        files={
            f"{name}.py": code,
            f"{stem}.dist-info/METADATA": core_metadata(inside or name, version, *requires),
        },
        without=frozenset({"demo.py"}),
        dist_info=f"{stem}.dist-info",
    )
    return File(name=f"{stem}-py3-none-any.whl", content=draft.pack())


def helper(mark: str, name: str = "helper", version: str = "1.0") -> File:
    """Return a wheel that changes the mark of the backend which asks for it."""
    stem = f"{name}-{version}"
    draft = Draft(
        files={
            f"{name}.py": f"MARK = {mark!r}\n".encode(),
            f"{stem}.dist-info/METADATA": core_metadata(name, version),
        },
        without=frozenset({"demo.py"}),
        dist_info=f"{stem}.dist-info",
    )
    return File(name=f"{stem}-py3-none-any.whl", content=draft.pack())


def thing(*requires: str, name: str = "thing", backend: str = "maker") -> bytes:
    """Return an sdist that is built with the backend."""
    lines = ", ".join(f'"{each}"' for each in requires or (backend,))
    settings = f'[build-system]\nrequires = [{lines}]\nbuild-backend = "{backend}"\n'
    members = (
        file(f"{name}-1.0/PKG-INFO", core_metadata(name, "1.0")),
        file(f"{name}-1.0/pyproject.toml", settings.encode()),
    )
    return gz(tar(*members))


def thing_file(*requires: str) -> File:
    """Return the same as an index has it."""
    return File(name="thing-1.0.tar.gz", content=thing(*requires))


def write_thing(directory: Path, *requires: str) -> Path:
    """Write the same to a file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "thing-1.0.tar.gz"
    path.write_bytes(thing(*requires))
    return path


def read_mark(wheel: Path) -> str:
    """Return what was used to build it."""
    with zipfile.ZipFile(wheel) as content:
        text = content.read("thing.py").decode()
    return str(ast.literal_eval(text.partition("=")[2].strip()))


def mark_of(done: Done) -> str:
    """Return the mark that the one built wheel carries."""
    (wheel,) = done.paths
    return read_mark(wheel)
