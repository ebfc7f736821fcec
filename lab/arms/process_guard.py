"""Run a command that ends when whoever started it ends, however that happens, and leave nothing of it behind.

    python -m lab.arms.process_guard [--remove DIRECTORY] -- COMMAND [ARGUMENT...]

Standard input is the tether: the starter holds the other end of the pipe and never writes. When the pipe closes, even
because the starter was killed, the command is ended and the directory removed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

GRACE_S: Final = 3.0
"""How long the command may take to end by itself."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="lab.arms.process_guard", description=__doc__)
    parser.add_argument("--remove", type=Path, help="removed when the starter has ended")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    child = subprocess.Popen(options.command, stdin=subprocess.DEVNULL)  # noqa: S603 the caller's own command
    starter_ended = Event()
    watch = Thread(target=_end_with_starter, args=(child, starter_ended, options.remove), daemon=True)
    watch.start()
    code = child.wait()
    if starter_ended.is_set():
        watch.join()  # it has a directory to remove yet
    return code


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
