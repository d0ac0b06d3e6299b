"""The options of everything that builds, in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import (
    absolute_path,
    parse_count,
    parse_place,
    parse_python,
    parse_seconds,
    parse_size,
    parse_time,
    read_source,
)

if TYPE_CHECKING:
    import argparse

# The values of enumerations that need not be imported before the backend's server has started.
_LINKS = ("keep", "copy")
_KEEP = ("never", "failed", "always")
_ERA = ("off", "fallback", "always")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add what is built."""
    parser.add_argument(
        "sources",
        type=read_source,
        nargs="*",
        metavar="SRC",
        help="a project's directory, an sdist, `name==version`, or a URL (default: where you are)",
    )


def add_kinds(parser: argparse.ArgumentParser) -> None:
    """Add what is made of it."""
    kinds = (
        (("-s", "--sdist"), "sdist", "build an sdist"),
        (("-w", "--wheel"), "wheel", "build a wheel (default: an sdist, and a wheel from it)"),
        (("--editable",), "editable", "build a wheel that leads back to the sources"),
    )
    for names, kind, text in kinds:
        parser.add_argument(*names, dest="kinds", action="append_const", const=kind, help=text)
    parser.add_argument(
        "--metadata", action="store_true", help="print the core metadata as JSON instead"
    )
    parser.add_argument(
        *("-o", "--outdir"),
        type=absolute_path,
        metavar="DIR",
        help="where the results go (default: `dist` in a directory, beside an sdist)",
    )


def add_building(parser: argparse.ArgumentParser) -> None:
    """Add how it is built."""
    parser.add_argument(
        *("-C", "--config-setting"),
        action="append",
        metavar="KEY[=VALUE]",
        help="tell the backend that; the same key again makes a list",
    )
    parser.add_argument(
        "--config-json", metavar="JSON", help="tell the backend all of that JSON object"
    )
    parser.add_argument(
        "--timeout",
        type=parse_seconds,
        metavar="SECONDS",
        help="end a hook of the backend that takes longer, as 600 or 10m",
    )
    parser.add_argument(
        "--keep",
        choices=_KEEP,
        default="never",
        help="keep the directory of the build, with a script that runs a failed hook again",
    )
    add_links(parser)
    parser.add_argument(
        "--sdist-extract-dir",
        type=absolute_path,
        metavar="DIR",
        help="unpack the sdist there, and leave it there",
    )


def add_links(parser: argparse.ArgumentParser) -> None:
    """Add what becomes of links."""
    parser.add_argument(
        "--links",
        choices=_LINKS,
        help="keep symbolic links, or copy what they lead to (default: as the platform can)",
    )


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add how many are built together."""
    parser.add_argument(
        *("-r", "--requirement"),
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="build what that file of requirements names",
    )
    parser.add_argument(
        *("-j", "--jobs"),
        type=parse_count,
        metavar="N",
        help="build that many at a time (default: as many as there are cores)",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="let a build that fails not stop the others (default for more than one source)",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="end all builds as soon as one has failed"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="do not build again what was delivered before and is still there",
    )
    parser.add_argument(
        "--with-deps",
        action="store_true",
        help="add all that requirements require at run time, as wheels where there are some",
    )
    parser.add_argument(
        "--no-binary",
        action="append",
        metavar="NAME",
        help="with --with-deps, build that even if there is a wheel; `:all:` builds everything",
    )


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Add what is written down about builds."""
    texts = {
        "--report": "write what was built, and how, as JSON",
        "--events": "write what happens as it happens, a JSON object a line",
        "--junit": "write a test case for each build, as CI systems read them",
        "--html": "write a page with a timeline, all builds and all failures",
    }
    for name, text in texts.items():
        parser.add_argument(name, type=absolute_path, metavar="FILE", help=text)


def add_isolation(parser: argparse.ArgumentParser) -> None:
    """Add what it is built with."""
    parser.add_argument(
        *("-p", "--python"),
        dest="pythons",
        type=parse_python,
        action="append",
        metavar="PYTHON",
        help="build with this Python: a path, or a version like 3.12 (default: the running one)",
    )
    parser.add_argument(
        *("-n", "--no-isolation"),
        action="store_true",
        help="build with what that Python has, instead of in an environment made for it",
    )
    parser.add_argument(
        *("-x", "--skip-dependency-check"),
        action="store_true",
        help="without isolation: do not look whether it has what is needed",
    )
    parser.add_argument(
        "--env-dir",
        type=absolute_path,
        metavar="DIR",
        help="make the environment there; it stays only if the build fails",
    )
    parser.add_argument(
        "--installer",
        choices=["pip", "uv"],
        help="accepted, so that scripts go on working; wheelforge installs by itself",
    )


def add_requirements(parser: argparse.ArgumentParser) -> None:
    """Add which versions it is built with."""
    parser.add_argument(
        *("--dependency-constraints-txt", "--build-constraint"),
        dest="build_constraint",
        type=absolute_path,
        action="append",
        metavar="FILE",
        help="a requirements file that limits what is built with",
    )
    parser.add_argument(
        "--require-hashes", action="store_true", help="build only with files whose hash is stated"
    )
    parser.add_argument(
        "--locked",
        type=absolute_path,
        metavar="FILE",
        help="build with just what is locked there: see `wheelforge lock`",
    )
    parser.add_argument(
        "--exclude-newer",
        type=parse_time,
        metavar="TIME",
        help="build only with what was published before: 2026-05-01, or an age like 7 days",
    )
    parser.add_argument(
        "--era",
        choices=_ERA,
        default="fallback",
        help="build an sdist with what there was when it was published: never, if it fails with "
        "what there is today, or always (default: fallback)",
    )


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add where it is looked for."""
    parser.add_argument(*("-i", "--index-url"), metavar="URL", help="where to find requirements")
    parser.add_argument(
        "--extra-index-url", action="append", metavar="URL", help="another place, looked at first"
    )
    parser.add_argument(
        *("-f", "--find-links"),
        type=parse_place,
        action="append",
        metavar="PLACE",
        help="a directory, or a page, with files",
    )
    parser.add_argument(
        "--no-index", action="store_true", help="look at no index, only at --find-links"
    )
    parser.add_argument("--offline", action="store_true", help="build only with what the cache has")
    parser.add_argument(
        "--refresh", action="store_true", help="ask the index again, whatever is remembered"
    )


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add where the cache is."""
    add_cache_directory(parser)
    parser.add_argument(
        "--no-cache", action="store_true", help="use a cache that is gone afterwards"
    )
    parser.add_argument(
        "--cache-max-size",
        type=parse_size,
        metavar="SIZE",
        help="bring the cache back to this size if it has grown, as 5GB",
    )


def add_cache_directory(parser: argparse.ArgumentParser) -> None:
    """Add the one option that all have who use a cache."""
    parser.add_argument(
        "--cache-dir",
        type=absolute_path,
        metavar="DIR",
        help="where wheelforge keeps its cache (default: the platform's place for caches)",
    )


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add how much is said."""
    parser.add_argument(
        *("-q", "--quiet"),
        dest="verbosity",
        action="store_const",
        const=-1,
        default=0,
        help="say nothing but what went wrong",
    )
    parser.add_argument(
        *("-v", "--verbose"),
        dest="verbosity",
        action="store_const",
        const=1,
        default=0,
        help="say all that backends print, and how long it takes",
    )
