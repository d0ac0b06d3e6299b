"""From words to a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.batch import (
    BatchOptions,
    BuildInput,
    make_input,
    read_format_control,
    run_batch,
)
from wheelforge.cli.cluster_options import read_cluster
from wheelforge.cli.settings import make_request, make_requests, make_settings
from wheelforge.errors import UsageError
from wheelforge.resolve import merge_constraints

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.events import Reporter
    from wheelforge.models import Outcome
    from wheelforge.resolve.requirement_files import RequirementLine
    from wheelforge.settings import Settings


def build_many(
    options: CommandOptions, reporter: Reporter, on_outcome: Callable[[Outcome], None]
) -> None:
    """Build all that is named, several at a time; ``on_outcome`` is told how each has ended."""
    run_batch(*read_batch(options), reporter, on_outcome)


def read_batch(options: CommandOptions) -> tuple[list[BuildInput], Settings, BatchOptions]:
    """Return what is to be built, and how."""
    _refuse_nonsense(options)
    inputs = list_inputs(options)
    return inputs, make_settings(options), make_options(options, inputs)


def make_options(options: CommandOptions, inputs: list[BuildInput]) -> BatchOptions:
    """Return how the batch is built."""
    files = options.file_inputs
    named = [("--no-binary", text) for text in options.no_binary or ()]
    no_binary, only_binary = read_format_control([*named, *files.formats])
    return BatchOptions(
        pythons=tuple(dict.fromkeys(options.pythons or [None])),
        # One directory holds one environment at a time.
        at_once=1 if options.env_dir else options.jobs or 0,
        keeps_going=not options.fail_fast and (options.keep_going or len(inputs) > 1),
        resumes=options.resume,
        with_dependencies=options.with_deps,
        no_binary=no_binary,
        only_binary=only_binary,
        shard=options.shard,
        constraints=merge_constraints(each for each in files.lines if each.is_constraint),
        require_hashes=files.requires_hashes,
        cluster=read_cluster(options),
    )


def list_inputs(options: CommandOptions) -> list[BuildInput]:
    """Return what is to be built, in the order in which it was named."""
    files = options.file_inputs
    lines = [line for line in files.lines if not line.is_constraint]
    named: list[BuildInput] = []
    if options.sources or not options.requirement:
        named = list(map(make_input, make_requests(options)))
    inputs = [*named, *(_make_line_input(line, options) for line in lines)]
    for each, pythons, versions in files.locked:
        if each.source is not None:
            request = replace(make_request(options, each.source), hashes=each.hashes)
            inputs.append(BuildInput(request, pythons=pythons, set_versions=versions))
    if files.requires_hashes:
        bare = [each for each in inputs if not each.request.hashes]
        if bare:
            raise UsageError("hashes-missing", tuple((each.label, "") for each in bare))
    return inputs


def _make_line_input(line: RequirementLine, options: CommandOptions) -> BuildInput:
    from wheelforge.cli.requirement_files import read_line_source

    request = make_request(options, read_line_source(line))
    found = make_input(replace(request, hashes=line.hashes))
    return found._replace(config_settings=line.config_settings)


def _refuse_nonsense(options: CommandOptions) -> None:
    """Refuse what cannot be meant."""
    if options.no_binary and not options.with_deps:
        raise UsageError(
            "option-invalid", "--no-binary", "without `--with-deps` everything is built"
        )
    if options.with_deps and options.offline:
        raise UsageError(
            "option-invalid", "--with-deps", "with `--offline` there is no index to choose from"
        )
    if options.with_deps and options.shard:
        reason = "`--with-deps` builds sdists to learn what they require, on every machine"
        raise UsageError("option-invalid", "--shard", reason)
    if options.fail_fast and options.keep_going:
        raise UsageError("option-invalid", "--fail-fast", "`--keep-going` says the opposite")
    if options.env_dir and len(options.pythons or ()) > 1:
        raise UsageError(
            "option-invalid", "--env-dir", "each Python needs an environment of its own"
        )
