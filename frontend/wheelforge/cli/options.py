"""The options of everything that builds, in the groups that `--help` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli import hook_options
from wheelforge.cli.argument_types import (
    absolute_path,
    parse_count,
    parse_output_directory,
    parse_place,
    parse_python,
    parse_requirement_file,
    parse_shard,
    parse_time,
    read_source,
)

if TYPE_CHECKING:
    import argparse

    from wheelforge.cli.argument_types import Options


# The values of enumerations that need not be imported before the backend's server has started.
_LINKS = ("keep", "copy")
_ERA = ("off", "fallback", "always")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add what is built."""
    parser.add_argument(
        "sources",
        type=read_source,
        nargs="*",
        metavar="SRC",
        help="a project's directory, an sdist or a directory of them, a URL, or a release: "
        "six==1.17.0 (default: .)",
    )


def add_kinds(parser: argparse.ArgumentParser) -> None:
    """Add what is made of it."""
    group = parser.add_argument_group("results")
    kinds = (
        (("-s", "--sdist"), "sdist", "build an sdist"),
        (("-w", "--wheel"), "wheel", "build a wheel (default: an sdist, and a wheel from it)"),
        (("--editable",), "editable", "build an editable wheel"),
    )
    for names, kind, text in kinds:
        group.add_argument(*names, dest="kinds", action="append_const", const=kind, help=text)
    group.add_argument("--metadata", action="store_true", help="print the core metadata as JSON")
    group.add_argument(
        *("-o", "--outdir"),
        type=parse_output_directory,
        metavar="DIR",
        help="output directory (default: `dist` in a project, else beside the sdist)",
    )


def add_building(parser: argparse.ArgumentParser) -> None:
    """Add how it is built."""
    group = parser.add_argument_group("backend")
    group.add_argument(
        *("-C", "--config-setting"),
        action="append",
        metavar="KEY[=VALUE]",
        help="pass a config setting to the backend; repeat a key to make a list",
    )
    group.add_argument(
        "--config-json", metavar="JSON", help="pass all config settings, as a JSON object"
    )
    add_overrides(group)
    hook_options.add_hooks(group)
    group.add_argument(
        "--sdist-extract-dir",
        type=parse_output_directory,
        metavar="DIR",
        help="unpack the sdist there, and leave it",
    )
    add_links(group)


def add_overrides(parser: Options) -> None:
    """Add what is different for single packages."""
    parser.add_argument(
        "--overrides",
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="build single packages differently, as this file says (repeatable)",
    )


def add_links(parser: Options) -> None:
    """Add what becomes of links."""
    parser.add_argument(
        "--links",
        choices=_LINKS,
        help="keep symbolic links, or copy their targets (default: as the platform can)",
    )


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add how many are built together."""
    group = parser.add_argument_group("batches")
    add_many(group)
    ends = group.add_mutually_exclusive_group()
    ends.add_argument(
        "--keep-going", action="store_true", help="go on after a failure (default for several)"
    )
    ends.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    group.add_argument(
        "--resume",
        action="store_true",
        help="skip sources whose wheels are in the output directory, unchanged",
    )
    group.add_argument(
        "--shard",
        type=parse_shard,
        metavar="K/N",
        help="build the K-th of N parts that take equally long, each on a machine of its own",
    )
    group.add_argument(
        "--with-deps", action="store_true", help="also collect everything required at run time"
    )
    group.add_argument(
        "--plan",
        action="store_true",
        help="show what would be built, in which order and with what, and build nothing",
    )
    group.add_argument("--json", action="store_true", help="with --plan: print JSON")
    group.add_argument(
        "--no-binary",
        action="append",
        metavar="NAME",
        help="with --with-deps: build this even if there is a wheel; `:all:` for everything",
    )


def add_many(parser: Options) -> None:
    """Add where many sources are named, and how many are at work at a time."""
    parser.add_argument(
        *("-r", "--requirement"),
        type=parse_requirement_file,
        action="append",
        metavar="FILE",
        help="the sources that a requirements file, pylock.toml or uv.lock names; `-`: standard "
        "input (repeatable)",
    )
    members = parser.add_mutually_exclusive_group()
    members.add_argument(
        "--all-packages", action="store_true", help="all members of the workspace of uv or hatch"
    )
    members.add_argument(
        "--package",
        action="append",
        metavar="NAME",
        help="the member of the workspace that is called so (repeatable)",
    )
    parser.add_argument(
        *("-j", "--jobs"), type=parse_count, metavar="N", help="builds at a time (default: cores)"
    )


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Add what is written down about builds."""
    group = parser.add_argument_group("reports")
    texts = {
        "--report": "everything that was built, and how, as JSON",
        "--html": "a page with a timeline, all builds and all failures",
        "--junit": "a test case for each build, for CI systems",
        "--events": "events as they happen, one JSON object a line",
    }
    for name, text in texts.items():
        group.add_argument(name, type=absolute_path, metavar="FILE", help=text)
    group.add_argument(
        "--compare",
        type=absolute_path,
        metavar="FILE",
        help="tell what differs from this earlier --report",
    )
    group.add_argument(
        "--html-base", metavar="URL", help="where the page will be: its links begin with this"
    )


