"""The compact copy of the data set and its manifest; every file is verified before its first row is used."""

import csv
import hashlib
import io
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from service.dataset.errors import DamagedFile

FILES = Path(__file__).parent / "files"
"""The copy in the repository."""


class SourceFile(BaseModel):
    """One CSV file as the source published it; it is stored compressed as `<name>.xz`."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Records, without the header."""
    size_bytes: int
    """Size before compression."""
    sha256: str
    """Digest before compression."""


class Manifest(BaseModel):
    """The files of a copy, their origin, and the facts that a correct load has."""

    model_config = ConfigDict(frozen=True)

    source: str
    licence: str
    files: dict[str, SourceFile]
    facts: dict[str, int]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Return the manifest of the copy in the directory; raise `DamagedFile`."""
        path = directory / "manifest.json"
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DamagedFile(path, expected="a manifest", found="no file") from error
        except ValidationError as error:
            problem = error.errors()[0]
            raise DamagedFile(path, expected="a manifest", found=f"{problem['msg']} at {problem['loc']}") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Source:
    """A copy in a directory."""

    def __init__(self, directory: Path = FILES) -> None:
        self._directory = directory
        self.manifest = Manifest.read(directory)

    def contents(self) -> dict[str, bytes]:
        """Return the content of every file by name; raise `DamagedFile` if one does not match the manifest."""
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
