"""The compact copy: each file is verified before its first row is used."""

import csv
import hashlib
import io
import lzma
from collections.abc import Iterator
from pathlib import Path

from service.dataset.errors import DamagedFile
from service.dataset.manifest import FILES, Manifest


class Source:
    """The files of one directory and the manifest that they match."""

    def __init__(self, directory: Path = FILES) -> None:
        self._directory = directory
        self.manifest = Manifest.read(directory)

    def contents(self) -> dict[str, bytes]:
        """Return every file by name; raise `DamagedFile` if one is not what the manifest says."""
        return {name: self._content(name) for name in self.manifest.files}

    def _content(self, name: str) -> bytes:
        path = self._directory / f"{name}.xz"
        expected = f"sha256 {self.manifest.files[name].sha256}"
        try:
            content = lzma.decompress(path.read_bytes())
        except FileNotFoundError as error:
            raise DamagedFile(path, expected=expected, found="no file") from error
        except (OSError, lzma.LZMAError) as error:
            raise DamagedFile(path, expected=expected, found=str(error)) from error
        found = f"sha256 {hashlib.sha256(content).hexdigest()}"
        if found != expected:
            raise DamagedFile(path, expected=expected, found=found)
        return content


def records(content: bytes) -> Iterator[list[str]]:
    """Return the records of a CSV file, without its header."""
    reader = csv.reader(io.StringIO(content.decode(), newline=""))
    next(reader)
    return reader
