"""Built files are checked before they are delivered, and delivered whole."""

from pathlib import Path

import pytest

from tests.support.builds import Ground, ask, names_in, write_project, write_sdist
from wheelforge.errors import ResultInvalidError
from wheelforge.models import Kind

WHEEL = "demo-1.0-py3-none-any.whl"
WRITE = f"open(directory + '/{WHEEL}', 'wb').write"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("answer = None", "is no name of a file"),
        ("answer = 5", "is no name of a file"),
        ("answer = ['x']", "is no name of a file"),
        ("answer = directory + '/x.whl'", "is no name of a file"),
        ("answer = '../x.whl'", "is no name of a file"),
        ("answer = ''", "does not end in .whl"),
        ("answer = '..'", "is no name of a file|does not end in .whl"),
        ("answer = 'x.tar.gz'", "does not end in .whl"),
        (f"answer = '{WHEEL}'", "nothing of that name"),
        (f"import os; answer = '{WHEEL}'; os.mkdir(directory + '/' + answer)", "nothing of that"),
        (f"answer = '{WHEEL}'; {WRITE}(b'')", WHEEL),
        (f"answer = '{WHEEL}'; {WRITE}(b'PK' * 1000)", WHEEL),
        ("rows = 'nothing.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\\n'", "RECORD"),
        ("rows = 'willing_facts.json,,\\n'", "RECORD"),
        ("name = 'other'", "it is other 1.0, and the source is demo 1.0"),
        ("version = '2.0'", "it is demo 2.0, and the source is demo 1.0"),
        ("version = 'one'", "demo-one"),
    ],
)
def test_result__faulty_one_is_not_delivered_and_harms_nothing(
    tmp_path: Path, ground: Ground, code: str, reason: str
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=code)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / WHEEL).write_text("an older one", encoding="utf-8")

    with pytest.raises(ResultInvalidError, match=reason), ground.forge() as forge:
        forge.build(ask(sdist, tmp_path / "out"))

    assert names_in(tmp_path / "out") == [WHEEL]
    assert (tmp_path / "out" / WHEEL).read_text(encoding="utf-8") == "an older one"
    assert ground.stages == []


def test_result__faulty_sdist_is_not_delivered_nor_built(tmp_path: Path, ground: Ground) -> None:
    project = write_project(
        tmp_path / "project",
        build_sdist="open(directory + '/demo-1.0.tar.gz', 'wb').write(b'x'); "
        "answer = 'demo-1.0.tar.gz'",
        build_wheel="open('built', 'w')",
    )

    with pytest.raises(ResultInvalidError, match=r"demo-1\.0\.tar\.gz"):
        ground.build(project, tmp_path / "out", kinds=())

    assert not (tmp_path / "out").exists()
    assert not (project / "built").exists()


def test_result__replaces_an_older_one(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project")
    first = ground.build(project, tmp_path / "out").artifacts[0]
    write_project(tmp_path / "project", build_wheel="files['more'] = 'x'")

    second = ground.build(project, tmp_path / "out").artifacts[0]

    assert second.path == first.path
    assert second.sha256 != first.sha256
    assert second.size_bytes == second.path.stat().st_size
    assert names_in(tmp_path / "out") == [WHEEL]


def test_output__impossible_directory_is_an_error_without_a_partial_file(
    tmp_path: Path, ground: Ground
) -> None:
    (tmp_path / "file").touch()

    with ground.forge() as forge:
        outcome = forge.try_build(ask(write_sdist(tmp_path), tmp_path / "file" / "out"))

    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.exit_code) == ("file-access", 5)
    assert outcome.artifacts == ()


def test_outcome__has_artifacts_delivered_before_the_failure(
    tmp_path: Path, ground: Ground
) -> None:
    project = write_project(tmp_path / "project", build_wheel="answer = None")

    with ground.forge() as forge:
        outcome = forge.try_build(ask(project, tmp_path / "out", kinds=()))

    assert isinstance(outcome.error, ResultInvalidError)
    assert [artifact.kind for artifact in outcome.artifacts] == [Kind.SDIST]
    assert names_in(tmp_path / "out") == ["demo-1.0.tar.gz"]


def test_result__metadata_of_another_project_is_refused(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", prepare_metadata_for_build_wheel="name = 'other'")

    with pytest.raises(ResultInvalidError, match=r"it is other 1\.0"):
        ground.build(project, tmp_path / "out", kinds=(Kind.METADATA,))
