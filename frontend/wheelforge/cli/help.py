"""``wheelforge help`` and ``wheelforge explain``: the reference texts, without a network.

The texts are the Markdown files in ``wheelforge/help``; tests hold them to the code.
"""

from __future__ import annotations

import contextlib
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from typing import TYPE_CHECKING

from wheelforge.build.targets import find_layout
from wheelforge.cli.argument_types import suggest
from wheelforge.cli.arguments import parse_words
from wheelforge.errors import UsageError
from wheelforge_isolation import ForgeError
from wheelforge_isolation.formats.requirements import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from wheelforge.cli.command_options import CommandOptions

TOPICS = {
    "build": "sources, options, locks, and how a build runs",
    "batch": "many sources, Pythons and cores",
    "cluster": "builds by the workers of a Dask cluster",
    "config": "defaults from files, and which value is in force",
    "serve": "a server that builds for its clients, and its API",
    "team": "a server for many: units, a container, a proxy with TLS",
    "index": "wheels that are built when pip and uv ask for them",
    "overrides": "other requirements, variables, patches and metadata for single packages",
    "ci": "GitHub, GitLab, Jenkins, tox, nox, pre-commit, Docker, cibuildwheel",
    "remote": "wheels that machines share, and the keys that they trust",
    "provenance": "statements of what artifacts were built of, signatures, what is in a wheel",
    "reports": "JSON, HTML, JUnit and events",
    "errors": "exit codes, and every error code",
    "unpack": "links, modes, limits, and what is refused",
    "cache": "what is kept, and how to clean up",
    "security": "who is kept from what",
    "library": "wheelforge in your own program",
}
_ROW = re.compile(r"^\| `([\w-]+)` \| (\d+) \| (.+) \|$", re.MULTILINE)
_RULE = re.compile(r"^- \*\*(\w+)\*\*: (.+)$", re.MULTILINE)
_CURE = re.compile(r"^\| ((?:`[\w-]+`(?:, )?)+) \| ([^|]+) \|$", re.MULTILINE)


def show_topic(options: CommandOptions) -> None:
    """Print a reference text, or the list of them."""
    if options.topic:
        _check_known("topic", options.topic, TOPICS)
        sys.stdout.write(_read_topic(options.topic))
        return
    width = max(map(len, TOPICS))
    lines = [f"  {name:{width}}  {text}\n" for name, text in TOPICS.items()]
    sys.stdout.writelines(["Topics of `wheelforge help TOPIC`:\n\n", *lines])


def explain_code(options: CommandOptions) -> None:
    """Print the meaning of an error code, its exit code, and what helps."""
    code = options.code.strip("[]").lower().replace("_", "-")
    if re.fullmatch(r"[a-z]+\d+", code):
        _explain_rule(code.upper())
        return
    meanings = read_codes()
    _check_known("code", code, meanings, "`wheelforge help errors` lists all codes")
    exit_code, meaning = meanings[code]
    sys.stdout.write(f"{code}, exit code {exit_code}: {meaning}\n")
    for codes, cure in _CURE.findall(_read_topic("errors")):
        if f"`{code}`" in codes:
            sys.stdout.write(f"try: {cure}\n")


def _explain_rule(rule: str) -> None:
    """Print a rule that messages about archives name at their end."""
    text = files("wheelforge_isolation").joinpath("archive", "RULES.md").read_text(encoding="utf-8")
    rules = dict(_RULE.findall(text))
    _check_known("rule", rule, rules, "messages about archives end in one, as `[F21]`")
    sys.stdout.write(f"{rule}, a rule for archives: {rules[rule]}\n")


def read_codes() -> dict[str, tuple[str, str]]:
    """Return the exit code and the meaning of each error code."""
    rows = _ROW.findall(_read_topic("errors"))
    return {code: (exit_code, meaning) for code, exit_code, meaning in rows}


def show_surroundings() -> None:
    """Print the versions that a report of a problem needs."""
    sys.stdout.write(f"Python {platform.python_version()} ({sys.executable})\n")
    sys.stdout.write(f"platform {platform.platform()}\n")
    sys.stdout.write(f"cache {_find_cache()}\n")
    for text in distribution("wheelforge").requires or ():
        name = parse_requirement(text).name
        with contextlib.suppress(PackageNotFoundError):  # that of an extra
            sys.stdout.write(f"{name} {distribution(name).version}\n")


def _find_cache() -> Path | ForgeError:
    """Return where the cache of a build would be, or why it cannot be told."""
    try:
        return find_layout(parse_words(["cache", "dir"]).cache_dir).root
    except ForgeError as error:
        return error


def _check_known(what: str, name: str, known: Collection[str], otherwise: str = "") -> None:
    if name not in known:
        guess = suggest(name, known, otherwise or f"there are {', '.join(known)}")
        raise UsageError("option-invalid", name, f"no such {what}; {guess}")


def _read_topic(name: str) -> str:
    return files("wheelforge").joinpath("help", f"{name}.md").read_text(encoding="utf-8")
