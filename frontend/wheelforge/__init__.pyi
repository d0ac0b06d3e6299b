from wheelforge._build import (
    Forge as Forge,
)
from wheelforge._events import (
    BuildEvent as BuildEvent,
    Reporter as Reporter,
)
from wheelforge._models import (
    Artifact as Artifact,
    BuildRequest as BuildRequest,
    Era as Era,
    Keep as Keep,
    Kind as Kind,
    Need as Need,
    Outcome as Outcome,
    Policy as Policy,
    Provider as Provider,
    Provision as Provision,
    Runner as Runner,
)
from wheelforge._runners import (
    RunnerPool as RunnerPool,
    Terms as Terms,
    compose_environment as compose_environment,
)
from wheelforge._settings import (
    Settings as Settings,
)
from wheelforge._workshop import (
    Parts as Parts,
    open_forge as open_forge,
)
from wheelforge_isolation import (
    ForgeError as ForgeError,
)
