"""Which sandbox is in force: a project that is a stranger's cannot weaken the user's own choice."""

from pathlib import Path

import pytest

from tests.support.forge import Place


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("strict", "none", ""), "strict"),
        (("", "strict", ""), "strict"),
        (("strict", "", "none"), "none"),
        (("", "", ""), "none"),
    ],
)
def test_sandbox__of_the_user_is_above_that_of_the_project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: tuple[str, str, str],
    expected: str,
) -> None:
    own, project, variable = values
    home, directory = tmp_path / "config" / "wheelforge", tmp_path / "project"
    for place, value in ((home, own), (directory, project)):
        place.mkdir(parents=True)
        if value:
            (place / "wheelforge.toml").write_text(f'sandbox = "{value}"\n', encoding="utf-8")
    monkeypatch.chdir(directory)
    variables = {"XDG_CONFIG_HOME": str(home.parent)}
    if variable:
        variables["WHEELFORGE_SANDBOX"] = variable

    done = Place(path=tmp_path).run("config", "show", **variables)

    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("sandbox = ")]
    assert f'"{expected}"' in line
