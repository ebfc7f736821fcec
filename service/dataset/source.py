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
        self._contents: dict[str, bytes] = {}
        self.manifest = Manifest.read(directory)

    def verify(self, name: str) -> None:
        """Read a file into memory; raise `DamagedFile` if it is not what the manifest says."""
        path = self._directory / f"{name}.xz"
        expected = self.manifest.files[name]
        try:
            content = lzma.decompress(path.read_bytes())
        except FileNotFoundError as error:
            raise DamagedFile(path, expected=f"sha256 {expected.sha256}", found="no file") from error
        except (OSError, lzma.LZMAError, EOFError) as error:
            raise DamagedFile(path, expected=f"sha256 {expected.sha256}", found=str(error)) from error
        found = hashlib.sha256(content).hexdigest()
        if found != expected.sha256:
            raise DamagedFile(path, expected=f"sha256 {expected.sha256}", found=f"sha256 {found}")
        self._contents[name] = content

    def records(self, name: str) -> tuple[list[str], Iterator[list[str]]]:
        """Return the header and the records of a verified file, which leaves the memory."""
        reader = csv.reader(io.StringIO(self._contents.pop(name).decode(), newline=""))
        return next(reader), reader
