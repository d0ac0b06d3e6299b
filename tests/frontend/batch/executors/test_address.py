"""The schedulers that are used."""

from pathlib import Path

import pytest

from tests.support.forge import Place
from wheelforge.batch.executors.address import check_address
from wheelforge.errors import ClusterError


@pytest.mark.parametrize(
    "address",
    [
        "tls://scheduler.example:8786",
        "tls://10.0.0.5:8786",
        "tls://[2001:db8::1]:8786",
        "tcp://127.0.0.1:8786",
        "tcp://127.9.9.9:1",
        "tcp://[::1]:8786",
        "tcp://localhost:8786",
    ],
)
def test_scheduler__is_used_if_tls_or_the_machine_guards_it(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "tcp://10.0.0.5:8786",
        "tcp://0.0.0.0:8786",
        "tcp://[::]:8786",
        "tcp://scheduler.example:8786",
        "tcp://localhost.example:8786",
        "tcp://127.0.0.1.example:8786",
        "tcp://127.1:8786",
        "tcp://127.0.0.1@10.0.0.5:8786",
        "ws://127.0.0.1:8786",
        "inproc://127.0.0.1/1/2",
        "127.0.0.1:8786",
        "tls://scheduler",
        "tls://scheduler:port",
        "",
    ],
)
def test_scheduler__is_refused_if_others_could_use_it(address: str) -> None:
    with pytest.raises(ClusterError, match="is not used"):
        check_address(address)


@pytest.mark.parametrize("words", [("build", ".", "--executor", "dask"), ("worker",)])
def test_command_line__refuses_a_scheduler_on_the_network_with_a_hint(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = Place(path=tmp_path).run(*words, "--scheduler", "tcp://10.0.0.5:8786")

    assert (done.code, done.error) == (2, "scheduler-refused")
    assert "hint: name it as `tls://HOST:PORT`, or tunnel it" in done.err


@pytest.mark.parametrize("words", [("build", ".", "--executor", "dask"), ("worker",)])
def test_command_line__names_the_extra_that_is_missing(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)

    done = Place(path=tmp_path).run(*words, "--scheduler", "tcp://127.0.0.1:1", "--no-config")

    assert (done.code, done.error) == (2, "extra-missing")
    assert "`wheelforge[dask]`" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("--scheduler", "tls://x:1"),
        ("--shared-dir", "shared"),
        ("--executor", "dask", "--no-isolation"),
        ("--executor", "dask", "--env-dir", "env"),
    ],
)
def test_command_line__refuses_what_cannot_be_meant(words: tuple[str, ...], tmp_path: Path) -> None:
    done = Place(path=tmp_path).run("build", ".", *words)

    assert (done.code, done.error) == (2, "option-invalid")
