"""Lists of what is in a wheel: libraries, distributions inside, lists that are there already."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import Ground, ask, names_in, write_sdist
from tests.support.forge import Place
from tests.support.wheels import DIST_INFO, FILE_NAME, Draft
from wheelforge.provenance import sbom
from wheelforge.provenance.elf import read_library
from wheelforge.provenance.options import Provenance, Sbom
from wheelforge_isolation import inspect_wheel

EMBEDDED = f"{DIST_INFO}/sboms/wheelforge.cdx.json"


def write(tmp_path: Path, **files: bytes) -> Path:
    path = tmp_path / FILE_NAME
    path.write_bytes(Draft(files=files).pack())
    return path


def list_in(wheel: Path) -> Any:
    with sbom.open_content(wheel) as content:
        return sbom.make_sbom(content)


def purls(listed: Any) -> list[str]:
    return [component["purl"] for component in listed["components"]]


def test_list__has_distributions_inside_of_packages(tmp_path: Path) -> None:
    inner = b"Metadata-Version: 2.1\nName: Inner.Thing\nVersion: 2.0+local\n"
    lines = b"# ours\nsix==1.16.0\nurllib3 == 2.0  # pinned\nloose>=1\n-e ./here\n\xff\n"
    files = {
        "demo/_vendor/inner-2.0.dist-info/METADATA": inner,
        "demo/_vendor/vendor.txt": lines,
        "demo/odd.dist-info/METADATA": b"Name: odd\n",
    }

    listed = list_in(write(tmp_path, **files))

    assert listed["metadata"]["component"]["purl"] == "pkg:pypi/demo@1.0"
    found = ["pkg:pypi/inner-thing@2.0%2Blocal", "pkg:pypi/six@1.16.0", "pkg:pypi/urllib3@2.0"]
    assert purls(listed) == found
    assert listed["dependencies"][0] == {"ref": "pkg:pypi/demo@1.0", "dependsOn": found}


def compile_library(path: Path, soname: str, *needs: Path) -> None:
    source = path.with_suffix(".c")
    path.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("int answer(void) { return 42; }\n", encoding="utf-8")
    words = ["cc", "-shared", "-fPIC", "-Wl,--no-as-needed", f"-Wl,-soname,{soname}"]
    subprocess.run([*words, "-o", path, source, *needs], check=True)
    source.unlink()


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_list__has_libraries_that_others_in_the_wheel_need(tmp_path: Path) -> None:
    name = "libanswer-0a1b2c3d.so.1.2"
    library, module = tmp_path / "lib" / name, tmp_path / "lib" / "module.so"
    compile_library(library, "libanswer.so.1")
    compile_library(module, "", library)
    files = {f"demo.libs/{name}": library.read_bytes(), "demo/module.so": module.read_bytes()}

    listed = list_in(write(tmp_path, **files))

    (component,) = listed["components"]
    told = [component[key] for key in ("name", "version", "purl", "bom-ref")]
    assert told == ["libanswer", "1.2", "pkg:generic/libanswer@1.2", f"demo.libs/{name}"]
    (needed,) = listed["metadata"]["component"]["properties"]
    assert needed["name"] == "wheelforge:elf:needed"
    assert needed["value"].startswith("libc.")


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 200, b"\x7fELF\x01\x02" + bytes(60)]
)
def test_library__that_is_damaged_is_none(content: bytes) -> None:
    assert read_library(content) is None


def build(ground: Ground, source: Path, out: Path, form: Sbom) -> Path:
    with ground.forge(provenance=Provenance(sbom=form)) as forge:
        return forge.build(ask(source, out)).artifacts[0].path


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def test_sidecar__is_beside_the_wheel_and_names_its_digest(ground: Ground, tmp_path: Path) -> None:
    source = write_sdist(tmp_path)

    wheel = build(ground, source, tmp_path / "out", Sbom.SIDECAR)
    again = build(ground, source, tmp_path / "again", Sbom.SIDECAR)

    assert names_in(tmp_path / "out") == [wheel.name, f"{wheel.name}.cdx.json"]
    content = Path(f"{wheel}.cdx.json").read_bytes()
    assert Path(f"{again}.cdx.json").read_bytes() == content
    (digest,) = json.loads(content)["metadata"]["component"]["hashes"]
    assert digest["content"] == inspect_wheel(wheel).sha256


def test_embedded_list__is_in_record_beside_those_that_were_there(
    ground: Ground, tmp_path: Path
) -> None:
    theirs = {f"{DIST_INFO}/sboms/auditwheel.cdx.json": "{}\n", EMBEDDED: "of an earlier one"}
    source = write_sdist(tmp_path, build_wheel=f"files.update({theirs!r})")

    wheel = build(ground, source, tmp_path / "out", Sbom.EMBED)

    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    own = EMBEDDED.replace("wheelforge.", "wheelforge-2.")
    assert theirs.items() <= found.items()
    listed = json.loads(found[own])
    references = [each["url"] for each in listed["externalReferences"]]
    assert references == sorted(theirs)
    assert inspect_wheel(wheel).name == "demo"  # which holds RECORD against all files
    assert own in found[f"{DIST_INFO}/RECORD"]


def test_embedded_list__is_the_same_each_time_and_makes_another_wheel(
    ground: Ground, tmp_path: Path
) -> None:
    plan = "files['when'] = 'always'; import zipfile; zipfile.time.time = lambda: 1e9"
    source = write_sdist(tmp_path, build_wheel=plan)

    first = build(ground, source, tmp_path / "plain", Sbom.OFF)
    wheel = build(ground, source, tmp_path / "one", Sbom.EMBED)
    with ground.forge(provenance=Provenance(sbom=Sbom.EMBED)) as forge:
        again = forge.build(ask(source, tmp_path / "two"))

    assert again.verdict == "reused"
    assert again.artifacts[0].path.read_bytes() == wheel.read_bytes() != first.read_bytes()
    listed = list_in(first)
    with zipfile.ZipFile(wheel) as archive:
        assert json.loads(archive.read(EMBEDDED)).keys() == listed.keys()


def test_list__is_refused_where_the_environment_is_not_ours(tmp_path: Path) -> None:
    done = Place(path=tmp_path).run(write_sdist(tmp_path), "-n", "-x", "--sbom", "embed")

    assert done.error == "option-invalid"
    assert "`--sbom`" in done.err
