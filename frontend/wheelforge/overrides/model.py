"""All overrides of a run, and those that are in force for one release.

Files have ranks, later ones the higher. Of two values for a key the one of the later file counts;
two of the same file that are about the same release contradict each other, which is an error.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from wheelforge.errors import UsageError
from wheelforge.hooks.environ import share_jobs
from wheelforge.models import AppliedOverride
from wheelforge.overrides.entries import Entry, Setting, read_entries
from wheelforge.overrides.toml_file import TomlFile, open_config
from wheelforge_isolation.formats.requirements import find_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from wheelforge.overrides.entries import Key


_MATCH = ("build-requires", "match")
_OF_OTHERS = ("remove", "replace", "match")
"""The keys that are about requirements which something else has."""


class Chosen(NamedTuple):
    """The value in force for a key, and the entry that it is from."""

    setting: Setting
    entry: Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """The values in force for one release; an empty one changes nothing."""

    name: str = ""
    version: str = ""
    values: Mapping[Key, Chosen] = field(default_factory=dict["Key", Chosen])

    def texts(self, *key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return cast("tuple[str, ...]", self.value(*key) or ())

    def value(self, *key: str) -> object:
        """Return one value, nothing where there is none."""
        chosen = self.values.get(key)
        return None if chosen is None else chosen.setting.value

    def table(self, name: str) -> dict[str, object]:
        """Return the values below a name."""
        return {key[1]: each.setting.value for key, each in self.values.items() if key[0] == name}

    @property
    def variables(self) -> dict[str, str]:
        """The variables of hooks that it sets."""
        own = {name: str(text) for name, text in self.table("environment").items()}
        jobs = cast("int | None", self.value("limits", "jobs"))
        limit = {} if jobs is None else {**share_jobs(jobs), "MAKEFLAGS": f" -j{jobs}"}
        return {**limit, **own}

    def change(self, texts: Iterable[str], *key: str, adds: bool = True) -> frozenset[str]:
        """Return requirements as `replace`, `remove` and `add` below ``key`` have them."""
        instead: dict[str, list[str]] = {name: [] for name in self.texts(*key, "remove")}
        for text in self.texts(*key, "replace"):
            instead.setdefault(find_name(text), []).append(text)
        changed = {new for text in texts for new in instead.get(find_name(text), [text])}
        return frozenset(changed | {*self.texts(*key, "add")} if adds else changed)

    def match(self, versions: Mapping[str, str]) -> tuple[str, ...]:
        """Return the requirements whose versions are those of a set; one may not be known yet."""
        names = [name for name in self.texts(*_MATCH) if name in versions]
        return tuple(f"{name}=={versions[name]}".removesuffix("==") for name in names)

    def list_unmatched(self, versions: Mapping[str, str]) -> list[str]:
        """Return the names to be matched of which the set has no version, though it has to."""
        names = self.texts(*_MATCH)
        return [] if names and self.forgives(*_MATCH) else [*{*names} - {*versions}]

    def refuses_reuse(self, versions: Mapping[str, str]) -> bool:
        """Return whether no wheel of an earlier build is taken, or only a build may say why not."""
        is_never = self.value("reuse") is False or self.value("build") == "never"
        return is_never or bool(self.list_unmatched(versions))

    def check_matched(self, versions: Mapping[str, str]) -> None:
        """Refuse names to be matched of which the set has no version."""
        for name in self.list_unmatched(versions):
            reason = f"no version of `{name}` is known: build a set that has it"
            raise self.fail(f"{reason}, by `--with-deps` or the lock of a project", *_MATCH)

    def check_used(self, required: Iterable[str], made_of: Iterable[str], *key: str) -> None:
        """Refuse requirements to be replaced or removed that nothing asks for."""
        for name in self.list_unused(required, made_of, *key):
            last = next(each for each in _OF_OTHERS if name in self._list_names(*key, each))
            if not self.forgives(*key, last):
                raise self.fail(f"nothing requires `{name}`", *key, last)

    def list_unused(self, required: Iterable[str], made_of: Iterable[str], *key: str) -> list[str]:
        """Return the names in `replace` and `remove` that nothing asks for, or asked for."""
        known = {find_name(text) for text in required}
        wanted = (*self._list_names(*key, "replace"), *self._list_names(*key, "match"))
        missing = [name for name in dict.fromkeys(wanted) if name not in {*known, *made_of}]
        return missing + [name for name in self.texts(*key, "remove") if name not in known]

    def _list_names(self, *key: str) -> list[str]:
        return list(map(find_name, self.texts(*key)))

    def fail(self, reason: str, *key: str) -> UsageError:
        """Return the error to raise where a value cannot be applied."""
        entry = self.values[key].entry
        where = f"`{entry.name}`" + (f" {self.version}" if self.version else "")
        what = f"{'.'.join(key)} of {where}: {reason}"
        return UsageError("override-failed", str(entry.file.path), entry.line(*key), what)

    def forgives(self, *key: str) -> bool:
        """Return whether a value may be without effect."""
        return self.values[key].entry.ignores_missing

    def list_applied(self) -> tuple[AppliedOverride, ...]:
        """Return each entry that is in force, with what of it is."""
        entries = {id(each.entry): each.entry for _, each in sorted(self.values.items())}
        return tuple(
            AppliedOverride(
                package=entry.name,
                versions=str(entry.versions),
                file=entry.file.path,
                line=entry.line(),
                keys=tuple(
                    ".".join(key)
                    for key, each in sorted(self.values.items())
                    if each.entry is entry
                ),
                reason=entry.reason,
            )
            for entry in entries.values()
        )


class Overrides:
    """The entries of all files, in the order of their ranks."""

    def __init__(self, ranks: Iterable[Iterable[Entry]]) -> None:
        self._entries: dict[str, list[tuple[int, Entry]]] = {}
        for rank, entries in enumerate(ranks):
            for entry in entries:
                self._entries.setdefault(entry.name, []).append((rank, entry))
        facts = [
            (
                rank,
                name,
                str(each.versions),
                str(each.when),
                each.ignores_missing,
                sorted(each.settings.items()),
            )
            for name, ranked in sorted(self._entries.items())
            for rank, each in ranked
        ]
        self.digest = hashlib.sha256(repr(facts).encode()).hexdigest()
        """The same for overrides that do the same, the contents of patches included."""
        matching = (
            each.settings.get(_MATCH) for ranked in self._entries.values() for _, each in ranked
        )
        self.matched = frozenset(
            name
            for setting in matching
            if setting
            for name in cast("tuple[str, ...]", setting.value)
        )
        """The names that some builds have in the versions of their set."""

    def list_ranks(self) -> list[list[Entry]]:
        """Return all entries by their ranks, as they were given."""
        ranked = [pair for pairs in self._entries.values() for pair in pairs]
        most = max((rank for rank, _ in ranked), default=-1)
        return [[entry for own, entry in ranked if own == rank] for rank in range(most + 1)]

    def find(self, name: str, version: str, markers: Mapping[str, str]) -> Override:
        """Return the values in force for one release, on the Python with those ``markers``."""
        values: dict[Key, Chosen] = {}
        ranks: dict[Key, int] = {}
        for rank, entry in self._entries.get(name, ()):
            if not entry.matches(name, version, markers):
                continue
            for key, setting in entry.settings.items():
                if ranks.get(key) == rank:
                    other = values[key].entry
                    reason = f"`{'.'.join(key)}` of `{name}` is set in line {other.line(*key)} too"
                    reason += f", and both are about {version or 'every version'}"
                    raise UsageError(
                        "overrides-invalid", str(entry.file.path), entry.line(*key), reason
                    )
                values[key], ranks[key] = Chosen(setting, entry), rank
        return Override(name=name, version=version, values=values)

    def choose_matched(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Return those of the versions of a set that some builds have to have."""
        return {name: text for name, text in versions.items() if name in self.matched}

    def refuses_wheel(self, markers: Mapping[str, str], name: str, version: str) -> bool:
        """Return whether a release has to be built although there is a wheel of it."""
        return self.find(name, version, markers).value("build") == "from-source"


def read_overrides(configs: Iterable[Path], files: Iterable[Path]) -> Overrides | None:
    """Return the entries of configuration files and, above them, of files of overrides."""
    ranks = [list(_read_config(path)) for path in configs]
    ranks += [list(_read_own(path)) for path in files]
    return Overrides(ranks) if any(ranks) else None


def _read_own(path: Path) -> Iterator[Entry]:
    file = TomlFile(path, "overrides-invalid")
    yield from read_entries(file, file.content, is_own=True)


def _read_config(path: Path) -> Iterator[Entry]:
    file, table = open_config(path)
    yield from read_entries(file, table, is_own=False)
