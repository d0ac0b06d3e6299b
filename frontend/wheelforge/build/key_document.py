"""The key document: all that a wheel depends on, as JSON whose digest is the key of the wheel.

Its sections stand in the order of causes: of two documents that differ, the first difference is
the cause, and those that follow may come of it. Everything but the closure, the wheels that hooks
run with, is known before anything runs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from typing import TYPE_CHECKING, Any, cast

from wheelforge.build.toolchain import digest_file
from wheelforge.hooks.environ import compose_environment
from wheelforge.version import VERSION
from wheelforge_isolation import read_umask
from wheelforge_isolation.formats.requirements import find_name
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from wheelforge.hooks.sandbox.ladder import Sandbox
    from wheelforge.models import BuildRequest, Policy
    from wheelforge.overrides.model import Override
    from wheelforge_isolation import Interpreter, WheelKey

    Document = dict[str, Any]

SCHEMA = 2
SECTIONS = (
    *("source", "request", "policy", "overrides", "interpreter", "platform", "toolchain"),
    *("environment", "closure"),
)
_PUBLIC = re.compile(
    r"(C|CXX|CPP|F|FC|LD|AR|RUST|OBJC|GO|CGO_C|CGO_LD|CUDA)FLAGS|CC|CXX|CPP|FC|F77|F90|AR|AS|LD|NVCC"
    r"|RANLIB|LDSHARED|ARCHFLAGS|CMAKE_ARGS|CMAKE_GENERATOR|SOURCE_DATE_EPOCH|PATH|HOME|LANG|LC_\w+"
    r"|MACOSX_DEPLOYMENT_TARGET|PKG_CONFIG_PATH|LD_LIBRARY_PATH|LIBRARY_PATH|C(PLUS)?_INCLUDE_PATH"
    r"|CI|GITHUB_ACTIONS|GITLAB_CI|TZ|TMPDIR|PYTHONHASHSEED|PYTHONDONTWRITEBYTECODE"
    r"|_PYTHON_HOST_PLATFORM|SETUPTOOLS_USE_DISTUTILS|DISTUTILS_USE_SDK"
)
"""Variables that are no secrets: their values stand in documents as they are."""
_SESSION = re.compile(
    r"_|TERM\w*|COLORTERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CLICOLOR\w*|PS\d|LS_COLORS|PWD|OLDPWD"
    r"|SHLVL|WINDOWID|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|TMUX\w*|STY|SSH_\w+|XDG_SESSION_\w+|HOSTNAME"
    r"|DBUS_SESSION_BUS_ADDRESS|GPG_TTY|INVOCATION_ID|JOURNAL_STREAM|PYTEST_CURRENT_TEST|PYENV_DIR"
    r"|(DIRENV|STARSHIP|ATUIN|ITERM|KITTY|WEZTERM|ALACRITTY|GHOSTTY|KONSOLE|ZELLIJ|VSCODE|XPC)_\w+"
    r"|GNOME_TERMINAL_\w+|VTE_VERSION|WT_SESSION|ZELLIJ|COLORFGBG|WINDOWPATH|SECURITYSESSIONID"
    r"|SESSION_MANAGER|XDG_(VTNR|SEAT|ACTIVATION_TOKEN)|DESKTOP_STARTUP_ID|GIO_LAUNCHED_\w+"
    r"|SUDO_COMMAND|MANAGERPID|SYSTEMD_EXEC_PID|MEMORY_PRESSURE_\w+|NOTIFY_SOCKET|LISTEN_(PID|FD\w*)"
    r"|CONDA_(PROMPT_MODIFIER|SHLVL)|VIRTUAL_ENV_PROMPT"
)
"""Variables of a terminal or a session: they are in the key if an override sets them."""
CI_RUN = re.compile(
    r"GITHUB_(RUN_\w+|SHA|REF\w*|HEAD_REF|BASE_REF|EVENT\w*|ACTION\w*|ACTOR\w*|JOB|WORKFLOW\w*|ENV"
    r"|OUTPUT|PATH|STATE|STEP_SUMMARY|TRIGGERING_ACTOR|TOKEN)"
    r"|RUNNER_(NAME|TRACKING_ID)|ACTIONS_\w+"
    r"|CI_(JOB|PIPELINE|COMMIT|RUNNER|MERGE_REQUEST|EXTERNAL_PULL_REQUEST|BUILD|CONCURRENT|NODE"
    r"|DEPENDENCY_PROXY|ENVIRONMENT)_\w+|CI_(REGISTRY_PASSWORD|REPOSITORY_URL|OPEN_MERGE_REQUESTS)"
    r"|GITLAB_USER_\w+|TRIGGER_PAYLOAD"
    r"|BUILD_(ID|NUMBER|TAG|URL|DISPLAY_NAME|BUILDID|BUILDNUMBER|BUILDURI|SOURCE(VERSION|BRANCH)\w*"
    r"|REQUESTEDFOR\w*|QUEUEDBY\w*|REASON)|JOB_URL|GIT_(PREVIOUS_\w*)?(COMMIT|BRANCH)|BRANCH_NAME"
    r"|CHANGE_(ID|URL|TITLE|AUTHOR\w*|BRANCH|TARGET|FORK)|STAGE_NAME"
    r"|EXECUTOR_NUMBER|NODE_NAME|RUN_\w*DISPLAY_URL|HUDSON_COOKIE|JENKINS_\w*COOKIE"
    r"|CIRCLE_(BUILD_\w+|SHA1|WORKFLOW_\w+|JOB|\w*TOKEN\w*|BRANCH|TAG|PR_\w+|PULL_REQUESTS?|NODE_\w+"
    r"|PREVIOUS_\w+|USERNAME|PIPELINE_\w+|COMPARE_URL|INTERNAL_\w+|SHELL_ENV)"
    r"|TRAVIS_(BUILD|JOB|COMMIT|PULL_REQUEST|TIMER)\w*|TRAVIS_(BRANCH|TAG|EVENT_TYPE|TEST_RESULT)"
    r"|BUILDKITE_(BUILD|JOB|COMMIT|AGENT|PULL_REQUEST|STEP|PARALLEL|RETRY)\w*"
    r"|BUILDKITE_(BRANCH|TAG|MESSAGE)"
    r"|SYSTEM_(JOBID|PLANID|TIMELINEID|ACCESSTOKEN|TASKINSTANCEID|PULLREQUEST_\w+|\w+ATTEMPT)"
    r"|AGENT_(ID|NAME|JOBNAME|JOBSTATUS|MACHINENAME)"
)
"""Variables of one run of a CI: they are in the key if the source names them."""
REPOSITORY = ".git"
"""Stands among the names of variables for the history of a repository, and what else is in it."""
_COUNTS = ("CARGO_BUILD_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS")
_JOBS = re.compile(r"\s*(-j\s*\d*)?\s*(--jobserver-\S+)?\s*")
"""MAKEFLAGS that say no more than how many jobs there are."""
_OUTSIDE = {"environment", "config-settings", "limits", "era", "reuse", "build"}
"""Overrides that are in a section of their own, or change no wheel."""
MARKS = ("build-requires", "abi")
"""The override that names build requirements whose wheels always count."""
_SECRET = re.compile(r"token|passw|secret|credential|(api|access|private)[-_]?key", re.IGNORECASE)
_SECRET_PART = re.compile(rf"({_SECRET.pattern})[\w-]*[=:]", re.IGNORECASE)
"""A secret within a value, as in `--global-option=--token=x`."""
CONCEALED = "hmac:"
"""Begins a value that is not shown."""
_ALIKE = f"{CONCEALED}shared:"
"""Begins one that has the same digest in all caches."""
_ALIKE_SALT = b"wheelforge shared cache 1"
_DIGITS = 32


def describe_request(
    request: BuildRequest, override: Override | None, epoch: str | None, salt: bytes
) -> Document:
    """Return what the backend is asked for; the ``epoch`` is the one of the policy."""
    settings = dict(request.config_settings)
    if override is not None:
        settings |= override.table("config-settings")
    for name, value in settings.items():
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        texts = [str(each) for each in values]
        if any(_may_be_secret(name, text) for text in texts):
            settings[name] = _conceal(name, json.dumps(value), salt)
    return {
        "kind": "wheel",
        "config_settings": settings,
        "links": request.links.value if request.links else "default",
        "epoch": epoch,
    }


def describe_policy(policy: Policy, sandbox: Sandbox | None = None, *, is_staged: bool) -> Document:
    """Return what else of this program and process has an influence on wheels.

    What ``is_staged`` is built in a directory of ours, where hooks have one umask for all.
    """
    return {
        **({"sandbox": sandbox.identity} if sandbox else {}),
        "wheelforge": VERSION,
        "umask": f"{policy.umask if is_staged else read_umask():03o}",
        "compiler_cache": policy.compiler_cache,
    }


def describe_interpreter(python: Interpreter) -> Document:
    """Return the Python that hooks run with."""
    return {
        "implementation": python.implementation,
        "version": python.version,
        "abi": python.soabi,
        "platform": python.platform,
        "executable": str(python.base_executable),
        "identity": python.identity,
    }


def describe_overrides(override: Override | None) -> Document:
    """Return what is done differently for this release, patches by their digests."""
    if override is None:
        return {}
    found: Document = {}
    for key, (setting, entry) in sorted(override.values.items()):
        if key == MARKS:
            continue  # they only tell what may change
        if key[0] == "key-files":
            places = (entry.file.path.parent / name for name in override.texts(*key))
            found["key-files"] = {str(path): digest_file(path) for path in places}
        elif key[0] not in _OUTSIDE:
            more = [hashlib.sha256(each).hexdigest() for each in setting.contents]
            more += ["ignore-missing"] if entry.ignores_missing else []
            found[".".join(key)] = [setting.value, *more]
    return found


def family_of(name: str) -> str:
    """Return what stands for all variables of a CI run that begin as ``name`` does."""
    return f"{name.partition('_')[0]}_*"


def describe_environment(
    variables: Mapping[str, str],
    salt: bytes,
    named: Container[str] = (),
    *,
    is_shared: bool = False,
) -> Document:
    """Return the variables of hooks; of what may be a secret no more than a keyed digest.

    With remote caches the key is the same in all of them, unless the name or the value looks like
    one of a secret: others could try what it may be.
    """
    found: Document = {}
    for name, value in sorted(compose_environment(variables).items()):
        is_count = (name in _COUNTS and value.isdigit()) or (
            name == "MAKEFLAGS" and _JOBS.fullmatch(value)
        )
        is_of_run = CI_RUN.fullmatch(name) or _SESSION.fullmatch(name)
        is_named = name in named or family_of(name) in named
        if is_count or (is_of_run and not is_named):
            continue
        if _may_be_secret(name, value):
            found[name] = _conceal(name, value, salt)
        elif _PUBLIC.fullmatch(name):
            found[name] = value
        else:
            found[name] = _conceal(name, value, salt, is_shared=is_shared)
    return found


def is_shareable(document: Document) -> bool:
    """Return whether the same build has the same document on other machines."""
    return not any(
        value.startswith(CONCEALED) and not value.startswith(_ALIKE)
        for value in list_leaves(document).values()
    )


def _may_be_secret(name: str, value: str) -> bool:
    """Return whether there may be a secret in a value that usually is none."""
    return bool(_SECRET.search(name) or _SECRET_PART.search(value)) or redact(value) != value


def _conceal(name: str, value: str, salt: bytes, *, is_shared: bool = False) -> str:
    """Return a digest of a value, the same for equal ones of one cache, or of all."""
    beginning, salt = (_ALIKE, _ALIKE_SALT) if is_shared else (CONCEALED, salt)
    keyed = hmac.digest(salt, os.fsencode(f"{name}={value}"), "sha256")
    return f"{beginning}{keyed.hex()[:_DIGITS]}"


def describe_closure(
    asked: Sequence[Iterable[str]],
    closures: Sequence[Iterable[WheelKey]],
    constraints: Iterable[str],
) -> Document:
    """Return the wheels of each environment, the last one first, and what has limited them."""
    environments = [
        {
            "requires": sorted(requirements),
            "wheels": {
                wheel.name: {
                    "version": wheel.version,
                    "file": wheel.file_name,
                    "sha256": wheel.sha256,
                }
                for wheel in sorted(wheels, key=lambda wheel: wheel.name)
            },
        }
        for requirements, wheels in zip(asked, closures, strict=True)
    ]
    names = {name for environment in environments for name in environment["wheels"]}
    last, *earlier = reversed(environments)
    return {
        "constraints": sorted({redact(text) for text in constraints if find_name(text) in names}),
        **last,
        **({"before": earlier} if earlier else {}),
    }


def key_of(document: Document) -> str:
    """Return the digest of a document, which is the key of its wheel."""
    return hashlib.sha256(encode_document(document)).hexdigest()


def encode_document(document: Document) -> bytes:
    """Return the bytes of a document whose SHA-256 is the key."""
    return json.dumps(json.dumps(document, sort_keys=True)).encode("ascii")


def list_leaves(document: Document) -> dict[tuple[str, ...], str]:
    """Return the values of a document by their places, in the order of causes."""
    leaves: dict[tuple[str, ...], str] = {}

    def walk(value: object, place: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for name, each in cast("dict[str, object]", value).items():
                walk(each, (*place, name))
        else:
            leaves[place] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)

    for section in SECTIONS:
        walk(document.get(section, {}), (section,))
    return leaves
