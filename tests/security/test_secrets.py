"""Secrets in URLs: in no message, no report, no file of the cache."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.forge import Place
from tests.support.index import Manners, Project, serve
from tests.support.maker import maker, mark_of, write_thing
from tests.support.universe import Universe, ask
from wheelforge.resolve import Resolution, ResolutionCache, ResolutionRequest, resolve

PASSWORD, TOKEN = "s3cr@et@B", "t0ken"


def remember(
    directory: Path, request: ResolutionRequest, *, signature: str = ""
) -> tuple[str, Resolution]:
    """Return what is written of an answer, and the answer that is given again."""
    universe = Universe()
    universe.put(directory.parent, "a", "1.0")
    universe.add("b", "1.0")

    def answer(request: ResolutionRequest) -> Resolution:
        found = resolve(request, universe, universe.build)
        pins = tuple(
            pin._replace(url=f"{pin.url}{signature if pin.name == 'b' else ''}")
            for pin in found.pins
        )
        return found._replace(pins=pins)

    cache = ResolutionCache(directory=directory)
    cache.get_or_resolve(request, answer)
    written = "".join(path.read_text() for path in directory.glob("*"))
    return written, cache.get_or_resolve(request, answer)


def test_remembered_answer__has_no_password_and_no_signature(tmp_path: Path) -> None:
    url = f"https://user:{PASSWORD}@host.test/a-1.0-py3-none-any.whl?x=1&sig={TOKEN}"

    written, again = remember(tmp_path / "memory", ask(f"a @ {url}"))

    assert "host.test/a-1.0" in written
    assert not [part for part in ("user", "s3cr", "et@B", "B@", TOKEN) if part in written]
    assert again.pins[0].url == url


def test_remembered_answer__is_not_kept_if_an_index_signs_its_urls(tmp_path: Path) -> None:
    request = ask("b")

    kept, _ = remember(tmp_path / "plain", request, signature="?version=1")
    written, _ = remember(tmp_path / "signed", request, signature=f"?version=1&sig={TOKEN}")

    assert "?version=1" in kept
    assert not written


@pytest.mark.parametrize(
    "where", ["http://user:{0}@127.0.0.1:1/demo-1.0.tar.gz?token={1}", "demo==1.0"]
)
def test_failed_build__shows_no_secret_anywhere(tmp_path: Path, where: str) -> None:
    place = Place(path=tmp_path, variables={"PIP_RETRIES": "0"})
    index = f"http://user:{PASSWORD}@127.0.0.1:1/simple/?token={TOKEN}"
    reports = [tmp_path / name for name in ("report.json", "events.json", "junit.xml")]

    done = place.run(
        *(where.format(PASSWORD, TOKEN), "-o", tmp_path / "out", "-v"),
        *("-i", index, "-f", index, "--report", reports[0]),
        *("--events", reports[1], "--junit", reports[2]),
    )

    assert done.error == "index-unreachable"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {*reports} <= {*files}
    texts = [done.out, done.err, *(path.read_text() for path in files)]
    assert "127.0.0.1:1" in done.err
    assert not [part for part in ("s3cr", "et@B", TOKEN) for text in texts if part in text]


@pytest.mark.parametrize("password", ["s3cr/et", "s3cr#et", "s3cr?et", "s3cr%2Fet"])
@pytest.mark.parametrize(
    "words",
    [
        ("demo==1.0", "-i", "{url}/simple"),
        ("demo==1.0", "-f", "{url}/links", "--no-index"),
        ("{url}/demo-1.0.tar.gz",),
        ("demo @ {url}/demo-1.0.tar.gz", "--with-deps"),
        ("git+{url}/demo.git@v1",),
        ("-r", "{url}/list.txt"),
        ("-r", "list.txt"),
        ("project", "-w"),
        ("project", "-w", "--plan"),
    ],
    ids=" ".join,
)
def test_wrong_url__shows_no_secret_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, words: tuple[str, ...]
) -> None:
    url = f"http://user:{password}@127.0.0.1:1"
    inputs = {
        "list.txt": f"-i {url}/simple\ndemo==1.0\n",
        "project/pyproject.toml": (
            f"[build-system]\nrequires = ['demo @ {url}/demo-1.0.tar.gz']\n"
            "[project]\nname = 'project'\nversion = '1'\n"
        ),
    }
    for name, text in inputs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    variables = {"PIP_RETRIES": "0", "PIP_INDEX_URL": "http://127.0.0.1:1/"}

    done = Place(path=tmp_path, variables=variables).run(
        *(word.format(url=url) for word in words), "--report", tmp_path / "r.json"
    )

    assert done.error
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = [
        path.read_text() for path in files if path not in {tmp_path / name for name in inputs}
    ]
    texts = (done.out, done.err, *written)
    assert not [part for part in ("s3cr", "et@") for text in texts if part in text]


def test_build__with_an_encoded_password_keeps_it_to_itself(tmp_path: Path) -> None:
    login = ("me@corp", "s3cr/et@?#B")
    source = write_thing(tmp_path)
    reports = [tmp_path / name for name in ("report.json", "page.html", "events.json")]
    lock = tmp_path / "pylock.build.toml"
    with serve(Project("maker", maker()), manners=Manners(login=login)) as index:
        url = index.url.replace("://", f"://{quote(login[0], '')}:{quote(login[1], '')}@")
        place = Place(path=tmp_path)
        locked = place.run("lock", source, "-o", lock, "-i", url)
        done = place.run(
            *(source, "-o", tmp_path / "out", "-i", url, "--report", reports[0], "-v"),
            *("--html", reports[1], "--events", reports[2]),
        )
        asked = [each.headers.get("authorization") for each in index.asked]

    assert (locked.code, mark_of(done)) == (0, "good")
    assert None not in asked
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != source]
    texts = [done.out.encode(), done.err.encode(), *(path.read_bytes() for path in files)]
    secrets = (b"s3cr", b"et@", b"et%40", base64.b64encode(":".join(login).encode()))
    assert not [part for part in secrets for text in texts if part in text]
