"""The progress of builds, as people see it: a few lines in a terminal, plain ones in CI.

A pipe gets nothing but messages. A terminal gets a live line for each build, below all messages;
what draws it is imported once there is something to show for a while. CI gets a line for each build
that has ended, and on GitHub and GitLab a group for what a build has printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from wheelforge.progress.plain import GitHubGroups, GitLabSections, Lines, Progress

__all__ = ["Progress", "open_progress"]


def open_progress(
    stream: TextIO, variables: Mapping[str, str], *, is_quiet: bool, home: str = ""
) -> Progress:
    """Return what suits ``stream``, to be entered; ``variables`` tell where it leads to.

    Paths below ``home`` are shown as seen from there, of others the name.
    """
    if variables.get("GITHUB_ACTIONS") == "true":
        return GitHubGroups(stream, is_quiet=is_quiet)
    if is_quiet:
        return Progress(stream)
    if variables.get("GITLAB_CI") == "true":
        return GitLabSections(stream)
    if variables.get("CI", "").lower() not in {"", "0", "false"}:
        return Lines(stream)
    if stream.isatty() and variables.get("TERM") != "dumb":
        from wheelforge.progress.live import LiveProgress

        return LiveProgress(stream, has_colours=not variables.get("NO_COLOR"), home=home)
    return Progress(stream)
