"""From words to a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.batch import (
    BatchOptions,
    BuildInput,
    make_input,
    parse_names,
    read_requirements,
    run_batch,
)
from wheelforge.cli.argument_types import read_source
from wheelforge.cli.settings import make_requests, make_settings
from wheelforge.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from wheelforge.events import Reporter
    from wheelforge.models import Outcome


def build_many(
    options: argparse.Namespace, reporter: Reporter, on_outcome: Callable[[Outcome], None]
) -> None:
    """Build all that is named, several at a time; ``on_outcome`` is told how each has ended."""
    _refuse_nonsense(options)
    inputs = _list_inputs(options)
    run_batch(inputs, make_settings(options), _make_options(options, inputs), reporter, on_outcome)


def _make_options(options: argparse.Namespace, inputs: list[BuildInput]) -> BatchOptions:
    return BatchOptions(
        pythons=tuple(dict.fromkeys(options.pythons or [None])),
        # One directory holds one environment at a time.
        at_once=1 if options.env_dir else options.jobs or 0,
        keeps_going=not options.fail_fast and (options.keep_going or len(inputs) > 1),
        resumes=options.resume,
        with_dependencies=options.with_deps,
        no_binary=parse_names(options.no_binary or ()),
    )


def _list_inputs(options: argparse.Namespace) -> list[BuildInput]:
    """Return what is to be built, in the order in which it was named."""
    stated = read_requirements(options.requirement or ())
    named = list(options.sources or ())
    if options.requirement:
        named = [*named, *map(read_source, stated.texts)]
        if not named:
            return []
    options.sources = named
    hashes: list[tuple[str, ...]] = [()] * (len(named) - len(stated.texts))
    hashes += [stated.hashes.get(text, ()) for text in stated.texts]
    requests = zip(make_requests(options), hashes or [()], strict=True)
    return [make_input(replace(request, hashes=accepted)) for request, accepted in requests]


def _refuse_nonsense(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant."""
    if options.no_binary and not options.with_deps:
        raise UsageError(
            "option-invalid", "--no-binary", "without `--with-deps` everything is built"
        )
    if options.with_deps and options.offline:
        raise UsageError(
            "option-invalid", "--with-deps", "with `--offline` there is no index to choose from"
        )
    if options.fail_fast and options.keep_going:
        raise UsageError("option-invalid", "--fail-fast", "`--keep-going` says the opposite")
    if options.env_dir and len(options.pythons or ()) > 1:
        raise UsageError(
            "option-invalid", "--env-dir", "each Python needs an environment of its own"
        )
