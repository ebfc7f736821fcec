"""Targets in files for the `file_sd_configs` of Prometheus.

Workers share a port for requests but not for metrics: each is a target of its own. A worker writes a file when it
starts to serve metrics and removes it when it stops; files of killed workers are removed by the next one that starts.
"""

import json
import os
import socket
from pathlib import Path
from typing import Final

_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 compared with, not bound to


class FileSdTarget:
    """This process as a target, in a file of a directory."""

    def __init__(self, directory: Path, *, service: str) -> None:
        self._directory = directory
        self._service = "".join(letter if letter.isalnum() else "-" for letter in service)
        self._path: Path | None = None

    def write(self, *, host: str, port: int, labels: dict[str, str]) -> Path:
        """Write the file and remove those of dead processes. Raise `OSError`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._remove_dead_processes()
        address = socket.gethostname() if host in _WILDCARDS else host
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        path = self._directory / f"{self._service}-{socket.gethostname()}-{os.getpid()}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps([{"targets": [target], "labels": labels}]) + "\n")
        draft.replace(path)
        self._path = path
        return path

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _remove_dead_processes(self) -> None:
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
        return True  # it belongs to another user
    return True
