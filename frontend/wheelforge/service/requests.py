"""A request of a client, as JSON: checked, and turned into the words of a command.

A table has a row for each field: its type, the option that it becomes, and whether it is left to
clients that are the server's own user on the same machine. Others may name releases, URLs and
targets, but no paths, programs or variables.
"""

from __future__ import annotations

import hashlib
import re
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wheelforge.service.queue import PRIORITIES
from wheelforge_isolation.formats.urls import file_name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_KINDS = {"sdist", "wheel", "editable", "metadata", "lock"}
_ALONE = ("metadata", "lock")
_HASH = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_LINE = re.compile(r"""(?:[\w.-]+ @ )?[^\s\\#'"$-][^\s\\#'"$]*""")
"""A source that can stand in a requirements file as it is."""
_NAMED = re.compile(r"^[\w.-]+ @ ")
TREE_SUFFIX = ".tree.tar.gz"
"""Ends the names of uploaded archives that are directories of projects, and no sdists."""
LOCK_NAME = "pylock.build.toml"
REQUIREMENTS = "requirements.txt"
_ERAS = {"off", "fallback", "always"}
_PLAIN = re.compile(r"[A-Za-z0-9._+~@:/-]+")
UMASK = 0o022
"""Of builds that are asked for over the API, whatever the umask of the server."""
VARIABLES = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
"""Those of a build whose request says nothing of them."""


class RequestError(Exception):
    """A request makes no sense, or is not this client's to make."""

    def __init__(self, field: str, reason: str, *, is_forbidden: bool = False) -> None:
        super().__init__(f"`{field}`: {reason}" if field else reason)
        self.field = field
        self.is_forbidden = is_forbidden


class Field(NamedTuple):
    """One field of a request."""

    kind: str
    """``text``, ``flag``, ``number``, ``texts``, ``object``."""
    text: str
    option: str = ""
    is_trusted: bool = False
    """Whether only the server's own user may give it."""


FIELDS = {
    "source": Field("text", "a directory, an sdist, a URL, or a release: six==1.17.0"),
    "kinds": Field("texts", "of sdist, wheel, editable, metadata, lock"),
    "hashes": Field("texts", "hashes of which an sdist has one: sha256:1f0c..."),
    "config_settings": Field("object", "for the backend", "--config-json"),
    "target": Field("text", "the name of one of the server's Pythons"),
    "python": Field("text", "a path, or a version like 3.12", "--python", is_trusted=True),
    "variables": Field("object", "all variables of the build", is_trusted=True),
    "output": Field("text", "a directory for the results", is_trusted=True),
    "constraints": Field(
        "texts", "files that limit build requirements", "--build-constraint", is_trusted=True
    ),
    "locked": Field("text", "a lock, which is used as it is", "--locked", is_trusted=True),
    "index_url": Field("text", "the index", "--index-url", is_trusted=True),
    "extra_index_urls": Field("texts", "more indexes", "--extra-index-url", is_trusted=True),
    "find_links": Field("texts", "places with files", "--find-links", is_trusted=True),
    "no_index": Field("flag", "ignore indexes", "--no-index", is_trusted=True),
    "offline": Field("flag", "use only the cache", "--offline"),
    "refresh": Field("flag", "ask the index again", "--refresh"),
    "no_reuse": Field("flag", "build it, whatever was built before", "--no-reuse"),
    "exclude_newer": Field("text", "ignore files published later", "--exclude-newer"),
    "require_hashes": Field("flag", "only files whose hash is stated", "--require-hashes"),
    "era": Field("text", "off, fallback or always", "--era"),
    "timeout": Field("number", "seconds for each hook", "--timeout"),
    "sandbox": Field("text", "auto, strict, tcp-off, none", "--sandbox", is_trusted=True),
    "priority": Field("text", f"one of {', '.join(PRIORITIES)}"),
    "client": Field("text", "a name; clients get equal shares"),
    "detach": Field("flag", "build although nobody waits"),
    "fresh": Field("flag", "build although it has failed a short while ago"),
}
_ABOUT_THE_QUEUE = {"priority", "client", "detach", "fresh", "output"}
_TYPES = {"text": str, "flag": bool, "number": int | float, "texts": list, "object": dict}


