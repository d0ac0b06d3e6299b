"""Answers that are given again, and what they are made of."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.universe import PYTHON, Universe, ask
from wheelforge.resolve import Resolution, ResolutionCache, ResolutionRequest, resolve

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Office:
    """A resolver with a cache, and a clock that only the test moves."""

    directory: Path
    universe: Universe = field(default_factory=Universe)
    asked: int = 0
    now: float = 1000.0

    def ask(self, request: ResolutionRequest) -> Resolution:
        self.asked += 1
        return resolve(request, self.universe, self.universe.build)

    def answer(
        self, request: ResolutionRequest, *, offline: bool = False, refresh: bool = False
    ) -> Resolution:
        cache = ResolutionCache(directory=self.directory, clock=lambda: self.now)
        return cache.get_or_resolve(request, self.ask, offline=offline, refresh=refresh)

    @property
    def file(self) -> Path:
        (path,) = self.directory.iterdir()
        return path


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(directory=tmp_path / "answers")
    office.universe.add("a", "1.0", "b; extra == 'x'", uploaded=datetime(2020, 1, 1, tzinfo=UTC))
    office.universe.workshop = tmp_path
    return office


def test_resolution_cache__the_same_answer_is_given_again_with_all_there_is_to_it(
    office: Office,
) -> None:
    first = office.answer(ask("a[nope]", "a>=1"))
    second = office.answer(ask("a>=1", "a[nope]"))

    assert office.asked == 1
    assert first == second
    assert second.notes != ()
    assert second.pins[0].requested_by == ("a>=1", "a[nope]")


@pytest.mark.parametrize(("seconds", "asked"), [(599, 1), (600, 2), (-1, 2)])
def test_resolution_cache__answer_has_its_time(office: Office, seconds: float, asked: int) -> None:
    office.answer(ask("a"))
    office.now += seconds

    office.answer(ask("a"))

    assert office.asked == asked


def test_resolution_cache__to_refresh_is_to_ask_again_and_to_remember_that(office: Office) -> None:
    office.answer(ask("a"))
    office.universe.add("a", "2.0")

    assert office.answer(ask("a"), refresh=True).pins[0].version == "2.0"
    assert office.answer(ask("a")).pins[0].version == "2.0"


def test_resolution_cache__offline_takes_an_answer_of_any_age(office: Office) -> None:
    office.answer(ask("a"))
    office.now += 10**9

    assert office.answer(ask("a"), offline=True, refresh=True).pins[0].version == "1.0"
    assert office.asked == 1


def test_resolution_cache__offline_what_is_missing_is_said(office: Office) -> None:
    request = ask("a>=1", "b", subject="`demo 1.0`", exclude_newer=NOON)

    with raises("not-remembered") as caught:
        office.answer(request, offline=True)

    assert str(caught.value) == (
        "what `demo 1.0` needs was never resolved here with these settings, "
        "for Python 3.11.4 and what there was at 2024-05-01T12:00:00+00:00: `a>=1`, `b`"
    )
    assert office.asked == 0


def test_resolution_cache__what_comes_into_a_directory_while_it_is_asked_is_noticed(
    office: Office, tmp_path: Path
) -> None:
    place = tmp_path / "wheels"
    place.mkdir()
    os.utime(place, ns=(0, 0))
    request = ask("a")._replace(places=(str(place),))

    def ask_slowly(asked: ResolutionRequest) -> Resolution:
        (place / "new").touch()
        return office.ask(asked)

    cache = ResolutionCache(directory=office.directory, clock=lambda: office.now)
    cache.store(request, cache.get_or_resolve(request, ask_slowly))

    assert cache.load(request) is None
    assert cache.load(request, any_age=True) is not None
    assert cache.get_or_resolve(request, office.ask) == cache.load(request)


def test_resolution_cache__an_answer_that_is_forgotten_is_asked_for_again(office: Office) -> None:
    cache = ResolutionCache(directory=office.directory, clock=lambda: office.now)
    cache.drop(ask("a"))
    office.answer(ask("a"))

    cache.drop(ask("a"))

    assert cache.load(ask("a")) is None


@pytest.mark.parametrize("step", [1, 7])
def test_resolution_cache__a_damaged_answer_is_no_answer(office: Office, step: int) -> None:
    office.answer(ask("a"))
    good = office.file.read_bytes()
    damaged = [good[:place] for place in range(0, len(good), 97)]
    for place in range(0, len(good), 31):
        changed = bytes([good[place] ^ step])
        damaged.append(good[:place] + changed + good[place + 1 :])

    for number, content in enumerate(damaged, 2):
        office.file.write_bytes(content)
        assert office.answer(ask("a")).pins[0].version == "1.0"
        assert office.asked == number


def test_resolution_cache__the_answer_to_another_question_is_no_answer(office: Office) -> None:
    office.answer(ask("a"))
    content = office.file.read_bytes()
    office.file.unlink()
    office.answer(ask("a<2"))
    office.file.write_bytes(content)

    office.answer(ask("a<2"))

    assert office.asked == 3


@pytest.mark.parametrize(
    "other",
    [
        ask("a", "a>=1"),
        ask("a", constraints=("a<2",)),
        ask("a", hashes={"b": ("sha256:" + 64 * "0",)}),
        ask("a", index_identity="another"),
        ask("a", exclude_newer=NOON),
        ask("a", oldest=True),
        ask("a", python=replace(PYTHON, identity="another")),
        ask("a", python=replace(PYTHON, version="3.11.5")),
        ask("a", python=replace(PYTHON, tags=PYTHON.tags[1:])),
        ask("a", python=replace(PYTHON, markers={**PYTHON.markers, "platform_release": "6.2"})),
    ],
)
def test_resolution_cache__whatever_changes_an_answer_makes_another_question(
    office: Office, other: ResolutionRequest
) -> None:
    office.answer(ask("a"))
    office.answer(other)

    assert office.asked == 2


def test_resolution_cache__what_changes_no_answer_makes_no_other_question() -> None:
    summer = timezone(timedelta(hours=2))
    one = ask("a", "b", exclude_newer=NOON, subject="x", chain=("y",))
    other = ask("b", "a", "a", exclude_newer=NOON.astimezone(summer))

    assert one.digest == other.digest


def test_resolution_cache__a_local_file_that_changed_makes_an_answer_worthless(
    office: Office, tmp_path: Path
) -> None:
    url = office.universe.put(tmp_path, "a", "0.5")
    request = ask(f"a @ {url}")
    office.answer(request)
    office.answer(request)
    assert office.asked == 1

    os.utime(tmp_path / "a-0.5-py3-none-any.whl", (1, 1))
    office.answer(request)
    assert office.asked == 2
    (tmp_path / "a-0.5-py3-none-any.whl").rename(tmp_path / "elsewhere")
    cache = ResolutionCache(directory=office.directory, clock=lambda: office.now)
    assert cache.load(request) is None


def test_resolution_cache__what_needs_a_directory_is_not_remembered(
    office: Office, tmp_path: Path
) -> None:
    (tmp_path / "a-1.0").mkdir()
    request = ask(f"a @ {(tmp_path / 'a-1.0').as_uri()}")

    office.answer(request)
    office.answer(request)

    assert office.asked == 2


def test_resolution_cache__who_may_not_write_remembers_nothing_and_is_none_the_worse(
    office: Office, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    office.directory = tmp_path / "file" / "memory"

    assert office.answer(ask("a")).pins[0].version == "1.0"


def test_resolution_cache__to_recall_is_one_small_file_and_no_import_of_anything_heavy(
    office: Office,
) -> None:
    office.answer(ask("a"))
    python = {
        name: str(value) if isinstance(value, Path) else value
        for name in PYTHON.__annotations__
        if name != "scheme"
        for value in [getattr(PYTHON, name)]
    }

    code = f"""
import json, sys, types
from pathlib import Path
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from wheelforge.resolve import ResolutionCache, ResolutionRequest, prepare_wheels
python = types.SimpleNamespace(**json.loads({json.dumps(python)!r}))
python.tags = tuple(python.tags)
request = ResolutionRequest(requirements=("a",), python=python)
directory = Path({str(office.directory)!r})
cache = ResolutionCache(directory=directory, clock=lambda: 1001.0)
resolution = cache.get_or_resolve(request, None)
plan = prepare_wheels(resolution, None, None, workspace=directory)
tops = sorted({{name.partition(".")[0] for name in sys.modules}})
parts = [name for name in sys.modules if name.startswith("wheelforge.")]
files = [path for path in opened if path.startswith(str(directory))]
print(json.dumps([tops, parts, files, [key.file_name for key in plan.keys]]))
"""
    tops, parts, files, names = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert names == ["a-1.0-py3-none-any.whl"]
    assert files == [str(office.file)]
    forbidden = {"resolvelib", "packaging", "urllib3"}
    assert set(tops) & (forbidden | {"http", "email", "ssl", "asyncio"}) == set()
    assert not any(part.startswith("wheelforge.index") for part in parts)
