"""Run a command that ends when whoever started it ends, however that happens, and leave nothing of it behind.

    python -m lab.tether [--remove DIRECTORY] -- COMMAND [ARGUMENT...]

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
from threading import Thread
from typing import Final

GRACE_S: Final = 3.0
"""How long the command may take to end by itself."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="lab.tether", description=__doc__)
    parser.add_argument("--remove", type=Path, help="removed when the command has ended")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    child = subprocess.Popen(options.command, stdin=subprocess.DEVNULL)
    Thread(target=_end_with_starter, args=(child,), daemon=True).start()
    try:
        return child.wait()
    finally:
        if options.remove:
            shutil.rmtree(options.remove, ignore_errors=True)


def _end_with_starter(child: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