class BuildSpec(NamedTuple):
    """A request that makes sense."""

    fields: dict[str, Any]
    python: str | None
    """That of the target."""

    @property
    def label(self) -> str:
        """The source in a word."""
        source = str(self.fields["source"])
        if source.startswith("/"):
            return Path(source).name.removesuffix(TREE_SUFFIX) or "source"
        return file_name_of(source) or "source"

    @property
    def tree(self) -> Path | None:
        """The archive of a directory, which is to be unpacked first."""
        path = Path(str(self.fields["source"]))
        return path if path.name.endswith(TREE_SUFFIX) and path.is_file() else None

    @property
    def command(self) -> str:
        """The command that does it."""
        return "lock" if self.kinds == ["lock"] else "build"

    @property
    def kinds(self) -> list[str]:
        """The kinds of results that were asked for."""
        kinds: list[str] = self.fields.get("kinds", [])
        return kinds

    @property
    def priority(self) -> int:
        """The number of the priority."""
        return PRIORITIES[self.fields.get("priority", "interactive")]

    @property
    def variables(self) -> dict[str, str]:
        """All variables of the build."""
        return {**self.fields.get("variables", VARIABLES)}

    @property
    def is_lasting(self) -> bool:
        """Whether the source cannot change while it is built."""
        source = str(self.fields["source"])
        return not source.startswith("/") or Path(source).is_file()

    def key(self) -> str:
        """Return the key of the build: requests with the same one have the same run."""
        facts = {name: self.fields[name] for name in self.fields.keys() - _ABOUT_THE_QUEUE}
        source = str(self.fields["source"])
        if source.startswith("/"):
            status = Path(source).stat()
            facts["state"] = [status.st_size, status.st_mtime_ns]
        return hashlib.sha256(dumps(facts, sort_keys=True).encode()).hexdigest()

    def list_words(self, place: Path, source: str | None = None) -> list[str]:
        """Return the words of the command that builds this into ``place``.

        The ``source`` is another one where the archive of a directory was unpacked.
        """
        if self.command == "lock":
            words = [f"--output={place / LOCK_NAME}"]
        else:
            kinds = self.kinds or (["wheel"] if self._is_archive else [])
            words = [f"--outdir={place / 'out'}", *(f"--{kind}" for kind in kinds)]
            if "metadata" not in kinds:
                words.append(f"--report={place / 'report.json'}")
        if self.python is not None:
            words.append(f"--python={self.python}")
        for name, value in self.fields.items():
            if FIELDS[name].option:
                words += _list_option(FIELDS[name].option, value)
        if self.fields.get("hashes"):
            return [*words, f"--requirement={place / REQUIREMENTS}"]
        return [*words, source or self.fields["source"]]

    def list_requirements(self) -> str:
        """Return the requirements file that states the hashes of the source; nothing if none is."""
        hashes = self.fields.get("hashes", [])
        words = [str(self.fields["source"]), *(f"--hash={text}" for text in hashes)]
        return f"{' '.join(words)}\n" if hashes else ""

    @property
    def _is_archive(self) -> bool:
        source = str(self.fields["source"])
        return not source.startswith("/") or (Path(source).is_file() and self.tree is None)


def _list_option(option: str, value: object) -> Iterator[str]:
    if isinstance(value, bool):
        if value:
            yield option
    elif isinstance(value, dict):
        yield f"{option}={dumps(value)}"
    else:
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        yield from (f"{option}={each}" for each in values)


class Scope(NamedTuple):
    """The things that a server lets clients name."""

    targets: Mapping[str, str]
    """The Pythons, by their names."""
    find_upload: Callable[[str], Path | None]
    places: Sequence[str] = ()
    """The beginnings of URLs that a stranger may name."""
    sandboxes: Mapping[str, str] = {}
    """Of the targets that have one of their own."""


