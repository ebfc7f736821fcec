"""Run a command, and stop it when the process that started this one ends for any reason.

    python -m lab.arms.process_guard [--remove DIRECTORY] -- COMMAND [ARGUMENT...]

The starter holds the other end of standard input, a pipe, and never writes to it. When the pipe closes, even because
the starter was killed, the command is stopped and the directory removed.
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Final

GRACE_S: Final = 3.0
"""Between SIGTERM and SIGKILL."""
PR_SET_PTRACER: Final = 0x59616D61
"""Of prctl(2): permits a process and its children to trace the caller, where Yama restricts that to ancestors."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="lab.arms.process_guard", description=__doc__)
    parser.add_argument("--remove", type=Path, help="removed when the starter has ended")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    child = subprocess.Popen(  # noqa: S603 the caller's own command
        options.command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_permit_tracing(os.getppid()),  # noqa: PLW1509 there is no other thread yet
    )
    starter_ended = Event()
    watch = Thread(target=_end_with_starter, args=(child, starter_ended, options.remove), daemon=True)
    watch.start()
    code = child.wait()
    if starter_ended.is_set():
        watch.join()  # it may still be removing the directory
    return code


def _permit_tracing(starter: int) -> Callable[[], object] | None:
    """Return what lets the starter's profiler read the command's stacks, which an ordinary user may not by default."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, PR_SET_PTRACER, ctypes.c_ulong(starter), 0, 0, 0)


def _end_with_starter(child: "subprocess.Popen[bytes]", starter_ended: Event, directory: Path | None) -> None:
    with suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    starter_ended.set()
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
