"""The types that others see: our own wheel, built by us, installed, and used under two checkers."""

import ast
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import wheelforge
from tests.support.corpus import DOWNLOADS
from tests.support.forge import Place
from tests.support.manual import BLOCKS
from tests.support.source import ROOT

SAMPLE = ROOT / "tests" / "api_sample.py"
CHECKERS = {
    "mypy": ("--strict", "--config-file=", "--cache-dir=cache", "--python-executable"),
    "pyright": ("--project=pyrightconfig.json", "--pythonpath"),
}
WRONG = (
    "wheelforge.nonsense",
    "wheelforge.errors.NonsenseError",
    "wheelforge_isolation.nonsense",
    "wheelforge.Settings(python=3)",
    "wheelforge.Policy(600)",
    "wheelforge.Components(provider=print)",
    "wheelforge.Kind.EGG",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, real_wheels: object) -> Path:
    """Return a virtual environment that has our own wheel, and sees what it depends on."""
    del real_wheels
    tmp_path = tmp_path_factory.mktemp("types")
    offline = ("--no-index", "--find-links", DOWNLOADS)
    (wheel,) = Place(path=tmp_path).run(ROOT, "--wheel", "-o", tmp_path, *offline).paths
    venv.create(tmp_path / "venv", symlinks=True)
    place = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    packages = sysconfig.get_path("purelib", "venv", vars=place)
    zipfile.ZipFile(wheel).extractall(packages)
    others = sysconfig.get_path("purelib")
    Path(packages, "others.pth").write_text(f"{others}\n", encoding="utf-8")
    return tmp_path / "venv"


def check(checker: str, installed: Path, place: Path, texts: list[str]) -> tuple[int, str]:
    """Return what a checker says of modules that use what is installed."""
    if find_spec(checker) is None:
        pytest.skip(f"needs {checker}, as `tox run -e type` has it")
    (place / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
    files = [f"sample{number}.py" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        (place / file).write_text(text, encoding="utf-8")
    scripts = sysconfig.get_path("scripts", "venv", vars={"base": str(installed)})
    words = [sys.executable, "-m", checker, *CHECKERS[checker], str(Path(scripts, "python"))]
    done = subprocess.run(
        [*words, *(files if checker == "mypy" else [])],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_sample_and_the_manual_pass_strict_checks(
    installed: Path, tmp_path: Path, checker: str
) -> None:
    texts = [SAMPLE.read_text(encoding="utf-8"), *BLOCKS]

    code, output = check(checker, installed, tmp_path, texts)

    assert code == 0, output


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_wrong_use_is_refused(installed: Path, tmp_path: Path, checker: str) -> None:
    imports = "import wheelforge\nimport wheelforge.errors\nimport wheelforge_isolation\n"
    texts = [f"{imports}\nprint({use})\n" for use in WRONG]

    code, output = check(checker, installed, tmp_path, texts)

    assert code != 0
    assert [number for number in range(len(WRONG)) if f"sample{number}.py:" not in output] == []


def test_the_sample_uses_every_public_name() -> None:
    nodes = list(ast.walk(ast.parse(SAMPLE.read_text(encoding="utf-8"))))

    used = {node.id for node in nodes if isinstance(node, ast.Name)}

    assert set(dir(wheelforge)) - used == set()