def read_request(document: object, scope: Scope, *, is_trusted: bool) -> BuildSpec:
    """Return what ``document`` asks for; an error says which field is wrong."""
    if not isinstance(document, dict):
        raise RequestError("", "it is no JSON object")
    fields = cast("dict[str, Any]", document)
    for name, value in fields.items():
        _check_field(name, value, is_trusted=is_trusted)
    _check_choices(fields)
    source = str(fields.get("source", ""))
    if source.startswith("sha256:"):
        found = scope.find_upload(source.partition(":")[2])
        if found is None:
            raise RequestError("source", "no archive with this hash was uploaded")
        fields["source"] = str(found)
    else:
        _check_source(source, None if is_trusted else scope.places)
    target = fields.get("target")
    if target is not None and target not in scope.targets:
        raise RequestError("target", f"the targets are: {', '.join(scope.targets) or 'none'}")
    sandbox = scope.sandboxes.get(target or "")
    if sandbox:
        fields.setdefault("sandbox", sandbox)
    return BuildSpec(fields, scope.targets[target] if target else None)


def _check_field(name: str, value: object, *, is_trusted: bool) -> None:
    field = FIELDS.get(name)
    if field is None:
        raise RequestError(name, "there is no such field")
    if field.is_trusted and not is_trusted:
        reason = "only the server's own user may give it, over the socket"
        raise RequestError(name, reason, is_forbidden=True)
    if not _is_of(field.kind, value):
        raise RequestError(name, f"it must be: {field.text}")


def _is_of(kind: str, value: Any) -> bool:  # ruff: ignore[any-type]
    """Return whether a value has the type of its field; no text may be empty or have a NUL."""
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool) != (kind == "flag"):
        return False
    texts: Any = value if kind == "texts" else [value] if kind == "text" else ["-"]
    try:
        has_nul = rb"\u0000" in dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character
        return False
    return not has_nul and all(isinstance(text, str) and bool(text) for text in texts)


def _check_choices(fields: Mapping[str, Any]) -> None:
    _check_kinds(fields.get("kinds", []))
    if "hashes" in fields:
        _check_hashes(fields["hashes"], str(fields.get("source", "")))
    if fields.get("priority", "set") not in PRIORITIES:
        raise RequestError("priority", f"it is one of {', '.join(PRIORITIES)}")
    if fields.get("era", "off") not in _ERAS:
        raise RequestError("era", f"it is one of {', '.join(sorted(_ERAS))}")
    for name, value in fields.get("variables", {}).items():
        if not isinstance(value, str) or not name or {"=", "\0"} & {*name} or "\0" in value:
            raise RequestError("variables", f"`{name}` is no variable with a text")
    if not str(fields.get("output", "/")).startswith("/"):
        raise RequestError("output", "it must be an absolute path")


def _check_kinds(kinds: Sequence[str]) -> None:
    if not set(kinds) <= _KINDS:
        raise RequestError("kinds", f"they are of {', '.join(sorted(_KINDS))}")
    alone = [kind for kind in _ALONE if kind in kinds]
    if alone and len(kinds) > 1:
        raise RequestError("kinds", f"`{alone[0]}` is asked for alone")


def _check_hashes(hashes: Sequence[str], source: str) -> None:
    if not all(map(_HASH.fullmatch, hashes)):
        raise RequestError("hashes", "each is a SHA-256, SHA-384 or SHA-512, as `sha256:1f0c...`")
    if not _LINE.fullmatch(source):
        raise RequestError("hashes", "the source of which they are has odd characters")


def _check_source(source: str, places: Sequence[str] | None) -> None:
    """Refuse what cannot be a source, and what strangers may not name: they have ``places``."""
    if not source or source.startswith("-"):
        raise RequestError("source", FIELDS["source"].text)
    if source.startswith("/"):
        if places is not None:
            reason = "paths are for the server's own user, over the socket; upload the archive"
            raise RequestError("source", reason, is_forbidden=True)
        if not Path(source).exists():
            raise RequestError("source", f"there is no `{source}`")
    elif "://" in source or (places is not None and "@" in source):
        _check_url(source, places)
    elif source.startswith(".") or "/" in source:
        raise RequestError("source", "a path must be absolute", is_forbidden=places is not None)


def _check_url(source: str, places: Sequence[str] | None) -> None:
    starts = ("https://", "http://") if places is None else tuple(places)
    if places is None and "@" in source.partition("://")[0]:  # a requirement with a URL
        return
    url = _NAMED.sub("", source)
    if not url.startswith(starts) or "/../" in url:
        reason = f"a URL begins with {' or '.join(starts)}"
        raise RequestError("source", reason, is_forbidden=True)
