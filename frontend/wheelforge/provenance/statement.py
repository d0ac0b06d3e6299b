"""The statement about one artifact: an in-toto statement with a predicate of SLSA, as JSON.

It is a view of the key document of the build, which has no secrets, and of where each file of its
environments came from. `wheelforge help provenance` describes the parameters.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

from wheelforge.errors import ProvenanceError
from wheelforge.version import VERSION
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from wheelforge.provenance.origins import WheelOrigins

    Facts = dict[str, Any]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:wheelforge:build:1"
BUILDER = "urn:wheelforge:builder"
_MOST_BYTES = 16 << 20


class Run(NamedTuple):
    """One run of a build, apart from what the result depends on."""

    id: str
    started: str
    finished: str
    log: str
    log_bytes: int
    """How much of the log was written when the artifact was delivered."""
    log_sha256: str


class Subject(NamedTuple):
    """An artifact, its source, and what no key document says of its build."""

    file_name: str
    sha256: str
    source: Mapping[str, str]
    """Its `name` and `uri`, and as far as they are known `sha256`, `gitCommit` and `url`."""
    epoch: str
    backend: str
    sandbox: object
    """That of the hooks, as a report has it."""


def make_statement(document: Facts, subject: Subject, origins: WheelOrigins, run: Run) -> Facts:
    """Return the statement about ``subject``, which was built as ``document`` has it."""
    request, closure = document["request"], document["closure"]
    environments = [closure, *closure.get("before", ())]
    source = _describe_source(subject.source)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject.file_name, "digest": {"sha256": subject.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "source": source,
                    "kind": request["kind"],
                    "configSettings": request["config_settings"],
                    "links": request["links"],
                    "overrides": document["overrides"],
                },
                "internalParameters": {
                    **{name: document[name] for name in ("interpreter", "platform", "toolchain")},
                    "variables": document["environment"],
                    "policy": document["policy"],
                    "sourceDateEpoch": subject.epoch,
                    "backend": subject.backend,
                    "sandbox": subject.sandbox or None,
                    "constraints": closure["constraints"],
                    "environments": list(map(_describe_environment, environments)),
                },
                "resolvedDependencies": [
                    source,
                    *_list_wheels(environments, origins),
                    _describe_interpreter(document["interpreter"]),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"wheelforge": VERSION}},
                "metadata": {
                    "invocationId": run.id,
                    "startedOn": run.started,
                    "finishedOn": run.finished,
                },
                "byproducts": _describe_byproducts(document, run),
            },
        },
    }


def encode(statement: Facts) -> bytes:
    """Return a statement as it is written and signed."""
    # Indented, it would be written by Python code, and take ten times as long.
    return json.dumps(statement, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def make_purl(name: str, version: str, file_name: str = "") -> str:
    """Return the package URL of a release, or of a file of it."""
    more = f"?file_name={quote(file_name, safe='')}" if file_name else ""
    return f"pkg:pypi/{quote(name, safe='')}@{quote(version, safe='')}{more}"


def _describe_source(source: Mapping[str, str]) -> Facts:
    digest = {key: source[key] for key in ("sha256", "gitCommit") if source.get(key)}
    found: Facts = {"name": source["name"], "uri": source["uri"]}
    found |= {"digest": digest} if digest else {"annotations": {"pinned": False}}
    if source.get("url"):
        found["downloadLocation"] = source["url"]
    return found


def _describe_environment(environment: Facts) -> Facts:
    wheels: Facts = environment["wheels"]
    return {
        "requires": [redact(text) for text in environment["requires"]],
        "wheels": [wheel["sha256"] for wheel in wheels.values()],
    }


def _list_wheels(environments: Iterable[Facts], origins: WheelOrigins) -> list[Facts]:
    """Return every wheel of the environments, each once, and where it has come from."""
    found: dict[str, Facts] = {}
    for environment in environments:
        for name, wheel in environment["wheels"].items():
            sha256 = wheel["sha256"]
            facts: Facts = {
                "name": wheel["file"],
                "uri": make_purl(name, wheel["version"], wheel["file"]),
                "digest": {"sha256": sha256},
            }
            origin = origins.find(sha256)
            if origin is not None and origin.is_built:
                digest = {"digest": {"sha256": origin.sdist}} if origin.sdist else {}
                facts["annotations"] = {
                    "builtFrom": {"uri": origin.url, **digest},
                    **({"statement": {"sha256": origin.statement}} if origin.statement else {}),
                }
            elif origin is not None:
                facts["downloadLocation"] = origin.url
            found[sha256] = facts
    return sorted(found.values(), key=itemgetter("name"))


def _describe_interpreter(interpreter: Facts) -> Facts:
    name, version = str(interpreter["implementation"]).lower(), interpreter["version"]
    return {
        "name": interpreter["executable"],
        "uri": f"pkg:generic/{quote(name, safe='')}@{quote(version, safe='')}",
        "annotations": {"identity": interpreter["identity"], "abi": interpreter["abi"]},
    }


def _describe_byproducts(document: Facts, run: Run) -> list[Facts]:
    content = json.dumps(document, sort_keys=True).encode()
    log: Facts = {"name": run.log, "mediaType": "text/plain", "digest": {"sha256": run.log_sha256}}
    return [
        {**log, "annotations": {"bytes": run.log_bytes}},
        {
            "name": "key-document.json",
            "mediaType": "application/json",
            "digest": {"sha256": hashlib.sha256(content).hexdigest()},
        },
    ]


class Statement:
    """A statement that was read, as far as it is needed to build the same again."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        """Of the file, for messages."""
        self.content = content
        self.facts = parse_object(name, content)
        kinds = (self.facts.get("_type"), self.facts.get("predicateType"))
        if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise ProvenanceError("provenance-invalid", name, "it is no statement of provenance")
        with reading_facts(name):
            self._read()
        if self.build_type != BUILD_TYPE:
            reason = f"it is about another kind of build, `{self.build_type}`"
            raise ProvenanceError("provenance-invalid", name, reason)

    def _read(self) -> None:
        predicate = self.facts["predicate"]
        definition = predicate["buildDefinition"]
        (subject,) = self.facts["subject"]
        self.subject: tuple[str, str] = (subject["name"], subject["digest"]["sha256"])
        self.build_type: str = definition["buildType"]
        self.external: Facts = definition["externalParameters"]
        self.internal: Facts = definition["internalParameters"]
        self.dependencies: list[Facts] = definition["resolvedDependencies"]
        self.byproducts: list[Facts] = predicate["runDetails"].get("byproducts", [])
        self.source: Facts = self.external["source"]

    @property
    def sha256(self) -> str:
        """The digest by which others refer to it."""
        return hashlib.sha256(self.content).hexdigest()


@contextlib.contextmanager
def reading_facts(name: str) -> Generator[None]:
    """Refuse the file called ``name`` where facts in it are not what they are taken for inside."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"a part of it makes no sense: {type(error).__name__}: {error}"
        raise ProvenanceError("provenance-invalid", name, reason) from error


def parse_object(name: str, content: bytes) -> Facts:
    """Return the JSON object in a file called ``name``."""
    reason = "it is no JSON object"
    if len(content) > _MOST_BYTES:
        raise ProvenanceError("provenance-invalid", name, "it is too large")
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProvenanceError("provenance-invalid", name, reason) from error
    if not isinstance(found, dict):
        raise ProvenanceError("provenance-invalid", name, reason)
    return cast("Facts", found)
