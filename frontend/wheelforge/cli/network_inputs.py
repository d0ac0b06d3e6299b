"""The builds of a command for a server on the network, and the way of their sources to it.

An archive is sent as it is. Of a directory, that is what an sdist of it may hold, in an archive
that is the same for the same files, and so is sent once.
"""

from __future__ import annotations

import copy
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.batch import BuildInput
from wheelforge.batch.inputs import applies, merge
from wheelforge.build.directory_content import UnknownContentError, list_project_files
from wheelforge.build.git import find_versioner
from wheelforge.build.targets import find_layout
from wheelforge.cli.batch import list_inputs
from wheelforge.cli.build import is_alone
from wheelforge.cli.command_options import FileInputs
from wheelforge.cli.requirement_files import read_option_files
from wheelforge.cli.settings import make_requests
from wheelforge.errors import SourceError
from wheelforge.models import Kind
from wheelforge.resolve import merge_constraints
from wheelforge.service.requests import TREE_SUFFIX
from wheelforge_isolation import pack_files, temporary_directory
from wheelforge_isolation.formats.requirements import find_requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.models import BuildRequest
    from wheelforge.service.network_client import RemoteServer

    FindMarkers = Callable[[str | None], Mapping[str, str]]

_SUFFIXES = (".tar.gz", ".zip")
_INDEX_OPTIONS = ("index_url", "extra_index_url", "find_links", "no_index")
_ODD = re.compile(r"[^A-Za-z0-9._+-]|^[^A-Za-z0-9]")
_LONGEST_NAME = 100


class RemoteBuild(NamedTuple):
    """One build that the server is asked for."""

    request: BuildRequest
    number: str
    target: str | None


def list_builds(options: CommandOptions, find_markers: FindMarkers) -> Iterator[RemoteBuild]:
    """Yield each source for each target, in the order of a batch in one process."""
    inputs, number = merge(_list_inputs(options)), 0
    lines = (each for each in options.file_inputs.lines if each.is_constraint)
    constraints = merge_constraints(lines)
    for target in dict.fromkeys(options.pythons or [None]):
        for each in inputs:
            if each.pythons is not None and target not in each.pythons:
                continue
            needs_markers = constraints.texts or _has_marker(each.requirement)
            markers: Mapping[str, str] = find_markers(target) if needs_markers else {}
            if not needs_markers or applies(each.requirement, markers):
                number += 1
                yield RemoteBuild(each.constrain(constraints, markers), str(number), target)


def _list_inputs(options: CommandOptions) -> list[BuildInput]:
    """Return what is to be built; a source that is alone is taken as it was spelled."""
    is_metadata = not hasattr(options, "requirement")
    if not is_metadata and (hasattr(options, "output") or not is_alone(options)):
        return list_inputs(options)
    return [BuildInput(request) for request in make_requests(options)]


def _has_marker(requirement: str) -> bool:
    found = find_requirement(requirement) if requirement else None
    return found is not None and found.marker is not None


def open_markers(server: RemoteServer) -> FindMarkers:
    """Return what tells the environment markers of a target, each asked for once."""

    @cache
    def find(target: str | None) -> Mapping[str, str]:
        name = target or "default"
        markers: Mapping[str, str] = server.ask("GET", f"/api/v1/targets/{name}")["markers"]
        return markers

    return find


def find_refusal(options: CommandOptions, find_markers: FindMarkers) -> str:
    """Return why sources of a command are of no use on another machine.

    The files of `-r` are read for that, and read again when the command is done.
    """
    trial = copy.copy(options)
    trial.file_inputs = FileInputs()
    trial.file_inputs.find_markers = find_markers
    if getattr(options, "requirement", None):
        read_option_files(trial, lambda _: None)
        options.file_inputs.standard_input = trial.file_inputs.standard_input
    for name in _INDEX_OPTIONS:
        if getattr(trial, name, None) != getattr(options, name, None) and getattr(trial, name):
            option = name.replace("_", "-")
            return f"`--{option}` of a requirements file is not sent over the network"
    for each in _list_inputs(trial):
        refusal = _find_source_refusal(each)
        if refusal:
            return refusal
    return ""


def _find_source_refusal(each: BuildInput) -> str:
    request = each.request
    source = request.source
    if not isinstance(source, Path):
        is_local = re.match(r"(?:[^@:]*@\s*)?(?:git\+)?file:", source)
        return f"`{source}` is only on this machine" if is_local else ""
    if Kind.EDITABLE in request.kinds:
        return "an editable wheel is of use only on the machine where its project is"
    if source.is_dir():
        versioner = find_versioner(source)
        if versioner:
            text = f"`{source}` has its version of `{versioner}`, from a repository"
            return f"{text} that is not sent; send an sdist"
        return ""
    if not source.name.endswith(_SUFFIXES):
        return f"`{source}` is only on this machine; an sdist of it can be sent"
    return ""


def send_source(server: RemoteServer, request: BuildRequest, check: Callable[[], None]) -> str:
    """Let the server have what is built, and return how it is named in a request to it."""
    source = request.source
    if not isinstance(source, Path):
        return source
    try:
        if not source.is_dir():
            return server.send(source, check)
        with temporary_directory() as place:
            name = _ODD.sub("-", source.name)[:_LONGEST_NAME] or "source"
            return server.send(_pack(request, source, Path(place) / f"{name}{TREE_SUFFIX}"), check)
    except (OSError, UnknownContentError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError("source-invalid", str(source), reason) from error


def _pack(request: BuildRequest, source: Path, archive: Path) -> Path:
    root = source.resolve()
    paths = list_project_files(request, root, find_layout(None).root, os.environ)
    pack_files(root, paths, archive, source.name or "source")
    return archive


def describe_request(build: RemoteBuild, options: CommandOptions) -> dict[str, Any]:
    """Return the fields of a request, but for its source; what is not given is left out."""
    request = build.request
    cutoff = options.exclude_newer
    fields: dict[str, Any] = {
        "kinds": [kind.value for kind in request.kinds],
        "target": build.target,
        "config_settings": dict(request.config_settings),
        "hashes": [text.lower() for text in request.hashes],
        "offline": options.offline,
        "refresh": options.refresh,
        "require_hashes": options.require_hashes,
        "era": options.era,
        "timeout": options.timeout,
        "no_reuse": options.no_reuse,
        "exclude_newer": cutoff.isoformat() if cutoff else None,
    }
    return {name: value for name, value in fields.items() if value}


def for_metadata(build: RemoteBuild) -> RemoteBuild:
    """Return the same, to ask for metadata alone."""
    return build._replace(request=replace(build.request, kinds=(Kind.METADATA,)))
