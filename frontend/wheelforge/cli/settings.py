"""From words to requests and settings."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wheelforge.cli.hook_options import read_sandbox
from wheelforge.cli.provenance_options import read_provenance
from wheelforge.cli.remote_options import read_remote
from wheelforge.errors import SourceError, UsageError
from wheelforge.models import BuildRequest, Era, Keep, Kind, Policy, Reuse
from wheelforge.settings import Settings
from wheelforge_isolation.formats.text import shorten_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.overrides.model import Overrides


def make_settings(options: CommandOptions) -> Settings:
    """Return what ``options`` say of where things come from and under which rules."""
    lock = None
    if options.locked is not None:
        from wheelforge.lockfile import read_lock

        lock = read_lock(options.locked)
    remote = read_remote(options)
    places = make_places(options)
    if remote.urls:
        from wheelforge.remote.stores import hide_credentials

        places = replace(places, variables=hide_credentials(remote.urls, places.variables))
    return replace(
        places,
        cache_max_bytes=options.cache_max_size,
        constraints=tuple(options.build_constraint or ()),
        require_hashes=options.require_hashes,
        exclude_newer=options.exclude_newer,
        isolated=not options.no_isolation,
        checked=not options.skip_dependency_check,
        environment_dir=options.env_dir,
        lock=lock,
        overrides=find_overrides(options),
        provenance=read_provenance(options),
        remote=remote,
        policy=Policy(
            keep=Keep(options.keep),
            era=Era(options.era),
            timeout_seconds=options.timeout,
            compiler_cache=options.compiler_cache,
            reuse=_find_reuse(options),
            reuse_policy=options.reuse_policy,
            rebuild=frozenset(map(_normalize, options.rebuild or ())),
            verify_reuse=options.verify_reuse,
        ),
        sandbox=read_sandbox(options),
    )


def _find_reuse(options: CommandOptions) -> Reuse:
    if options.no_reuse:
        return Reuse.OFF
    return Reuse.ALL if options.reuse else Reuse.SDISTS


def _normalize(name: str) -> str:
    if name == ":all:":
        return name
    from wheelforge_isolation.formats.file_names import normalize_name

    return normalize_name(name)


def find_overrides(options: CommandOptions) -> Overrides | None:
    """Return the overrides of all files that ``options`` name, if there are any."""
    if not (options.config_files or options.overrides):
        return None
    from wheelforge.overrides.model import read_overrides

    return read_overrides(options.config_files, options.overrides or ())


def make_places(options: CommandOptions) -> Settings:
    """Return what ``options`` say of where things come from."""
    return Settings(
        variables=dict(os.environ),
        cache_dir=options.cache_dir,
        stage_dir=getattr(options, "stage_dir", None),
        index_url=options.index_url,
        extra_index_urls=tuple(options.extra_index_url or ()),
        find_links=tuple(options.find_links or ()),
        trusted_hosts=tuple(options.file_inputs.trusted_hosts),
        no_index=options.no_index,
        offline=options.offline,
        refresh=options.refresh,
    )


def make_requests(options: CommandOptions) -> Iterator[BuildRequest]:
    """Yield what is to be built, in the order in which it was named."""
    for source in options.sources or [Path.cwd()]:
        yield make_request(options, source)


def make_request(options: CommandOptions, source: Path | str) -> BuildRequest:
    """Return the request to build one source."""
    links = None
    if options.links is not None:
        from wheelforge_isolation import Links

        links = Links(options.links)
    return BuildRequest(
        source=source,
        output=options.outdir or _find_output(source),
        kinds=_list_kinds(options, source),
        config_settings=_read_config_settings(options),
        links=links,
        tree=options.sdist_extract_dir,
    )


def check_contradictions(options: CommandOptions) -> None:
    """Refuse options that say the opposite of each other."""
    if options.config_json is not None and options.config_setting:
        raise UsageError("option-invalid", "--config-json", "`--config-setting` is for the same")
    if any(text.startswith("=") or not text for text in options.config_setting or ()):
        raise UsageError("option-invalid", "--config-setting", "before the `=` there is no key")
    if options.no_isolation and options.env_dir:
        raise UsageError(
            "option-invalid", "--env-dir", "with `--no-isolation` no environment is made"
        )
    if options.no_isolation and options.installer:
        raise UsageError(
            "option-invalid", "--installer", "with `--no-isolation` nothing is installed"
        )
    if options.run != "commands.run_metadata" and not getattr(options, "metadata", False):
        for source in options.sources:
            if isinstance(source, Path) and source.suffix == ".whl":
                reason = "it is a wheel, which is built already; `wheelforge metadata` reads it"
                raise SourceError("source-invalid", shorten_path(source), reason)


def _find_output(source: Path | str) -> Path:
    if isinstance(source, str):
        return Path.cwd()
    return source / "dist" if source.is_dir() else source.parent


def _read_config_settings(options: CommandOptions) -> dict[str, object]:
    """Return the config settings for the backend."""
    if options.config_json is not None:
        return _read_json(options.config_json)
    if not options.config_setting:
        return {}
    from wheelforge.resolve.requirement_files import group_settings

    return group_settings(options.config_setting)


def _read_json(text: str) -> dict[str, object]:
    try:
        settings: object = json.loads(text)
    except ValueError as error:
        raise UsageError("option-invalid", "--config-json", f"it is no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError("option-invalid", "--config-json", "it is no JSON object")
    return cast("dict[str, object]", settings)


def _is_repository(source: str) -> bool:
    from wheelforge_isolation.formats.git_urls import is_git_url

    return is_git_url(source)


def _list_kinds(options: CommandOptions, source: Path | str) -> tuple[Kind, ...]:
    kinds: tuple[Kind, ...] = tuple(map(Kind, dict.fromkeys(options.kinds or ())))
    is_tree = source.is_dir() if isinstance(source, Path) else _is_repository(source)
    if Kind.SDIST in kinds and not is_tree:
        raise UsageError("option-invalid", "--sdist", f"`{source}` is an sdist already")
    return kinds
