"""Targets in files for the `file_sd_configs` of Prometheus.

Workers share a port for requests but not for metrics: each is a target of its own. A worker writes a file when it
starts to serve metrics, touches it while it does and removes it when it stops. Files of killed workers are removed by
those of the same host; those of other hosts, such as containers that no longer exist, when they were not touched.
"""

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

from observability.core.internal_errors import suppress_internal_errors

TOUCH_EVERY_S: Final = 60.0
UNTOUCHED_S: Final = 300.0
"""Age of a file whose process no longer exists."""

_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 compared with, not bound to


class FileSdTarget:
    """This process as a target, in a file of a directory."""

    def __init__(self, directory: Path, *, service: str) -> None:
        self._directory = directory
        self._service = "".join(letter if letter.isalnum() else "-" for letter in service)
        self._path: Path | None = None
        self._stopped = Event()
        self._thread: Thread | None = None

    def write(self, *, host: str, port: int, labels: dict[str, str]) -> Path:
        """Write the file and remove those of dead processes. Raise `OSError`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._remove_dead_processes()
        address = socket.gethostname() if host in _WILDCARDS else host
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        path = self._directory / f"{self._service}-{socket.gethostname()}-{os.getpid()}.json"
        text = json.dumps([{"targets": [target], "labels": labels}]) + "\n"
        _write(path, text)
        self._path = path
        self._remove_untouched(path)
        self._thread = Thread(target=self._touch, args=(path, text), name="observability-file-sd", daemon=True)
        self._thread.start()
        return path

    def remove(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
            self._thread = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _touch(self, path: Path, text: str) -> None:
        while not self._stopped.wait(TOUCH_EVERY_S):
            with suppress_internal_errors("metrics_targets"):
                _write(path, text)
                self._remove_untouched(path)

    def _remove_untouched(self, own: Path) -> None:
        """Compare with the own file, because clocks of hosts differ from that of a shared directory."""
        now_s = own.stat().st_mtime
        for path in self._directory.glob(f"{self._service}-*.json"):
            with suppress(FileNotFoundError):
                if now_s - path.stat().st_mtime > UNTOUCHED_S:
                    path.unlink()

    def _remove_dead_processes(self) -> None:
        for path in self._directory.glob(f"{self._service}-{socket.gethostname()}-*.json"):
            pid = path.stem.rpartition("-")[2]
            if pid.isdigit() and not _is_alive(int(pid)):
                path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it belongs to another user
    return True
