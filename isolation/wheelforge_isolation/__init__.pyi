from wheelforge_isolation.cache.built_wheels import (
    BuiltStore as BuiltStore,
    BuiltWheel as BuiltWheel,
    list_built_wheels as list_built_wheels,
)
from wheelforge_isolation.cache.open import (
    Cache as Cache,
    choose_layout as choose_layout,
    open_cache as open_cache,
)
from wheelforge_isolation.cache.transfer import (
    Transferred as Transferred,
    export_cache as export_cache,
    import_cache as import_cache,
)
from wheelforge_isolation.files.atomic import (
    JsonCache as JsonCache,
    deliver_file as deliver_file,
    replace_file as replace_file,
)
from wheelforge_isolation.environments.environment import (
    Environment as Environment,
    adopt_environment as adopt_environment,
)
from wheelforge_isolation.files.capabilities import (
    FilesystemCapabilities as FilesystemCapabilities,
    read_umask as read_umask,
)
from wheelforge_isolation.files.fs import (
    copy_file as copy_file,
    digest as digest,
    ensure_directory as ensure_directory,
    ensure_private_directories as ensure_private_directories,
    free_bytes as free_bytes,
    mark_used as mark_used,
    move as move,
    create_file as create_file,
    create_private_file as create_private_file,
    open_new_file as open_new_file,
    remove_file as remove_file,
    remove_tree as remove_tree,
    spool as spool,
    temporary_directory as temporary_directory,
    raising_file_errors as raising_file_errors,
)
from wheelforge_isolation.files.order import (
    reorder_entries as reorder_entries,
)
from wheelforge_isolation.cache.environments import (
    EnvironmentStore as EnvironmentStore,
)
from wheelforge_isolation.cache.gc import (
    Bounds as Bounds,
    Collected as Collected,
    collect_garbage as collect_garbage,
)
from wheelforge_isolation.interpreter import (
    Interpreter as Interpreter,
    find_interpreter as find_interpreter,
    kill_group as kill_group,
    list_executables as list_executables,
)
from wheelforge_isolation.cache.listing import (
    Entry as Entry,
    list_entries as list_entries,
    measure_disk as measure_disk,
)
from wheelforge_isolation.cache.layout import (
    Layout as Layout,
    default_layout as default_layout,
)
from wheelforge_isolation.cache.ownership import (
    claim_cache as claim_cache,
    is_recorded_program as is_recorded_program,
    is_trusted as is_trusted,
)
from wheelforge_isolation.cache.trees import (
    Event as Event,
)
from wheelforge_isolation.files.locks import (
    Lock as Lock,
    try_lock as try_lock,
)
from wheelforge_isolation.files.staging import (
    Collection as Collection,
    Stage as Stage,
    collect_stages as collect_stages,
    open_stage as open_stage,
    stage_name as stage_name,
)
from wheelforge_isolation.cache.wheels import (
    StoredWheel as StoredWheel,
    WheelKey as WheelKey,
    WheelStore as WheelStore,
    read_wheel_key as read_wheel_key,
)
from wheelforge_isolation.files.directory_lock import (
    LockOwner as LockOwner,
    wait_for_turn as wait_for_turn,
)
from wheelforge_isolation.archive.changes import (
    change_tree as change_tree,
    read_tree_file as read_tree_file,
)
from wheelforge_isolation.archive.comparison import (
    Comparison as Comparison,
    Difference as Difference,
    Sameness as Sameness,
    compare_archives as compare_archives,
)
from wheelforge_isolation.archive.pack import (
    pack_files as pack_files,
)
from wheelforge_isolation.archive.rewrite import (
    change_wheel as change_wheel,
)
from wheelforge_isolation.archive.unpack import (
    unpack as unpack,
)
from wheelforge_isolation.cache.verify import (
    Problem as Problem,
)
from wheelforge_isolation.wheels import (
    InspectedWheel as InspectedWheel,
    inspect_wheel as inspect_wheel,
)
from wheelforge_isolation.archive import (
    UNLIMITED as UNLIMITED,
    InspectedSdist as InspectedSdist,
    Unpacked as Unpacked,
    open_wheel_zip as open_wheel_zip,
    inspect_sdist as inspect_sdist,
    unpack_archive as unpack_archive,
)
from wheelforge_isolation.archive.members import (
    Limits as Limits,
    Links as Links,
    Note as Note,
)
from wheelforge_isolation.archive.wheel import (
    read_wheel_metadata as read_wheel_metadata,
)
from wheelforge_isolation.errors import (
    ArchiveError as ArchiveError,
    ForgeError as ForgeError,
    IsolationError as IsolationError,
)
