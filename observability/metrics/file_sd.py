"""Where each worker's metrics are, as files that Prometheus' `file_sd_configs` reads.

Workers share a port for requests but not for metrics: each has numbers, exemplars and gauges of its own, so each is a
target of its own. A worker writes one file when it starts to serve and removes it when it stops; what a killed worker
left behind, the next one to start removes.
"""

import json
import os
import socket
from pathlib import Path
from typing import Final

_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 compared with, not bound to


class FileSdTarget:
    """This process's file in a directory of targets."""

    def __init__(self, directory: Path, *, service: str) -> None:
        self._directory = directory
        self._service = "".join(letter if letter.isalnum() else "-" for letter in service)
        self._path: Path | None = None

    def write(self, *, host: str, port: int, labels: dict[str, str]) -> Path:
        """Announce that this process serves metrics there; forget processes that are gone. Raise `OSError`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._forget_the_dead()
        address = socket.gethostname() if host in _WILDCARDS else host
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        path = self._directory / f"{self._service}-{socket.gethostname()}-{os.getpid()}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps([{"targets": [target], "labels": labels}]) + "\n")
        draft.replace(path)
        self._path = path
        return path

    def remove(self) -> None:
        """Take the announcement back."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _forget_the_dead(self) -> None:
        for path in self._directory.glob(f"{self._service}-{socket.gethostname()}-*.json"):
            pid = path.stem.rpartition("-")[2]
            if pid.isdigit() and not _is_alive(int(pid)):
                path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
