"""Mistakes on the command line, answered with the word that is meant or with what there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from wheelforge.cli.argument_types import suggest
from wheelforge.errors import UsageError
from wheelforge_isolation.formats.text import find_meant

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

_SPELLED_ELSEWHERE = {
    "--no-build-isolation": "--no-isolation",
    "--config-settings": "--config-setting",
    "--build-constraints": "--build-constraint",
    "--constraint": "--build-constraint",
    "-c": "--build-constraint",
    "--out-dir": "--outdir",
    "--output-dir": "--outdir",
    "--output": "--outdir",
    "--wheel-dir": "--outdir",
    "-d": "--outdir",
    "-e": "--editable",
    "--no-cache-dir": "--no-cache",
    "--no-build-logs": "--quiet",
    "--python-version": "--python",
    "--default-index": "--index-url",
    "--index": "--extra-index-url",
    "--requirements": "--requirement",
    "--parallel": "--jobs",
    "--dry-run": "--plan",
    "--locked": "builds use a lock, and `wheelforge lock --check` compares with one",
    "--no-deps": "nothing else is built unless `--with-deps` is given",
    "--only-binary": "with `--with-deps` wheels are taken wherever there are any",
    "--pre": "name the pre-release: `NAME==VERSION`",
    "--use-pep517": "every build is one by PEP 517",
    "--force-pep517": "every build is one by PEP 517",
    "--trusted-host": "set pip's `PIP_TRUSTED_HOST`, or `trusted-host` in pip.conf",
    "--cert": "set pip's `PIP_CERT`, or `cert` in pip.conf",
    "--proxy": "set `HTTPS_PROXY`, or `proxy` in pip.conf",
    "--color": "`NO_COLOR=1` turns colours off, `FORCE_COLOR=1` on",
    "--no-color": "`NO_COLOR=1` turns colours off",
}
"""Options of pip, uv and build: what they are called here, or what there is instead."""
_COMMANDS_ELSEWHERE = {
    "version": "did you mean `wheelforge --version`?",
    "wheel": "did you mean `wheelforge SRC --wheel`?",
    "sdist": "did you mean `wheelforge SRC --sdist`?",
    "clean": "did you mean `cache clear`?",
    "list": "did you mean `cache list`?",
    "download": "did you mean `fetch`?",
    "install": "wheels are built here, and installed by `pip install`",
    "publish": "wheels are built here, and uploaded by `twine upload`",
    "upload": "wheels are built here, and uploaded by `twine upload`",
}
"""Commands of other tools, all of which are projects on PyPI, too: none is built unawares."""
_PLAINER = (
    (r"expected one argument", r"it needs a value"),
    (r"ignored explicit argument .*", r"it takes no value"),
    (r"not allowed with argument (.*)", r"it cannot be combined with `\1`"),
    (r"the following arguments are required: (.*)", r"it needs \1"),
)
_CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")


def reject_command(word: str, known: Collection[str]) -> None:
    """Refuse a word that is meant as a command, and may be the name of a release, too."""
    guess = _COMMANDS_ELSEWHERE.get(word) or suggest(word, known, "", alike=0.75)
    if guess:
        hint = f"(`wheelforge build {word}` builds the release on the index)"
        reason = f"no such command, file or directory; {guess} {hint}"
        raise UsageError("option-invalid", word, reason)


def reject_option(word: str, parser: argparse.ArgumentParser) -> NoReturn:
    """Refuse a word that no option and no argument of a command takes."""
    option = word.partition("=")[0]
    if not option.startswith("-"):
        from wheelforge_isolation.formats.urls import redact

        reason = f"`{parser.prog}` takes no such argument"
        raise UsageError("option-invalid", redact(word), reason)
    known = [name for action in parser._actions for name in action.option_strings]  # ruff: ignore[private-member-access]
    right = _SPELLED_ELSEWHERE.get(option, "")
    if right.startswith("-"):
        right = f"did you mean `{right}`?" if right in known else ""
    if not right:
        # Without dashes, or all options would be alike.
        names = [name[2:] for name in known if name.startswith("--")]
        otherwise = f"`{parser.prog} --help` lists them"
        right = suggest(option.lstrip("-"), names, "", alike=0.7, prefix="--")
        # A mistyped option of another tool, as `--dry-runn`, is alike to none of these.
        elsewhere = find_meant(option, _SPELLED_ELSEWHERE, 0.85) if not right else ""
        meant = _SPELLED_ELSEWHERE.get(elsewhere, "")
        right = right or (f"did you mean `{meant}`?" if meant in known else otherwise)
    raise UsageError("option-invalid", option, f"`{parser.prog}` has no such option; {right}")


def reject_value(message: str, program: str) -> NoReturn:
    """Refuse what argparse refuses, in plain words."""
    found = re.fullmatch(r"argument ([^:]+): (.*)", message, re.DOTALL)
    option, reason = found.groups() if found else (program, message)
    for pattern, plainer in _PLAINER:
        reason = re.sub(f"^{pattern}$", plainer, reason)
    choice = _CHOICE.fullmatch(reason)
    if choice:
        reason = explain_choice(choice[1], choice[2].replace("'", "").split(", "))
    raise UsageError("option-invalid", option, reason)


def explain_choice(text: str, choices: Collection[str]) -> str:
    """Return why ``text`` is refused where there are some ``choices``."""
    return f"`{text}` is not one of {', '.join(choices)}"
