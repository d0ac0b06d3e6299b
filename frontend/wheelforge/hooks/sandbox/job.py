"""Run by path on Windows, before a hook: starts the command in a job object; not run on Windows.

All processes of a job end with the process that has made it, also those that have left their
parents, and their memory and number are limited. Files and networks stay as they are.

Arguments: the limits, marshalled in hexadecimal, then the words of the command.
"""

from __future__ import annotations

import ctypes
import marshal
import signal
import struct
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REFUSED = 126
EXTENDED_LIMITS = 9
KILL_ON_CLOSE, MOST_PROCESSES, MEMORY_OF_PROCESS = 0x2000, 0x8, 0x100
LAYOUT = "<qqI4xQQI4xQII6Q4Q"
"""Of `JOBOBJECT_EXTENDED_LIMIT_INFORMATION` on 64-bit Windows."""


def pack_limits(limits: dict[str, int]) -> bytes:
    """Return limits as the system takes them: of data in each process, and of processes."""
    memory, processes = limits.get("RLIMIT_DATA"), limits.get("RLIMIT_NPROC")
    flags = KILL_ON_CLOSE
    flags |= MEMORY_OF_PROCESS if memory is not None else 0
    flags |= MOST_PROCESSES if processes is not None else 0
    # This process is one of the job.
    basic = (0, 0, flags, 0, 0, processes + 1 if processes is not None else 0, 0, 0, 0)
    return struct.pack(LAYOUT, *basic, *[0] * 6, memory or 0, 0, 0, 0)


def enter_job(limits: dict[str, int]) -> None:
    """Put this process, and so all that it starts, into a job of its own."""
    library: Any = vars(ctypes)["WinDLL"]("kernel32", use_last_error=True)
    library.CreateJobObjectW.restype = ctypes.c_void_p
    library.GetCurrentProcess.restype = ctypes.c_void_p
    content = pack_limits(limits)
    job = ctypes.c_void_p(library.CreateJobObjectW(None, None))
    process = ctypes.c_void_p(library.GetCurrentProcess())
    is_done = library.SetInformationJobObject(job, EXTENDED_LIMITS, content, len(content))
    if not (is_done and library.AssignProcessToJobObject(job, process)):
        raise OSError(vars(ctypes)["get_last_error"](), "the job object cannot be entered")


def leave(_number: int, _frame: object) -> None:
    """Do nothing, at a signal."""


def main() -> None:
    """Run the command in a job, and end as it does."""
    limits: dict[str, int] = marshal.loads(bytes.fromhex(sys.argv[1]))  # ruff: ignore[suspicious-marshal-usage]  # our own
    try:
        enter_job(limits)
        # The command hears of it too, and may clean up.
        signal.signal(vars(signal)["SIGBREAK"], leave)
        code = subprocess.call(sys.argv[2:])
    except OSError as error:
        sys.stderr.write(f"wheelforge: the sandbox cannot be entered: {error}\n")
        code = REFUSED
    sys.exit(code)


if __name__ == "__main__":
    main()
