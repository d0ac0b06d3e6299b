"""The library `distributed`, imported when a cluster is used, and set as clusters here need it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from wheelforge.errors import ClusterError, ServiceError

if TYPE_CHECKING:
    from wheelforge.batch.options import Cluster

_SETTINGS: dict[str, object] = {
    "distributed.scheduler.work-stealing": False,  # builds are moved on wrong estimates else
    "distributed.scheduler.allowed-failures": 10,  # a worker takes innocent tasks with it
    "distributed.scheduler.unknown-task-duration": "10s",
    "distributed.admin.low-level-log-length": 1000,
    "distributed.worker.profile.enabled": False,
    "distributed.comm.retry.count": 2,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def import_distributed() -> Any:  # ruff: ignore[any-type]
    """Return the module; without its messages, as ours are about the same."""
    try:
        import dask.config
        import distributed
    except ImportError as error:
        raise ServiceError("extra-missing", "dask", str(error)) from error
    dask.config.set(_SETTINGS)
    for name in ("distributed", "tornado", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
    return distributed


def make_security(cluster: Cluster) -> Any:  # ruff: ignore[any-type]
    """Return how a scheduler with TLS is reached; for one on this machine that is nothing."""
    if not cluster.scheduler.startswith("tls:"):
        return None
    given = dict(zip(("ca_file", "cert", "key"), cluster.certificates, strict=True))
    distributed = import_distributed()
    facts: dict[str, str] = {"tls_ca_file": given["ca_file"]} if given["ca_file"] else {}
    for name in ("cert", "key"):
        if given[name]:
            facts |= {f"tls_{role}_{name}": given[name] for role in ("client", "worker")}
    security = distributed.Security(require_encryption=True, **facts)
    if not (security.tls_ca_file and security.tls_client_cert):
        reason = "it is not known by which certificates: `--scheduler-ca`, `--scheduler-cert`"
        raise ClusterError("scheduler-unreachable", cluster.scheduler, reason)
    return security
