"""A Chromium without a window, spoken to over two pipes: pages as their readers have them."""

# ruff: file-ignore[any-type]

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_WORDS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--no-first-run", "--remote-debugging-pipe", "about:blank",
)  # fmt: skip
_COMPLAINTS = {"Runtime.exceptionThrown", "Log.entryAdded"}
_PATIENCE_SECONDS = 60.0


def find_browser() -> str | None:
    """Return the program, if there is one and it can be spoken to."""
    if not hasattr(os, "posix_spawn"):
        return None
    return next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass(slots=True, kw_only=True)
class Browser:
    """One page, in the browser at the other ends of two pipes."""

    question: int
    answer: int
    session: str = ""
    complaints: list[str] = field(default_factory=list[str])
    """Errors and warnings in the console, violations of the page's own policy among them."""
    asked: list[str] = field(default_factory=list[str])
    """All that was to be fetched."""
    _heard: bytearray = field(default_factory=bytearray)
    _count: int = 0
    _loaded: bool = False

    def open(
        self, path: Path | str, *, width: int = 1280, height: int = 900, theme: str = ""
    ) -> None:
        """Show a file or a URL, in a window of that size."""
        self._attach()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": theme or "light"}]
        self.tell("Emulation.setEmulatedMedia", features=features)
        self._loaded = False
        self.tell("Page.navigate", url=path if isinstance(path, str) else path.as_uri())
        while not self._loaded:
            self._hear()

    def run(self, code: str) -> Any:
        """Return what an expression of the page's language comes to there."""
        done = self.tell("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, and let it go."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, code=key, **text)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write down what can be seen, or all there is."""
        done = self.tell("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(done["data"]))

    def tell(self, method: str, **facts: Any) -> dict[str, Any]:
        """Have the browser do something, and return its answer."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": facts}
        addressed = {**message, "sessionId": self.session} if self.session else message
        os.write(self.question, json.dumps(addressed).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == number:
                assert "error" not in heard, heard
                return dict(heard["result"])

    def _attach(self) -> None:
        if self.session:
            return
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        answer = self.tell("Target.attachToTarget", targetId=target, flatten=True)
        self.session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            ready, _, _ = select.select([self.answer], [], [], _PATIENCE_SECONDS)
            chunk = os.read(self.answer, 1 << 20) if ready else b""
            assert chunk, "the browser says nothing"
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\0")
        heard: dict[str, Any] = json.loads(line)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, facts: dict[str, Any]) -> None:
        self._loaded |= method == "Page.loadEventFired"
        if method == "Network.requestWillBeSent":
            self.asked.append(facts["request"]["url"])
        is_loud = facts.get("type") in {"error", "warning", "assert"}
        if method in _COMPLAINTS or (method == "Runtime.consoleAPICalled" and is_loud):
            self.complaints.append(json.dumps(facts))


@contextlib.contextmanager
def open_browser(program: str, home: Path) -> Generator[Browser]:
    """Yield a browser that keeps what it keeps in ``home``, and is gone afterwards."""
    theirs_to_read, question = os.pipe()
    answer, theirs_to_write = os.pipe()
    words = [program, *_WORDS[:-1], f"--user-data-dir={home}", _WORDS[-1]]
    actions = [
        (os.POSIX_SPAWN_DUP2, theirs_to_read, 3),
        (os.POSIX_SPAWN_DUP2, theirs_to_write, 4),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0o600),
    ]
    variables = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    process = os.posix_spawn(program, words, variables, file_actions=actions, setpgroup=0)
    os.close(theirs_to_read)
    os.close(theirs_to_write)
    try:
        yield Browser(question=question, answer=answer)
    finally:
        os.close(question)
        os.close(answer)
        _end(process)


def _end(process: int) -> None:
    """End the browser and all its helpers, which are one group."""
    # Without pipes it goes by itself, and leaves nothing half written; but not for ever.
    end = time.monotonic() + 5
    while time.monotonic() < end and os.waitpid(process, os.WNOHANG) == (0, 0):
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)
