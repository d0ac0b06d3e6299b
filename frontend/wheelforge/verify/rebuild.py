"""The build that a statement tells of, made once more with the same files."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wheelforge.build.forge import open_forge
from wheelforge.build.sources import fetch_source, parse_source
from wheelforge.build.targets import find_layout, find_python, open_index, read_index_settings
from wheelforge.errors import ProvenanceError
from wheelforge.hooks.environ import compose_environment
from wheelforge.lockfile import Lock, LockedAnswer, LockedSource, Source, describe_python
from wheelforge.lockfile.model import normalize_label, normalize_requirements
from wheelforge.models import BuildRequest, Era, Kind, Policy, Reuse
from wheelforge.provenance.options import Provenance, Sbom
from wheelforge.provenance.statement import reading_facts
from wheelforge.resolve import Pin
from wheelforge.verify.attestations import Attested, check_attestations
from wheelforge_isolation import Links, digest
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_sdist_name, parse_wheel_name
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelforge.events import Reporter
    from wheelforge.models import Artifact
    from wheelforge.provenance.statement import Statement
    from wheelforge.settings import Settings
    from wheelforge_isolation import Layout

    Facts = dict[str, Any]


class Rebuild:
    """Builds wheels again, as their statements have them, under ``settings``.

    Files of the ``sources`` are used for sdists that have the digests stated.
    """

    def __init__(self, settings: Settings, sources: Sequence[Path], reporter: Reporter) -> None:
        self._settings = settings
        self._sources = sources
        self._reporter = reporter
        self._layout = find_layout(settings.cache_dir)

    def find_source(self, statement: Statement, place: Path) -> Path | str:
        """Return the source that a statement names: an sdist, put into ``place``, or a commit."""
        with reading_facts(statement.name):
            self._check_possible(statement)
            found = self._find_source(statement)
        if isinstance(found, Path) or found.startswith("git+"):
            return found
        with open_index(self._settings, find_python(self._settings, self._layout)) as index:
            return fetch_source(parse_source(found), index, place).path

    def check_source(self, statement: Statement, source: Path | str) -> Attested:
        """Check the attestations of the sdist that a wheel was built from, if an index has some."""
        if isinstance(source, str) or self._settings.offline:
            return Attested()
        try:
            project = parse_sdist_name(source.name).name
        except FormatError:  # no index has it
            return Attested()
        sha256 = statement.source["digest"]["sha256"]
        return check_attestations(source, project, read_index_settings(self._settings), sha256)

    def run(self, statement: Statement, source: Path | str, output: Path) -> Artifact:
        """Build the wheel of a statement into ``output``, with a statement of its own."""
        with reading_facts(statement.name):
            settings, request = self._prepare(statement, source, output)
        with open_forge(settings, reporter=self._reporter) as forge:
            return forge.build(request).artifacts[-1]

    def _check_possible(self, statement: Statement) -> None:
        """Refuse a statement of what is not built again, before anything is fetched for it."""
        if statement.external["kind"] != Kind.WHEEL.value:
            raise _impossible(statement, "only wheels are")
        if statement.external["overrides"] and self._settings.overrides is None:
            raise _impossible(statement, "it was built with overrides; name them: --overrides")

    def _prepare(
        self, statement: Statement, source: Path | str, output: Path
    ) -> tuple[Settings, BuildRequest]:
        external, internal = statement.external, statement.internal
        request = BuildRequest(
            source=source,
            output=output,
            kinds=(Kind.WHEEL,),
            hashes=_list_hashes(statement.source),
            config_settings=external["configSettings"],
            links=None if external["links"] == "default" else Links(external["links"]),
            variables=self._list_variables(internal["variables"]),
        )
        version = ".".join(internal["interpreter"]["version"].split(".")[:2])
        settings = replace(self._settings, python=self._settings.python or version)
        had_sandbox = bool(as_table(internal.get("sandbox")).get("level"))
        is_plain = self._settings.sandbox.wanted == "none"
        settings = replace(
            settings,
            lock=self._make_lock(statement, request, settings),
            policy=Policy(
                reuse=Reuse.OFF,
                era=Era.OFF,
                source_date_epoch=internal["sourceDateEpoch"] or None,
                timeout_seconds=self._settings.policy.timeout_seconds,
                umask=int(as_table(internal["policy"]).get("umask", "022"), 8),
            ),
            provenance=Provenance(
                statements=True,
                sbom=Sbom(as_table(internal["policy"]).get("sbom", Sbom.OFF.value)),
            ),
        )
        if had_sandbox and is_plain:
            sandbox = replace(settings.sandbox, wanted="auto")
            settings = replace(settings, sandbox=sandbox)
        return settings, request

    def _find_source(self, statement: Statement) -> Path | str:
        """Return where the source is: here, in the cache, where it came from, or on the index."""
        source = statement.source
        pinned: Mapping[str, str] = source.get("digest", {})
        url, name = str(source.get("downloadLocation", "")), str(source["name"])
        if commit := pinned.get("gitCommit"):
            return f"git+{url}@{commit}"
        sha256 = pinned.get("sha256", "")
        if not sha256:
            raise _impossible(statement, "the content of its source is not pinned")
        places = [
            *self._sources,
            *(path / name for path in self._sources if path.is_dir()),
            self._layout.file(sha256, name),
        ]
        for path in places:
            with contextlib.suppress(OSError):
                if path.is_file() and digest(path) == sha256:
                    return path
        if url:
            return url
        release = parse_sdist_name(name)
        return f"{release.name}=={release.version}"

    def _list_variables(self, recorded: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of hooks: those recorded, or of the same names where they are here.

        The values of what may be a secret are not in a statement.
        """
        here = compose_environment(self._settings.variables)
        found = dict(recorded)
        for name, value in recorded.items():
            if value.startswith("hmac:"):
                del found[name]
                found |= {name: here[name]} if name in here else {}
        return found

    def _make_lock(self, statement: Statement, request: BuildRequest, settings: Settings) -> Lock:
        """Return a lock with just the wheels that a statement names."""
        files = {each["digest"]["sha256"]: each for each in _list_wheels(statement)}
        answers = [
            LockedAnswer(
                requirements=normalize_requirements(environment["requires"]),
                pins=tuple(
                    sorted(_make_pin(statement, files[sha256], self._layout) for sha256 in
                           cast("list[str]", environment["wheels"]))
                ),
            )
            for environment in statement.internal["environments"]
        ]  # fmt: skip
        pinned = statement.source["digest"]
        source = Source(
            label=normalize_label(request.label),
            sha256=pinned.get("sha256", ""),
            commit=pinned.get("gitCommit", ""),
        )
        python = describe_python(find_python(settings, self._layout))
        locked = LockedSource(source, python, tuple(answers))
        return Lock(sources=(locked,), name=statement.name)


def _list_wheels(statement: Statement) -> list[Facts]:
    return [each for each in statement.dependencies if each["name"].endswith(".whl")]


def _list_hashes(source: Facts) -> tuple[str, ...]:
    sha256 = source.get("digest", {}).get("sha256")
    return (f"sha256:{sha256}",) if sha256 else ()


def _make_pin(statement: Statement, wheel: Facts, layout: Layout) -> Pin:
    """Return a wheel of an environment, which has to be in the cache if it was built here."""
    name, sha256 = parse_wheel_name(wheel["name"]), wheel["digest"]["sha256"]
    url = wheel.get("downloadLocation", "")
    if not url:
        path = layout.file(sha256, wheel["name"])
        if not path.is_file():
            reason = f"`{wheel['name']}` was built for it, and is not in this cache"
            raise _impossible(statement, reason)
        url = path.as_uri()
    return Pin(
        name=name.name,
        version=str(name.version),
        file_name=wheel["name"],
        url=url,
        sha256=sha256,
        origin=statement.name,
        is_wheel=True,
        accepted=(f"sha256:{sha256}",),
    )


def _impossible(statement: Statement, reason: str) -> ProvenanceError:
    return ProvenanceError("rebuild-impossible", statement.name, reason)
