"""``wheelforge verify``: wheels held against their statements, a policy, and a rebuild."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.build.targets import find_layout, find_python, open_index
from wheelforge.cli.console import Console
from wheelforge.cli.settings import find_overrides, make_places
from wheelforge.errors import ServiceError, UsageError
from wheelforge.hooks.sandbox.settings import SandboxSettings
from wheelforge.models import Policy
from wheelforge.verify.check import Verification, Verifier
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.provenance.policy import Policy as Demands

_MOST_SHOWN = 20


def run_verify(options: CommandOptions) -> int:
    """Verify each wheel, say how far it is the same, and return the highest exit code."""
    if options.against == "index" and options.no_rebuild:
        raise UsageError("option-invalid", "--no-rebuild", "`--against index` builds nothing")
    console, found = Console(options.verbosity), list[Verification]()
    with console.watch(), _open_verifier(options, console) as verifier:
        for wheel in options.wheels:
            found.append(verifier.verify(wheel))
            if not options.json:
                _show(found[-1], console)
    if options.json:
        text = json.dumps(list(map(_describe, found)), indent=2, ensure_ascii=False)
        console.print_data(f"{text}\n")
    return max(each.exit_code(verifier.policy.at_least) for each in found)


@contextlib.contextmanager
def _open_verifier(options: CommandOptions, console: Console) -> Generator[Verifier]:
    settings = replace(
        make_places(options),
        python=(options.pythons or [None])[0],
        overrides=find_overrides(options),
        policy=Policy(timeout_seconds=options.timeout),
        sandbox=SandboxSettings(wanted=options.sandbox, required=options.require_sandbox),
    )
    policy = _read_policy(options.policy) if options.policy else None
    if options.against == "index":
        python = find_python(settings, find_layout(settings.cache_dir))
        with open_index(settings, python) as index:
            yield Verifier(policy, index=index, log=options.log)
        return
    rebuild = None
    if not options.no_rebuild:
        from wheelforge.verify.rebuild import Rebuild

        rebuild = Rebuild(settings, options.source or (), console.on_event)
    yield Verifier(policy, rebuild=rebuild, log=options.log)


def _read_policy(path: Path) -> Demands:
    from wheelforge.provenance.policy import read_policy

    try:
        return read_policy(path)
    except ModuleNotFoundError as error:
        raise ServiceError("extra-missing", "sign", str(error)) from error


def _show(found: Verification, console: Console) -> None:
    """Print the verdict, and for people what differs."""
    console.print_data(f"{found.verdict} {found.wheel}\n")
    if found.error is not None:
        console.show_error(found.error)
    for publisher in found.attested.publishers:
        who = f"`{found.attested.file}` is attested on its index by {publisher}"
        console.say("note", escape_line(who))
    if found.attested.note:
        console.say("note", escape_line(found.attested.note))
    differences = found.comparison.differences if found.comparison else ()
    for each in differences[:_MOST_SHOWN]:
        console.say("note", f"`{escape_line(each.path)}`: {escape_line(each.text)}")
    if len(differences) > _MOST_SHOWN:
        console.say("note", f"{len(differences) - _MOST_SHOWN} more files differ")
    if differences and found.circumstances:
        places = ", ".join(found.circumstances[:_MOST_SHOWN])
        console.say("note", f"other than when it was built: {escape_line(places)}")


def _describe(found: Verification) -> dict[str, object]:
    differences = found.comparison.differences if found.comparison else ()
    return {
        "wheel": str(found.wheel),
        "verdict": found.verdict,
        "signed_by": found.key or None,
        "attested_file": found.attested.file or None,
        "attested_by": list(found.attested.publishers),
        "attestation_note": found.attested.note or None,
        "differences": [each._asdict() for each in differences],
        "circumstances": list(found.circumstances),
        "error": found.error and {"code": found.error.code, "message": str(found.error)},
    }
