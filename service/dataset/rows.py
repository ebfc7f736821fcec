"""From a record of the source to the row of its table."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from sqlalchemy import Table

from service.core.models import Aircraft, Airline, Airport, Base, Flight, Weather

MISSING = "NA"
"""How the source writes a missing value, in every file."""

Value = str | int | float | date | datetime | None
Row = tuple[Value, ...]
Record = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Which file fills a table, and how a record becomes a row (columns in the table's order)."""

    file: str
    table: Table
    row: Callable[[Record, int], Row]
    """Takes the record and its number in the file, from 1."""


def _integer(text: str) -> int | None:
    return None if text == MISSING else int(text)


def _decimal(text: str) -> float | None:
    return None if text == MISSING else float(text)


def _text(text: str) -> str | None:
    return None if text == MISSING else text


@cache
def _hour(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _day(year: str, month: str, day: str) -> date:
    return date(int(year), int(month), int(day))


@cache
def _clock(text: str) -> str | None:
    """Return HH:MM for the source's `517` or `2400`, which is midnight."""
    if text == MISSING:
        return None
    hour, minute = divmod(int(text), 100)
    return f"{hour % 24:02d}:{minute:02d}"


@cache
def _minutes(text: str) -> timedelta:
    return timedelta(minutes=int(text))


def _airline(record: Record, _: int) -> Row:
    carrier, name = record
    return carrier, name


def _airport(record: Record, _: int) -> Row:
    faa, name, latitude, longitude, altitude, offset, dst, timezone = record
    return faa, name, float(latitude), float(longitude), int(altitude), float(offset), dst, _text(timezone)


def _aircraft(record: Record, _: int) -> Row:
    tail_number, year, kind, manufacturer, model, engines, seats, speed, engine = record
    return (
        *(tail_number, _integer(year), kind, manufacturer, model),
        *(int(engines), int(seats), _integer(speed), engine),
    )


def _weather(record: Record, _: int) -> Row:
    origin, time = record[0], record[-1]
    temperature, dew_point, humidity, direction, speed, gust, precipitation, pressure, visibility = record[5:-1]
    return (
        *(origin, _hour(time), _decimal(temperature), _decimal(dew_point), _decimal(humidity), _integer(direction)),
        *(_decimal(speed), _decimal(gust), _decimal(precipitation), _decimal(pressure), _decimal(visibility)),
    )


FLIGHT_HEADER = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def _flight(record: Record, number: int) -> Row:
    year, month, day, departure, _scheduled, departure_delay, arrival, scheduled_arrival, arrival_delay = record[:9]
    carrier, flight, tail_number, origin, destination, air_time, distance, hour, minute, time_hour = record[9:]
    if departure == MISSING:
        status = "cancelled"
    elif arrival_delay == MISSING:
        status = "diverted"
    else:
        status = "arrived"
    return (
        number,
        _day(year, month, day),
        int(hour),
        carrier,
        int(flight),
        _text(tail_number),
        origin,
        destination,
        _hour(time_hour) + _minutes(minute),
        _integer(departure_delay),
        _clock(scheduled_arrival),
        _clock(arrival),
        _integer(arrival_delay),
        _integer(air_time),
        int(distance),
        status,
        1,
        _to_json(dict(zip(FLIGHT_HEADER, record, strict=True))),
    )


MAPPINGS = (
    Mapping(file="airlines.csv", table=Base.metadata.tables[Airline.__tablename__], row=_airline),
    Mapping(file="airports.csv", table=Base.metadata.tables[Airport.__tablename__], row=_airport),
    Mapping(file="planes.csv", table=Base.metadata.tables[Aircraft.__tablename__], row=_aircraft),
    Mapping(file="weather.csv", table=Base.metadata.tables[Weather.__tablename__], row=_weather),
    Mapping(file="flights.csv", table=Base.metadata.tables[Flight.__tablename__], row=_flight),
)
"""The tables that the data set fills, small ones first."""
