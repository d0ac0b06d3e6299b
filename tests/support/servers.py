"""Real servers that others have written, and certificates for ours.

with running(sys.executable, "-m", "proxy", "--port", "PORT") as port: ...
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from shutil import which

import pytest

_CERTIFICATE = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=localhost"
)
_PATIENCE_SECONDS = 60.0


def make_certificate(directory: Path) -> Path:
    """Return a file with a certificate of ``localhost`` that signs itself, and its key."""
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    path, key = directory / "both.pem", directory / "key.pem"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)]
    subprocess.run([openssl, *_CERTIFICATE.split(), *more], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


@contextlib.contextmanager
def running(*words: str | Path) -> Generator[int]:
    """Yield the port of a server that is started with it, in place of ``PORT``."""
    port = find_port()
    command = [str(word).replace("PORT", str(port)) for word in words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield port
        finally:
            server.terminate()


def find_port() -> int:
    """Return a port that is free."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail(f"the server does not listen: {server.args!r}")
