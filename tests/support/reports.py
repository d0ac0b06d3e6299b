"""Outcomes of builds that never were: as many as one likes, the same every time."""

# ruff: file-ignore[any-type, suspicious-non-cryptographic-random-usage]

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from wheelforge.errors import BackendFailedError, Failure, HookError
from wheelforge.models import Artifact, BuildRequest, Kind, Outcome, Phase
from wheelforge.report import Run
from wheelforge_isolation import WheelKey

JSON_SCHEMA: dict[str, Any] = json.loads(
    files("wheelforge.report").joinpath("report.schema.json").read_text(encoding="utf-8")
)
EVENT_SCHEMA: dict[str, Any] = json.loads(
    files("wheelforge.report").joinpath("events.schema.json").read_text(encoding="utf-8")
)
MOMENT = 1_790_000_000.0
"""When the first of them begins."""
HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>{{facts}}"
)
_STEPS = (
    ("fetch", 0.06),
    ("unpack", 0.03),
    ("isolate", 0.2),
    ("ask", 0.08),
    ("build wheel", 0.55),
    ("check", 0.04),
    ("deliver", 0.02),
)
_NAMES = (
    "numpy", "lxml", "cryptography", "pydantic-core", "six", "zope-interface", "ujson", "rich",
)  # fmt: skip


def make_outcome(source: Path | str = Path("/work/demo-1.0.tar.gz"), **facts: Any) -> Outcome:
    """Return how the build of a wheel went."""
    request = BuildRequest(source=source, output=Path("/work/dist"), kinds=(Kind.WHEEL,))
    known: dict[str, Any] = {"request": request, "python": "3.11.9"}
    return Outcome(**{**known, **facts})


def make_artifact(
    path: Path = Path("/work/dist/demo-1.0-py3-none-any.whl"), **facts: Any
) -> Artifact:
    known: dict[str, Any] = {"kind": Kind.WHEEL, "name": "demo", "version": "1.0"}
    known |= {"path": path, "size_bytes": 1234, "sha256": "ab" * 32}
    return Artifact(**{**known, **facts})


def make_wheel(name: str = "setuptools", version: str = "84.2.1") -> WheelKey:
    file_name = f"{name}-{version}-py3-none-any.whl"
    return WheelKey(name=name, version=version, file_name=file_name, sha256="cd" * 32)


def make_phases(start: float, seconds: float, *, wait: float = 0.0) -> tuple[Phase, ...]:
    """Return the phases of a build, in the order in which they end."""
    phases: list[Phase] = []
    if wait:
        phases.append(Phase(name="wait", started=start, seconds=wait))
    moment = start + wait
    for name, share in _STEPS:
        phases.append(Phase(name=name, started=moment, seconds=share * (seconds - wait)))
        moment += share * (seconds - wait)
    return (*phases, Phase(name="", started=start, seconds=seconds))


def make_failure(text: str = "", source: str = "demo-1.0.tar.gz") -> BackendFailedError:
    """Return an error whose output is ``text``."""
    failure = Failure(source=source, hook="build_wheel", status=1, output=text.encode())
    return BackendFailedError("backend-failed", failure, "", "")


def tell(outcomes: Sequence[Outcome], tail: str = "", ending: BaseException | None = None) -> Run:
    """Return a run of ``outcomes``; ``tail`` is the end of the log of each that has failed."""
    told = [(outcome, tail if outcome.error else "") for outcome in outcomes]
    return Run(told=told, ending=ending)


@dataclass
class Factory:
    """Makes whole runs."""

    at_once: int = 8
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def make(self, count: int) -> Sequence[Outcome]:
        """Return so many outcomes, as if some had been built at once; a tenth of them bad."""
        lanes = [MOMENT] * self.at_once
        outcomes: list[Outcome] = []
        for number in range(count):
            lane = min(range(self.at_once), key=lanes.__getitem__)
            seconds = min(90.0, self.chance.lognormvariate(1.3, 0.9))
            outcomes.append(self._make(number, lanes[lane], seconds))
            lanes[lane] += seconds + 0.02
        return outcomes

    def _make(self, number: int, start: float, seconds: float) -> Outcome:
        name = self.chance.choice(_NAMES)
        version = f"{self.chance.randrange(9)}.{number}"
        source = Path(f"/work/sdists/{name}-{version}.tar.gz")
        wheel = Path(f"/work/dist/{name}-{version}-py3-none-any.whl")
        plain: dict[str, Any] = {
            "sha256": f"{number:064x}",
            "phases": make_phases(start, seconds, wait=seconds * 0.3 if number % 13 == 5 else 0.0),
            "wheels": tuple(make_wheel(each) for each in ("setuptools", "wheel", "packaging")),
            "environments_found": 1,
            "peak_bytes": self.chance.randrange(30, 900) << 20,
            "cpu_seconds": seconds * 0.9,
            "python": self.chance.choice(("3.11.9", "3.12.4", "3.13.1")),
            "log": Path(f"/work/logs/{name}-{version}.log"),
        }
        if number % 20 == 3:
            error = BackendFailedError(
                "header-missing",
                Failure(source=source.name, hook="build_wheel", status=1),
                "libxml/xmlversion.h",
                "`libxml2-dev` (so it is called on Debian and Ubuntu)",
            )
            return make_outcome(source, error=error, **plain)
        if number % 20 == 11:
            text = "\n".join(f"gcc -c part{line}.c -o part{line}.o" for line in range(30))
            return make_outcome(source, error=make_failure(text, source.name), **plain)
        if number % 50 == 17:
            return make_outcome(source, error=HookError("hook-cancelled", "build_wheel"), **plain)
        artifact = make_artifact(wheel, name=name, version=version, size_bytes=number * 9173 + 500)
        if number % 25 == 9:
            plain = {"is_resumed": True, "notes": ("it was delivered before",)}
        return make_outcome(source, artifacts=(artifact,), **plain)


def check(facts: object) -> None:
    """Fail unless ``facts`` are as the schema of the report says."""
    import_module("jsonschema").validate(facts, JSON_SCHEMA)


def check_event(facts: object) -> None:
    """Fail unless ``facts`` are as the schema of events says."""
    import_module("jsonschema").validate(facts, EVENT_SCHEMA)
