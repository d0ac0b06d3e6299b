from wheelforge.build.forge import (
    Forge as Forge,
)
from wheelforge.events import (
    BuildEvent as BuildEvent,
    Reporter as Reporter,
)
from wheelforge.models import (
    Artifact as Artifact,
    BuildEnvironment as BuildEnvironment,
    BuildRequest as BuildRequest,
    Era as Era,
    Keep as Keep,
    Kind as Kind,
    EnvironmentRequest as EnvironmentRequest,
    Outcome as Outcome,
    Policy as Policy,
    Reuse as Reuse,
    EnvironmentProvider as EnvironmentProvider,
    PreparedEnvironment as PreparedEnvironment,
    Runner as Runner,
)
from wheelforge.build.forge import (
    RunningBuild as RunningBuild,
)
from wheelforge.hooks.environ import (
    compose_environment as compose_environment,
)
from wheelforge.hooks.runner import (
    HookOptions as HookOptions,
)
from wheelforge.hooks.pool import (
    RunnerPool as RunnerPool,
)
from wheelforge.hooks.sandbox.settings import SandboxSettings as SandboxSettings
from wheelforge.provenance.envelope import (
    Signer as Signer,
    read_signer as read_signer,
)
from wheelforge.provenance.options import (
    Provenance as Provenance,
    Sbom as Sbom,
)
from wheelforge.settings import (
    RemoteSettings as RemoteSettings,
    Settings as Settings,
)
from wheelforge.build.forge import (
    Components as Components,
    open_forge as open_forge,
)
from wheelforge_isolation import (
    ForgeError as ForgeError,
)
