"""wheelforge as it is called: words in, an exit code and two texts out, a cache of its own."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from wheelforge.cli import main
from wheelforge_isolation import Layout

EPOCH = "1700000000"
_PLAIN = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
"""Variables that tests keep; all others are removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The exit code and output of a run."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The code of the error, if there was one."""
        found = [line for line in self.err.splitlines() if line.startswith("error[")]
        return found[0].removeprefix("error[").partition("]")[0] if found else ""

    @property
    def paths(self) -> list[Path]:
        """The paths of the built files."""
        assert self.code == 0, self.err
        return [Path(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory that holds a cache, results, and whatever is built."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def layout(self) -> Layout:
        return Layout(root=self.path / "cache")

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of whoever calls."""
        plain = {name: os.environ[name] for name in _PLAIN if name in os.environ}
        given = {"PIP_CONFIG_FILE": os.devnull, "NO_COLOR": "1", "SOURCE_DATE_EPOCH": EPOCH}
        own = {"WHEELFORGE_CACHE_DIR": str(self.layout.root)}
        return {**plain, **given, **own, **self.variables, **(more or {})}

    def run(self, *words: str | Path, **variables: str) -> Done:
        """Do what the command line would do, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.ExitStack() as stack:
            world = self.environment(variables)
            stack.enter_context(patch.dict(os.environ, world, clear=True))
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            code = main([str(word) for word in words])
        return Done(code=code, out=out.getvalue(), err=err.getvalue())

    def call(
        self, *words: str | Path, before: Sequence[str] = (), python: str = sys.executable
    ) -> Done:
        """Do the same in a process of its own, which the words ``before`` start."""
        command = [*before, python, "-m", "wheelforge", *map(str, words)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
            cwd=self.path,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)
