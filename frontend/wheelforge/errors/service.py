"""Errors of the build server and of its clients."""

from __future__ import annotations

from wheelforge.errors.base import BuildError, Kind
from wheelforge_isolation import ForgeError


class ServiceError(BuildError):
    """A server cannot be started, cannot be reached, or does not do what it is asked for."""

    address: str
    name: str
    platform: str
    reason: str
    extra: str


def _start(error: ServiceError) -> str:
    is_absent = error.reason.endswith(("No such file or directory", "Connection refused"))
    return "is it running? `wheelforge serve` starts one" if is_absent else ""


ServiceError.kinds = {
    "server-unusable": Kind(
        5,
        "address reason",
        "the server `{address}` does not do this: {reason}",
        "without `--server-required` it is done in this process",
    ),
    "server-running": Kind(
        5,
        "address",
        "a server of this cache is running already, at `{address}`",
        "`wheelforge server status` shows it, `wheelforge server stop` ends it",
    ),
    "server-absent": Kind(
        5,
        "address",
        "no server of the cache `{address}` is running",
        "`wheelforge serve` starts one",
    ),
    "server-failed": Kind(5, "reason", "the server cannot go on: {reason}", _start),
    "set-failed": Kind(1, "name reason", "`{name}` cannot be had as a wheel: {reason}"),
    "wheel-not-portable": Kind(
        4, "name platform reason", "`{name}` cannot be made a wheel for {platform}: {reason}"
    ),
    "socket-invalid": Kind(2, "address reason", "`{address}` cannot be listened on: {reason}"),
    "token-file-invalid": Kind(
        2, "address reason", "the tokens of `{address}` cannot be used: {reason}"
    ),
    "extra-missing": Kind(
        2,
        "extra reason",
        "this needs what `wheelforge[{extra}]` brings: {reason}",
        "install `wheelforge[{extra}]`",
    ),
}


class RemoteBuildError(ForgeError):
    """An error of a build on another machine, as its server tells it."""

    def __init__(self, code: str, exit_code: int, message: str, advice: str, output: bytes) -> None:
        super().__init__(code, exit_code, message, advice, output)
        self.code = code
        self.exit_code = exit_code
        self.advice = advice
        self.output = output
        """The last that the backend has printed."""

    def __str__(self) -> str:
        return str(self.args[2])
