"""Writers of the two file formats, batch by batch."""

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from service.exports.schemas import Format
from service.flights.schemas import FIELDS

Row = Sequence[Any]
"""The values of `FIELDS` of a flight."""


class CsvWriter:
    """Comma-separated values in UTF-8 with a header; nulls are empty, times are ISO 8601 in UTC."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(FIELDS)

    def close(self) -> None:
        self._file.close()

    def write(self, rows: Sequence[Row]) -> None:
        self._csv.writerows([_text(value) for value in row] for row in rows)


def _text(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


TYPES: Final[dict[str, pa.DataType]] = {
    "id": pa.int32(),
    "date": pa.date32(),
    "carrier": pa.string(),
    "number": pa.int32(),
    "tail_number": pa.string(),
    "origin": pa.string(),
    "destination": pa.string(),
    "scheduled_departure": pa.timestamp("s", "UTC"),
    "departure_delay_min": pa.int16(),
    "scheduled_arrival_local": pa.string(),
    "arrival_local": pa.string(),
    "arrival_delay_min": pa.int16(),
    "air_time_min": pa.int16(),
    "distance_mi": pa.int16(),
    "status": pa.string(),
    "version": pa.int32(),
}
"""The column types of a Parquet export, by name in `FIELDS`."""

SCHEMA: Final = pa.schema(list(TYPES.items()))


class ParquetWriter:
    """Parquet with zstd; every batch is a row group."""

    def __init__(self, path: Path) -> None:
        self._parquet = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def close(self) -> None:
        self._parquet.close()

    def write(self, rows: Sequence[Row]) -> None:
        columns = [
            pa.array(column, type=field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)
        ]
        self._parquet.write_batch(pa.record_batch(columns, schema=SCHEMA))


WRITERS: dict[Format, type[CsvWriter] | type[ParquetWriter]] = {Format.CSV: CsvWriter, Format.PARQUET: ParquetWriter}
