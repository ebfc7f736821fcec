"""The files of exports, one per attempt: written under a temporary name, renamed when complete."""

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from service.exports.lease import Claim, ExportFile

PARTIAL: Final = ".partial"


class ExportFiles:
    """The directory of exports, shared by the service and its workers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def partial(self, claim: Claim) -> Path:
        """Return the path that an attempt writes to; create the directory."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory / f"{self._name(claim)}{PARTIAL}"

    def complete(self, claim: Claim, *, rows: int) -> ExportFile:
        """Sync the file to disk, rename it to its final name, and return it."""
        partial = self.partial(claim)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
            size_bytes = os.fstat(file.fileno()).st_size
        name = self._name(claim)
        partial.rename(self._directory / name)
        return ExportFile(name=name, size_bytes=size_bytes, rows=rows)

    def discard(self, claim: Claim) -> None:
        """Remove the files of the attempt; one that cannot be removed now is removed later as an orphan."""
        for name in (self._name(claim), f"{self._name(claim)}{PARTIAL}"):
            with suppress(OSError):
                self.remove(name)

    def path(self, name: str) -> Path:
        return self._directory / name

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        self.path(name).unlink(missing_ok=True)

    def remove_orphans(self, kept: Collection[str], *, older_than_s: float) -> int:
        """Remove files that no job refers to and that were last written `older_than_s` ago; return how many."""
        removed = 0
        if not self._directory.is_dir():
            return removed
        for file in self._directory.iterdir():
            if file.name in kept:
                continue
            try:
                if time.time() - file.stat().st_mtime < older_than_s:
                    continue
            except FileNotFoundError:
                continue
            self.remove(file.name)
            removed += 1
        return removed

    @staticmethod
    def _name(claim: Claim) -> str:
        return f"{claim.job_id}.{claim.lease[:8]}.{claim.request.format.value}"
