"""One use of the command line as reports tell of it: words, machine, places, job of a CI."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wheelforge.build.targets import find_layout, read_index_settings
from wheelforge.cli.defaults import is_list
from wheelforge.cli.settings import make_places
from wheelforge.report import format_time
from wheelforge_isolation import ForgeError
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge.cli.command_options import CommandOptions

_AZURE = "{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}{SYSTEM_TEAMPROJECT}"
_JOBS = (
    ("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}", "GITHUB_SHA"),
    ("{CI_JOB_URL}", "CI_COMMIT_SHA"),
    ("{BUILD_URL}", "GIT_COMMIT"),
    ("{BUILDKITE_BUILD_URL}", "BUILDKITE_COMMIT"),
    ("{CIRCLE_BUILD_URL}", "CIRCLE_SHA1"),
    (f"{_AZURE}/_build/results?buildId={{BUILD_BUILDID}}", "BUILD_SOURCEVERSION"),
)
"""For each CI system the URL of a job, and the variable with the commit: GitHub, GitLab, Jenkins,
Buildkite, CircleCI, Azure."""


_OF_A_BATCH = {
    *("requirement", "jobs", "pythons", "resume", "fail_fast", "keep_going", "with_deps"),
    *("no_binary", "shard", "plan", "executor", "scheduler", "shared_dir"),
    *("scheduler_ca", "scheduler_cert", "scheduler_key"),
    *("report", "html", "html_base", "junit", "events", "compare", "server"),
}
"""Values of the command line that a command for one build of a batch does not have."""


def describe_invocation(options: CommandOptions) -> dict[str, object]:
    """Return how wheelforge was called, and where; URLs have no credentials."""
    from wheelforge.batch.machine import count_cores

    cores = count_cores()
    return {
        "argv": [redact(word) for word in options.words],
        "options": _list_options(options),
        "started": format_time(time.time()),
        "seconds": None,
        "jobs": options.jobs or cores,
        "cores": cores,
        "python": list(options.pythons or [platform.python_version()]),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "host": platform.node(),
        "cwd": str(Path.cwd()),
        "index": _list_indexes(options),
        "cache_dir": str(find_layout(options.cache_dir).root),
        "requested": [redact(str(source)) for source in options.sources or [Path.cwd()]],
        "ci": find_ci_job(os.environ),
    }


def find_ci_job(variables: Mapping[str, str]) -> dict[str, str] | None:
    """Return the URL and the commit of the job of a CI that this runs in, if it is one."""
    for url, commit in _JOBS:
        try:
            return {"url": url.format_map(variables), "commit": variables.get(commit, "")}
        except KeyError:
            continue
    return None


def _list_options(options: CommandOptions) -> list[str]:
    """Return the words without sources, and without what is for a whole batch or its reports."""
    from wheelforge.cli.parser import build_parser

    words = list[str]()
    for action in build_parser("build")._actions:  # ruff: ignore[private-member-access]
        value: object = getattr(options, action.dest, None)
        is_usual = value is None or value == action.default
        if is_usual or action.dest in _OF_A_BATCH or not action.option_strings:
            continue
        name = action.option_strings[-1]
        values = cast("list[object]", value or []) if is_list(action) else [value]
        if action.nargs == 0:
            words += [name] * (action.const in values)
        else:
            words += [word for each in values for word in (name, redact(str(each)))]
    return words


def _list_indexes(options: CommandOptions) -> list[str]:
    try:
        settings = read_index_settings(make_places(options))
    except ForgeError:  # which the build will say
        return []
    return [redact(url) for url in (*settings.find_links, *settings.index_urls)]
