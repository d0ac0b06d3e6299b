"""The outcome of a scenario with one program, and the members of each file that it has written."""

import hashlib
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

BUILT = "built"
FAILED = "failed"
_COMPILED = re.compile(r"\.(so|pyd|dylib|a|o|exe)$|\.so\.[\d.]+$")
_EXCEPTION = re.compile(r"^\s+((?:\w+\.)*\w+(?:Error|Exception): .+)$", re.MULTILINE)
_KEPT = 20_000
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An outcome; digests of all members of all files; and the end of what was said."""

    outcome: str
    code: int
    files: Mapping[str, Mapping[str, str]]
    said: str
    seconds: float

    @property
    def error(self) -> str:
        """The code of the error, where the program gives one."""
        found = re.search(r"^error\[([\w-]+)\]", self.said, re.MULTILINE)
        return found[1] if found else ""

    @property
    def exception(self) -> str:
        """The line of the last exception that has ended a hook, where there was one."""
        lines = _EXCEPTION.findall(self.said) if self.outcome == FAILED else []
        return lines[-1] if lines else ""

    def store(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def load_result(path: Path) -> Result | None:
    """Return a result that was stored, if it is there and whole."""
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_result(code: int, out: str, err: str, output: Path, seconds: float) -> Result:
    """Read what a program has said and written."""
    files: dict[str, Mapping[str, str]] = {}
    if code == 0:
        paths = sorted(output.iterdir()) if output.is_dir() else []
        files = {path.name: read_archive(path) for path in paths if path.name[0] != "."}
        files = files or {"metadata": _read_metadata(out)}
    said = f"{out}\n{err}"[-_KEPT:]
    return Result(
        outcome=FAILED if code else BUILT, code=code, files=files, said=said, seconds=seconds
    )


def read_archive(path: Path) -> dict[str, str]:
    """Return a digest of each member; what a compiler has made is told by its kind only."""
    contents = _read_wheel(path) if path.suffix == ".whl" else _read_sdist(path)
    compiled = {name for name, data in contents.items() if _is_compiled(name, data)}
    return {
        name: "compiled" if name in compiled else _digest(name, data, compiled)
        for name, data in sorted(contents.items())
    }


def _digest(name: str, data: bytes, compiled: set[str]) -> str:
    if name.endswith(".dist-info/RECORD"):
        lines = sorted(line for line in data.decode().splitlines() if line)
        data = "\n".join(
            line.split(",")[0] if line.split(",")[0] in compiled else line for line in lines
        ).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def _is_compiled(name: str, data: bytes) -> bool:
    return bool(_COMPILED.search(name)) or data[:4] == _ELF


def _read_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as wheel:
        return {info.filename: wheel.read(info) for info in wheel.infolist() if not info.is_dir()}


def _read_sdist(path: Path) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.issym() or member.islnk():
                contents[member.name] = f"-> {member.linkname}".encode()
            elif member.isfile():
                file = archive.extractfile(member)
                contents[member.name] = file.read() if file else b""
    return contents


def _read_metadata(out: str) -> dict[str, str]:
    start = out.find("{")
    fields: dict[str, object] = json.loads(out[start:]) if start >= 0 else {}
    return {name: json.dumps(value, sort_keys=True) for name, value in sorted(fields.items())}
