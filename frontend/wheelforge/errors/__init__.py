"""What can go wrong in a build, as facts.

Most builds need none of it: a module is loaded when one of its names is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.errors._backend import (
        BackendFailedError,
        BackendUnavailableError,
        Failure,
        HookMissingError,
        HookUnsupportedError,
    )
    from wheelforge.errors._batch import RequirementFailedError, UnexpectedError
    from wheelforge.errors._causes import (
        BuildAccessError,
        BuildCrashedError,
        BuildDiskFullError,
        BuildMemoryError,
        BuildNetworkError,
        HeaderMissingError,
        LibraryMissingError,
        ModuleMissingError,
        PythonRefusedError,
        PythonTwoError,
        RemovedFromPythonError,
        RequirementTooNewError,
        ToolMissingError,
        VersionUnknownError,
    )
    from wheelforge.errors._constraints import (
        ConstraintsInvalidError,
        HashesMissingError,
        HashRefusedError,
        TimeInvalidError,
    )
    from wheelforge.errors._hooks import (
        HookAnswerInvalidError,
        HookCancelledError,
        HookError,
        HookLostError,
        HookNotStartedError,
        HookTimedOutError,
    )
    from wheelforge.errors._index import (
        DownloadMismatchError,
        DownloadUnwritableError,
        IndexPageInvalidError,
        IndexRefusedError,
        IndexSettingsInvalidError,
        IndexUnreachableError,
        MetadataInvalidError,
        PackageNotFoundError,
    )
    from wheelforge.errors._locking import (
        LockImpossibleError,
        LockInvalidError,
        LockLacksError,
        LockOtherPythonError,
        LockSourceChangedError,
        LockStaleError,
    )
    from wheelforge.errors._output import (
        last_lines,
        plain_text,
    )
    from wheelforge.errors._project import ProjectInvalidError
    from wheelforge.errors._requirements import (
        BuildCycleError,
        NeedsBuildError,
        NotRememberedError,
        OfflineError,
        RequirementInvalidError,
        RequirementsConflictError,
        RequirementsUnmetError,
        ResolutionUnfinishedError,
    )
    from wheelforge.errors._results import ResultInvalidError
    from wheelforge.errors._root import BuildError
    from wheelforge.errors._sources import SourceInvalidError, SourceNotFoundError
    from wheelforge.errors._usage import OptionInvalidError

__all__ = [
    "BackendFailedError",
    "BackendUnavailableError",
    "BuildAccessError",
    "BuildCrashedError",
    "BuildCycleError",
    "BuildDiskFullError",
    "BuildError",
    "BuildMemoryError",
    "BuildNetworkError",
    "ConstraintsInvalidError",
    "DownloadMismatchError",
    "DownloadUnwritableError",
    "Failure",
    "HashRefusedError",
    "HashesMissingError",
    "HeaderMissingError",
    "HookAnswerInvalidError",
    "HookCancelledError",
    "HookError",
    "HookLostError",
    "HookMissingError",
    "HookNotStartedError",
    "HookTimedOutError",
    "HookUnsupportedError",
    "IndexPageInvalidError",
    "IndexRefusedError",
    "IndexSettingsInvalidError",
    "IndexUnreachableError",
    "LibraryMissingError",
    "LockImpossibleError",
    "LockInvalidError",
    "LockLacksError",
    "LockOtherPythonError",
    "LockSourceChangedError",
    "LockStaleError",
    "MetadataInvalidError",
    "ModuleMissingError",
    "NeedsBuildError",
    "NotRememberedError",
    "OfflineError",
    "OptionInvalidError",
    "PackageNotFoundError",
    "ProjectInvalidError",
    "PythonRefusedError",
    "PythonTwoError",
    "RemovedFromPythonError",
    "RequirementFailedError",
    "RequirementInvalidError",
    "RequirementTooNewError",
    "RequirementsConflictError",
    "RequirementsUnmetError",
    "ResolutionUnfinishedError",
    "ResultInvalidError",
    "SourceInvalidError",
    "SourceNotFoundError",
    "TimeInvalidError",
    "ToolMissingError",
    "UnexpectedError",
    "VersionUnknownError",
    "last_lines",
    "plain_text",
]

_ROOMS = {
    "_backend": (
        "BackendFailedError",
        "BackendUnavailableError",
        "Failure",
        "HookMissingError",
        "HookUnsupportedError",
    ),
    "_batch": ("RequirementFailedError", "UnexpectedError"),
    "_causes": (
        "BuildAccessError",
        "BuildCrashedError",
        "BuildDiskFullError",
        "BuildMemoryError",
        "BuildNetworkError",
        "HeaderMissingError",
        "LibraryMissingError",
        "ModuleMissingError",
        "PythonRefusedError",
        "PythonTwoError",
        "RemovedFromPythonError",
        "RequirementTooNewError",
        "ToolMissingError",
        "VersionUnknownError",
    ),
    "_constraints": (
        "ConstraintsInvalidError",
        "HashRefusedError",
        "HashesMissingError",
        "TimeInvalidError",
    ),
    "_hooks": (
        "HookAnswerInvalidError",
        "HookCancelledError",
        "HookError",
        "HookLostError",
        "HookNotStartedError",
        "HookTimedOutError",
    ),
    "_index": (
        "DownloadMismatchError",
        "DownloadUnwritableError",
        "IndexPageInvalidError",
        "IndexRefusedError",
        "IndexSettingsInvalidError",
        "IndexUnreachableError",
        "MetadataInvalidError",
        "PackageNotFoundError",
    ),
    "_locking": (
        "LockImpossibleError",
        "LockInvalidError",
        "LockLacksError",
        "LockOtherPythonError",
        "LockSourceChangedError",
        "LockStaleError",
    ),
    "_output": (
        "last_lines",
        "plain_text",
    ),
    "_project": ("ProjectInvalidError",),
    "_requirements": (
        "BuildCycleError",
        "NeedsBuildError",
        "NotRememberedError",
        "OfflineError",
        "RequirementInvalidError",
        "RequirementsConflictError",
        "RequirementsUnmetError",
        "ResolutionUnfinishedError",
    ),
    "_results": ("ResultInvalidError",),
    "_root": ("BuildError",),
    "_sources": ("SourceInvalidError", "SourceNotFoundError"),
    "_usage": ("OptionInvalidError",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
