from wheelforge._forge import (
    Forge as Forge,
)
from wheelforge._events import (
    BuildEvent as BuildEvent,
    Reporter as Reporter,
)
from wheelforge._models import (
    Artifact as Artifact,
    BuildEnvironment as BuildEnvironment,
    BuildRequest as BuildRequest,
    Era as Era,
    Keep as Keep,
    Kind as Kind,
    EnvironmentRequest as EnvironmentRequest,
    Outcome as Outcome,
    Policy as Policy,
    EnvironmentProvider as EnvironmentProvider,
    PreparedEnvironment as PreparedEnvironment,
    Runner as Runner,
)
from wheelforge._running import (
    RunningBuild as RunningBuild,
)
from wheelforge._runners import (
    RunnerPool as RunnerPool,
    Terms as Terms,
    compose_environment as compose_environment,
)
from wheelforge._settings import (
    Settings as Settings,
)
from wheelforge._open import (
    Components as Components,
    open_forge as open_forge,
)
from wheelforge_isolation import (
    ForgeError as ForgeError,
)