def add_isolation(parser: argparse.ArgumentParser) -> None:
    """Add what it is built with."""
    group = parser.add_argument_group("environment")
    add_pythons(group)
    group.add_argument(
        *("-n", "--no-isolation"),
        action="store_true",
        help="build in that Python's own environment",
    )
    group.add_argument(
        *("-x", "--skip-dependency-check"),
        action="store_true",
        help="with -n: do not check that the build requirements are installed",
    )
    group.add_argument(
        "--env-dir",
        type=parse_output_directory,
        metavar="DIR",
        help="make the environment there; removed after a successful build",
    )
    group.add_argument(
        "--installer", choices=["pip", "uv"], help="ignored, for compatibility with `build`"
    )


def add_pythons(parser: Options) -> None:
    """Add which Pythons it is for."""
    parser.add_argument(
        *("-p", "--python"),
        dest="pythons",
        type=parse_python,
        action="append",
        metavar="PYTHON",
        help="build with this Python: a path, or a version like 3.12 (repeatable)",
    )


def add_requirements(parser: argparse.ArgumentParser, *, takes_lock: bool = True) -> None:
    """Add which versions it is built with."""
    group = parser.add_argument_group("build requirements")
    group.add_argument(
        *("--dependency-constraints-txt", "--build-constraint"),
        dest="build_constraint",
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="constraints for build requirements (repeatable)",
    )
    group.add_argument(
        "--require-hashes", action="store_true", help="use only files whose hash is stated"
    )
    if takes_lock:
        text = "use exactly what this lock contains"
        group.add_argument("--locked", type=absolute_path, metavar="FILE", help=text)
    group.add_argument(
        "--exclude-newer",
        type=parse_time,
        metavar="TIME",
        help="ignore files published after 2026-05-01, or in the last 7 days",
    )
    group.add_argument(
        "--era",
        choices=_ERA,
        default="fallback",
        help="use the build requirements of an sdist's release date: never, if it fails with "
        "current ones, or always (default: fallback)",
    )


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add where it is looked for."""
    group = parser.add_argument_group("index")
    group.add_argument(
        *("-i", "--index-url"),
        type=parse_place,
        metavar="URL",
        help="the index (default: pip's setting, else PyPI)",
    )
    group.add_argument(
        "--extra-index-url",
        type=parse_place,
        action="append",
        metavar="URL",
        help="an additional index, asked first (repeatable)",
    )
    group.add_argument(
        *("-f", "--find-links"),
        type=parse_place,
        action="append",
        metavar="PLACE",
        help="a directory or page with files (repeatable)",
    )
    group.add_argument(
        "--no-index", action="store_true", help="ignore indexes; use only --find-links"
    )
    network = group.add_mutually_exclusive_group()
    network.add_argument("--offline", action="store_true", help="use no network, only the cache")
    network.add_argument(
        "--refresh", action="store_true", help="ask the index again, ignoring remembered answers"
    )


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add which files have defaults."""
    group = parser.add_argument_group("configuration")
    files = group.add_mutually_exclusive_group()
    files.add_argument(
        "--config",
        type=absolute_path,
        metavar="FILE",
        help="read defaults from this file only (see `wheelforge help config`)",
    )
    files.add_argument("--no-config", action="store_true", help="read no configuration file")


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add how much is said."""
    group = parser.add_argument_group("output")
    group.add_argument(
        *("-q", "--quiet"),
        dest="verbosity",
        action="store_const",
        const=-1,
        default=0,
        help="print errors only",
    )
    group.add_argument(
        *("-v", "--verbose"),
        dest="verbosity",
        action="store_const",
        const=1,
        default=0,
        help="print the backend's output, and the time each step takes",
    )
