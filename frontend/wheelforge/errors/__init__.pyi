from wheelforge.errors.base import BuildError as BuildError
from wheelforge.errors.cluster import (
    ClusterError as ClusterError,
)
from wheelforge.errors.hooks import (
    BackendError as BackendError,
    BackendFailedError as BackendFailedError,
    Failure as Failure,
    HookError as HookError,
    HookFailedError as HookFailedError,
    HookMissingError as HookMissingError,
    ResultInvalidError as ResultInvalidError,
    UnexpectedError as UnexpectedError,
    last_lines as last_lines,
    plain_text as plain_text,
)
from wheelforge.errors.provenance import (
    ProvenanceError as ProvenanceError,
    ReuseDifferenceError as ReuseDifferenceError,
)
from wheelforge.errors.requirements import (
    DownloadMismatchError as DownloadMismatchError,
    MetadataInvalidError as MetadataInvalidError,
    OfflineError as OfflineError,
    PackageIndexError as PackageIndexError,
    PackageNotFoundError as PackageNotFoundError,
    RequirementInvalidError as RequirementInvalidError,
    RequirementsError as RequirementsError,
)
from wheelforge.errors.service import (
    RemoteBuildError as RemoteBuildError,
    ServiceError as ServiceError,
)
from wheelforge.errors.usage import (
    BuildCancelledError as BuildCancelledError,
    BuildNotStartedError as BuildNotStartedError,
    LockError as LockError,
    SandboxError as SandboxError,
    SourceError as SourceError,
    UsageError as UsageError,
)
