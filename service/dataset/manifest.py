"""The manifest: what the files of the compact copy contain."""

import hashlib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from service.dataset.errors import DamagedFile

FILES = Path(__file__).parent / "files"
"""The copy that the repository carries."""


class SourceFile(BaseModel):
    """One CSV file as the source published it; it is stored compressed as `<name>.xz`."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Records, the header not counted."""
    size_bytes: int
    """Size before compression."""
    sha256: str
    """Digest before compression."""


class Manifest(BaseModel):
    """The files of a copy, where they come from, and the facts that a correct load shows."""

    model_config = ConfigDict(frozen=True)

    source: str
    licence: str
    files: dict[str, SourceFile]
    facts: dict[str, int]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Return the manifest of the copy in this directory; raise `DamagedFile` when it cannot be read."""
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
        """SHA-256 over the manifest, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
