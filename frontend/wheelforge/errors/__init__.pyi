from wheelforge.errors.backend import (
    BackendFailedError as BackendFailedError,
    BackendUnavailableError as BackendUnavailableError,
    Failure as Failure,
    HookMissingError as HookMissingError,
    HookUnsupportedError as HookUnsupportedError,
)
from wheelforge.errors.batch import (
    MemoryExhaustedError as MemoryExhaustedError,
    RequirementFailedError as RequirementFailedError,
    UnexpectedError as UnexpectedError,
)
from wheelforge.errors.causes import (
    BuildAccessError as BuildAccessError,
    BuildCrashedError as BuildCrashedError,
    BuildDiskFullError as BuildDiskFullError,
    BuildMemoryError as BuildMemoryError,
    BuildNetworkError as BuildNetworkError,
    HeaderMissingError as HeaderMissingError,
    LibraryMissingError as LibraryMissingError,
    ModuleMissingError as ModuleMissingError,
    PythonRefusedError as PythonRefusedError,
    PythonTwoError as PythonTwoError,
    RemovedFromPythonError as RemovedFromPythonError,
    RequirementTooNewError as RequirementTooNewError,
    ToolMissingError as ToolMissingError,
    VersionUnknownError as VersionUnknownError,
)
from wheelforge.errors.constraints import (
    ConstraintsInvalidError as ConstraintsInvalidError,
    HashesMissingError as HashesMissingError,
    HashRefusedError as HashRefusedError,
    TimeInvalidError as TimeInvalidError,
)
from wheelforge.errors.hooks import (
    HookAnswerInvalidError as HookAnswerInvalidError,
    HookCancelledError as HookCancelledError,
    HookError as HookError,
    HookLostError as HookLostError,
    HookNotStartedError as HookNotStartedError,
    HookTimedOutError as HookTimedOutError,
)
from wheelforge.errors.index import (
    DownloadMismatchError as DownloadMismatchError,
    DownloadUnwritableError as DownloadUnwritableError,
    IndexPageInvalidError as IndexPageInvalidError,
    IndexRefusedError as IndexRefusedError,
    IndexSettingsInvalidError as IndexSettingsInvalidError,
    IndexUnreachableError as IndexUnreachableError,
    MetadataInvalidError as MetadataInvalidError,
    PackageNotFoundError as PackageNotFoundError,
)
from wheelforge.errors.locking import (
    LockImpossibleError as LockImpossibleError,
    LockInvalidError as LockInvalidError,
    LockLacksError as LockLacksError,
    LockOtherPythonError as LockOtherPythonError,
    LockSourceChangedError as LockSourceChangedError,
    LockStaleError as LockStaleError,
)
from wheelforge.errors.output import (
    last_lines as last_lines,
    plain_text as plain_text,
)
from wheelforge.errors.project import (
    ProjectInvalidError as ProjectInvalidError,
)
from wheelforge.errors.requirements import (
    BuildCycleError as BuildCycleError,
    NeedsBuildError as NeedsBuildError,
    NotRememberedError as NotRememberedError,
    OfflineError as OfflineError,
    RequirementInvalidError as RequirementInvalidError,
    RequirementsConflictError as RequirementsConflictError,
    RequirementsUnmetError as RequirementsUnmetError,
    ResolutionUnfinishedError as ResolutionUnfinishedError,
)
from wheelforge.errors.results import (
    ResultInvalidError as ResultInvalidError,
)
from wheelforge.errors.root import (
    BuildError as BuildError,
)
from wheelforge.errors.sources import (
    SourceInvalidError as SourceInvalidError,
    SourceNotFoundError as SourceNotFoundError,
)
from wheelforge.errors.usage import (
    BuildCancelledError as BuildCancelledError,
    ForgeClosedError as ForgeClosedError,
    RequestInvalidError as RequestInvalidError,
    OptionInvalidError as OptionInvalidError,
)
from wheelforge.errors.failure import (
    HookFailedError as HookFailedError,
)
