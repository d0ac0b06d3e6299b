"""The thin client: hands a command to a server that was named, and ends as that ends it.

The server's worker gets the three standard streams of this process, and prints by itself; all that
comes back is an exit code. So little is imported that a server is worth its while: not even
``socket`` or ``json``. Without a server that can do it, the command is done in this process.
"""

# ruff: file-ignore[import-private-name, os-getcwd, os-path-abspath, too-many-statements-in-try-clause]

import os
import sys

TYPE_CHECKING = False  # nothing is imported but for use
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

VARIABLE = "WHEELFORGE_SERVER"
COMMANDS = ("build", "metadata", "lock", "why")
"""The commands that a server does."""
_OTHERS = {
    *("serve", "server", "fetch", "unpack", "cache", "config", "overrides"),
    *("help", "explain", "completion", "doctor", "want", "verify", "worker"),
}
"""The first words of all other commands."""
_SUFFIX = ".run"
_LENGTH_BYTES = 4
_PATIENCE_SECONDS = 5.0


def find_address(words: "Sequence[str]") -> str:
    """Return the address on this machine that the command line or a variable names, or nothing."""
    address = os.environ.get(VARIABLE, "")
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == "--server":
            address = words[place + 1] if place + 1 < len(words) else ""
        elif word.startswith("--server="):
            address = word.partition("=")[2]
    first = next((word for word in words if word[:1] != "-"), "")
    return "" if first in _OTHERS or is_on_network(address) else address


def is_on_network(address: str) -> bool:
    """Return whether a server is reached over the network."""
    return address.startswith(("http://", "https://"))


def locate(address: str) -> str:
    """Return the path of the socket that takes commands, or nothing if it is no address of one."""
    scheme, _, path = address.partition(":")
    return f"{os.path.abspath(path)}{_SUFFIX}" if scheme == "unix" and path else ""


def run_remotely(words: "Sequence[str]", address: str) -> tuple[int, str]:
    """Have a server do the command; return its exit code, or why it was not done and -1."""
    path = locate(address)
    if not path:
        return -1, ""  # the parser refuses it
    if None in {sys.stdin, sys.stdout, sys.stderr} or not hasattr(os, "getuid"):
        return -1, "it needs three standard streams"
    import _socket

    line = _socket.socket(_socket.AF_UNIX)
    try:
        line.settimeout(_PATIENCE_SECONDS)
        line.connect(path)
        _check_peer(line)
        content = _pack(_describe(words))
        files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)
        rest = content[line.sendmsg([content], [rights]) :]
        if rest:
            line.sendall(rest)
        line.settimeout(None)
    except OSError as error:
        return -1, error.strerror or str(error)
    return _follow(line)


def _check_peer(line: "Any") -> None:  # ruff: ignore[any-type]
    """Refuse the server of another user, who would get all our variables."""
    import _socket

    if hasattr(_socket, "SO_PEERCRED"):
        credentials = line.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
            raise PermissionError(1, "it belongs to another user")


def _describe(words: "Sequence[str]") -> list[str]:
    from wheelforge.version import VERSION

    umask = os.umask(0)
    os.umask(umask)
    text = f"{sys.stdout.encoding}:{sys.stdout.errors}"
    session = str(os.getsid(0))
    pairs = (f"{name}={value}" for name, value in os.environ.items())
    place, process = os.getcwd(), (str(umask), _list_limits())
    own = ("command", VERSION, session, place, *process, text, str(len(words)))
    return [*own, *words, *pairs]


def _list_limits() -> str:
    """Return the limits of this process, as for open files, which hooks are to have."""
    import resource

    names = (name for name in dir(resource) if name.startswith("RLIMIT_"))
    limits = ((name, *resource.getrlimit(getattr(resource, name))) for name in names)
    return " ".join(f"{name}={soft}:{hard}" for name, soft, hard in limits)


def _pack(texts: list[str]) -> bytes:
    content = b"\0".join(map(os.fsencode, texts))
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def _follow(line: "Any") -> tuple[int, str]:  # ruff: ignore[any-type]
    """Pass on requests to end, until the server says how the command has ended."""
    signal: Any = __import__("_signal")  # `signal` would import `enum`, and with it ten others
    count = 0

    def ask_to_end(*_: object) -> None:
        nonlocal count
        count += 1
        if count > 2:  # ruff: ignore[magic-value-comparison]
            os._exit(130)
        line.sendall(_pack(["interrupt"]))

    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    before = {
        number: signal.signal(number, ask_to_end)
        for number in numbers
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        kind, *texts = _receive(line) or ["gone", "it has ended meanwhile"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if count and kind != "exit":
        sys.stderr.write("interrupted\n")
        return 130, ""
    return (int(texts[0]), "") if kind == "exit" else (-1, texts[0])


def _receive(line: "Any") -> list[str]:  # ruff: ignore[any-type]
    content = b""
    while len(content) < _LENGTH_BYTES or len(content) - _LENGTH_BYTES < int.from_bytes(
        content[:_LENGTH_BYTES], "big"
    ):
        try:
            piece = line.recv(1 << 16)
        except OSError:
            piece = b""
        if not piece:
            return []
        content += piece
    return [os.fsdecode(text) for text in content[_LENGTH_BYTES:].split(b"\0")]
