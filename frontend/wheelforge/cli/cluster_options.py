"""The options of batches that a cluster builds, and of its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import absolute_path, parse_count
from wheelforge.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from wheelforge.batch.options import Cluster
    from wheelforge.cli.argument_types import Options
    from wheelforge.cli.command_options import CommandOptions

OF_CLUSTERS = ("scheduler", "scheduler_ca", "scheduler_cert", "scheduler_key", "shared_dir")
"""Values of options that are for clusters only."""


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add who builds a batch, if it is not this process."""
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "--executor",
        choices=["local", "dask"],
        default="local",
        help="let a Dask cluster build, which is started for it unless there is a --scheduler "
        "(default: local)",
    )
    _add_scheduler(group)
    group.add_argument(
        "--shared-dir",
        type=absolute_path,
        metavar="DIR",
        help="exchange files with workers there (default: in the cache directory)",
    )


def _add_scheduler(group: Options, *, is_required: bool = False) -> None:
    group.add_argument(
        "--scheduler",
        required=is_required,
        metavar="ADDRESS",
        help="the scheduler: tls://HOST:PORT, or tcp:// on this machine",
    )
    texts = {"ca": "its authority", "cert": "the certificate to show", "key": "the key of that"}
    for name, text in texts.items():
        group.add_argument(
            f"--scheduler-{name}",
            type=absolute_path,
            metavar="FILE",
            help=f"with tls://: {text}, as PEM (default: as Dask is configured)",
        )


def add_worker(parser: argparse.ArgumentParser) -> None:
    """Add which scheduler a worker serves, and how much it does."""
    group = parser.add_argument_group("worker")
    _add_scheduler(group, is_required=True)
    group.add_argument(
        *("-j", "--jobs"), type=parse_count, metavar="N", help="builds at a time (default: cores)"
    )


def read_cluster(options: CommandOptions) -> Cluster | None:
    """Return the cluster that ``options`` name, if there is one."""
    if not hasattr(options, "executor"):  # as of `lock`, which asks here
        return None
    if options.executor != "dask":
        for name in OF_CLUSTERS:
            if getattr(options, name):
                option = f"--{name.replace('_', '-')}"
                raise UsageError("option-invalid", option, "it is for `--executor dask`")
        return None
    from wheelforge.batch.executors.address import check_address
    from wheelforge.batch.options import Cluster

    for name in ("env_dir", "no_isolation", "sign_key"):
        if getattr(options, name, None):
            option = f"--{name.replace('_', '-')}"
            raise UsageError("option-invalid", "--executor", f"`{option}` is for this machine only")
    return Cluster(
        scheduler=check_address(options.scheduler) if options.scheduler else "",
        shared=options.shared_dir,
        certificates=read_certificates(options),
    )


def read_certificates(options: CommandOptions) -> tuple[str, str, str]:
    """Return the files that a scheduler with TLS is reached by."""
    given = (options.scheduler_ca, options.scheduler_cert, options.scheduler_key)
    ca, certificate, key = (str(path or "") for path in given)
    return ca, certificate, key
