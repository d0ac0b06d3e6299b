"""Where to look: what pip is told holds for us too."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.codes import raises
from wheelforge.index import IndexOptions, IndexSettings, find_index_settings, list_config_files

PYPI = "https://pypi.org/simple/"


def test_index_settings__told_nothing_pypi_is_asked() -> None:
    settings = find_index_settings({})

    assert settings == IndexSettings()
    assert settings.index_urls == (PYPI,)


def test_index_settings__all_variables_of_pip_that_matter_are_read() -> None:
    settings = find_index_settings({
        "PIP_INDEX_URL": "https://main/simple",
        "PIP_EXTRA_INDEX_URL": "https://one/simple\n  https://two/simple",
        "PIP_FIND_LINKS": "/a /b",
        "PIP_NO_INDEX": "0",
        "PIP_CERT": "/cert.pem",
        "PIP_CLIENT_CERT": "/client.pem",
        "PIP_PROXY": "me:secret@proxy:3128",
        "PIP_RETRIES": "2",
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_TRUSTED_HOST": "one two:8080",
        "PIP_NO_BINARY": "a,B_b",
        "PIP_PREFER_BINARY": "true",
        "PIP_ONLY_BINARY": "a,:none:,:all:",
        "PIP_UPLOADED_PRIOR_TO": "2024-01-01T00:00:00Z",
        "PIP_KEYRING_PROVIDER": "disabled",
        "NETRC": "/netrc",
        "REQUESTS_CA_BUNDLE": "/other.pem",
    })

    assert settings == IndexSettings(
        index_urls=("https://one/simple", "https://two/simple", "https://main/simple"),
        find_links=("/a", "/b"),
        ca_bundle="/cert.pem",
        client_certificate="/client.pem",
        proxy="http://me:secret@proxy:3128",
        retries=2,
        timeout_seconds=180,
        trusted_hosts=("one", "two:8080"),
        no_binary=frozenset({"a", "b-b"}),
        only_binary=frozenset({":all:"}),
        prefers_wheels=True,
        exclude_newer=datetime(2024, 1, 1, tzinfo=UTC),
        ask_keyring=False,
        netrc="/netrc",
    )
    assert "secret" not in repr(settings)


def test_index_settings__files_win_over_files_before_and_variables_over_files(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(
        "[global]\nindex-url = https://first/\nretries = 1\ntimeout = 1\nno_index = yes\n"
        "[install]\nretries = 2\n[list]\nretries = 9\n"
    )
    second.write_text("[global]\nindex-url = https://second/%(x)s\n")

    settings = find_index_settings(
        {"PIP_TIMEOUT": "5", "PIP_RETRIES": ""}, config_files=[first, second, tmp_path / "absent"]
    )

    assert settings.index_urls == ("https://second/%(x)s",)
    assert (settings.retries, settings.timeout_seconds, settings.no_index) == (2, 5, True)


def test_build_constraints__are_those_of_pip_install_and_of_what_it_builds(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    a, b, b2, c, d = files = [tmp_path / name for name in ("a", "b", "b2", "c", "d")]
    for file in files:
        file.touch()
    text = f"[install]\nconstraint = {c}\nbuild-constraint = {d}\n"
    config.write_text(text, encoding="utf-8")
    environ = {"PIP_CONSTRAINT": f"{a}", "PIP_BUILD_CONSTRAINT": f"{b} {b2}"}

    for_both = find_index_settings(environ, config_files=[config])
    for_files = find_index_settings({}, config_files=[config])

    assert for_both.build_constraints == (a, b, b2)
    assert for_files.build_constraints == (c, d)


def test_build_constraints__missing_file_is_told_with_the_variable_that_names_it() -> None:
    with raises("index-settings-invalid", match=r"PIP_CONSTRAINT.*there is no `/limits\.txt`"):
        find_index_settings({"PIP_CONSTRAINT": "/limits.txt"})


@pytest.mark.parametrize("name", ["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"])
def test_build_constraints__from_a_url_are_refused_without_its_password(name: str) -> None:
    with raises("index-settings-invalid", match=f"{name}.*names a URL") as caught:
        find_index_settings({name: "https://me:secret@host/limits.txt"})

    assert "secret" not in str(caught.value)


def test_index_settings__options_replace_the_main_index_and_add_to_the_others() -> None:
    environ = {
        "PIP_INDEX_URL": "https://main/",
        "PIP_EXTRA_INDEX_URL": "https://one/",
        "PIP_FIND_LINKS": "/a",
    }
    options = IndexOptions(
        index_url="https://mine/",
        extra_index_urls=("https://two/",),
        find_links=("/b",),
        no_index=True,
    )

    settings = find_index_settings(environ, options)

    assert settings.index_urls == ("https://two/", "https://one/", "https://mine/")
    assert settings.find_links == ("/b", "/a")
    assert settings.no_index


def test_index_settings__a_cut_off_can_be_so_many_days_ago() -> None:
    moment = find_index_settings({"PIP_UPLOADED_PRIOR_TO": "P3D"}).exclude_newer

    assert moment is not None
    assert timedelta(days=3) <= datetime.now(UTC) - moment < timedelta(days=3, minutes=5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PIP_RETRIES", "many"), ("PIP_NO_INDEX", "perhaps"), ("PIP_UPLOADED_PRIOR_TO", "yesterday")],
)
def test_index_settings__what_makes_no_sense_is_refused_by_its_name(
    variable: str, value: str
) -> None:
    with raises("index-settings-invalid", match=variable):
        find_index_settings({variable: value})


@pytest.mark.parametrize("url", ["https://[/", "https://host:port/", "file:///a%00b"])
def test_index_settings__a_url_that_is_none_is_refused_without_its_secrets(url: str) -> None:
    secret = url.replace("https://", "https://me:s@cret@")

    with raises("index-settings-invalid", match=re.escape(f"`{url}`")):
        find_index_settings({"PIP_INDEX_URL": secret})


def test_index_settings__a_file_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("nonsense")

    with raises("index-settings-invalid", match=r"pip\.conf"):
        find_index_settings({}, config_files=[path])


def test_index_settings__this_machine_is_understood() -> None:
    paths = list_config_files({"HOME": "/root"}, "linux", "/usr")

    assert find_index_settings({}, config_files=paths).index_urls[-1].startswith("http")


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"HOME": "/h"}, "linux", ["/etc/xdg/pip", "/etc", "/h/.pip", "/h/.config/pip", "/venv"]),
        (
            {"HOME": "/h", "XDG_CONFIG_DIRS": "/x:/y", "XDG_CONFIG_HOME": "/c"},
            "linux",
            ["/x/pip", "/y/pip", "/etc", "/h/.pip", "/c/pip", "/venv"],
        ),
        (
            {"HOME": "/h"},
            "darwin",
            [
                "/Library/Application Support/pip",
                "/h/.pip",
                "/h/.config/pip",
                "/h/Library/Application Support/pip",
                "/venv",
            ],
        ),
    ],
)
def test_index_settings__files_are_looked_for_where_pip_looks(
    environ: dict[str, str], platform: str, expected: list[str]
) -> None:
    paths = list_config_files(environ, platform, "/venv")

    assert list(paths) == [Path(directory, "pip.conf") for directory in expected]


def test_index_settings__files_are_looked_for_where_pip_looks_on_windows() -> None:
    environ = {"USERPROFILE": "C:/me", "APPDATA": "C:/me/roaming", "PROGRAMDATA": "C:/all"}

    paths = [str(path).replace("\\", "/") for path in list_config_files(environ, "win32", "C:/v")]

    expected = ["C:/all/pip", "C:/me/pip", "C:/me/roaming/pip", "C:/v"]
    assert paths == [f"{directory}/pip.ini" for directory in expected]


def test_index_settings__a_file_that_is_named_comes_last_and_instead_of_the_users() -> None:
    paths = list_config_files({"HOME": "/h", "PIP_CONFIG_FILE": "/mine.conf"}, "linux", "/venv")

    assert paths[-2:] == (Path("/venv/pip.conf"), Path("/mine.conf"))
    assert not any(path.is_relative_to("/h") for path in paths)


def test_index_settings__pip_can_be_told_to_read_no_files() -> None:
    assert list_config_files({"PIP_CONFIG_FILE": os.devnull}, "linux", "/venv") == ()


def test_index_settings__identity_knows_what_changes_answers_and_no_credentials() -> None:
    base = IndexSettings(index_urls=("https://me:a@host/simple/",))
    same = IndexSettings(index_urls=("https://you:b@host/simple",), retries=1, timeout_seconds=2)
    others = [
        IndexSettings(),
        IndexSettings(index_urls=base.index_urls, no_index=True),
        IndexSettings(index_urls=base.index_urls, find_links=("/a",)),
        IndexSettings(index_urls=base.index_urls, exclude_newer=datetime(2024, 1, 1, tzinfo=UTC)),
        IndexSettings(index_urls=base.index_urls, no_binary=frozenset({"a"})),
        IndexSettings(index_urls=base.index_urls, only_binary=frozenset({"a"})),
    ]

    identities = {settings.identity for settings in (base, *others)}

    assert base.identity == same.identity
    assert len(identities) == 1 + len(others)
