"""The rows of the tables from the records of the source, and the facts that the loaded tables have to show."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby

from sqlalchemy import Table

from service.core.models import Aircraft, Airline, Airport, Base, Flight, Weather

MISSING = "NA"
"""A missing value in the source."""

Value = str | int | float | date | datetime | None
Row = tuple[Value, ...]
Record = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """The file of a table, and the function from a record to a row (columns in the table's order)."""

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


TABLE_SOURCES = (
    TableSource(file="airlines.csv", table=Base.metadata.tables[Airline.__tablename__], row=_airline),
    TableSource(file="airports.csv", table=Base.metadata.tables[Airport.__tablename__], row=_airport),
    TableSource(file="planes.csv", table=Base.metadata.tables[Aircraft.__tablename__], row=_aircraft),
    TableSource(file="weather.csv", table=Base.metadata.tables[Weather.__tablename__], row=_weather),
    TableSource(file="flights.csv", table=Base.metadata.tables[Flight.__tablename__], row=_flight),
)
"""The tables of the data set, small ones first."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """An aggregate over a loaded table; the manifest has its expected value, counted from the source."""

    name: str
    table: str
    sql: str = "count(*)"
    lasting: bool = True
    """Whether status updates leave it unchanged."""


FACTS = (
    Fact(name="airlines", table="airlines"),
    Fact(name="airports", table="airports"),
    Fact(name="aircraft", table="aircraft"),
    Fact(name="weather hours", table="weather"),
    Fact(
        name="weather hours without a pressure",
        table="weather",
        sql="count(*) FILTER (WHERE pressure_mbar IS NULL)",
    ),
    Fact(name="flights", table="flights"),
    Fact(
        name="flights without a tail number",
        table="flights",
        sql="count(*) FILTER (WHERE tail_number IS NULL)",
    ),
    Fact(
        name="flights of an unknown aircraft",
        table="flights",
        sql="count(*) FILTER (WHERE tail_number NOT IN (SELECT tail_number FROM aircraft))",
    ),
    Fact(
        name="flights to an unknown airport",
        table="flights",
        sql="count(*) FILTER (WHERE destination NOT IN (SELECT faa FROM airports))",
    ),
    Fact(name="miles scheduled", table="flights", sql="sum(distance_mi)"),
    Fact(name="minutes in the air", table="flights", sql="sum(air_time_min)"),
    Fact(name="minutes late at arrival", table="flights", sql="sum(arrival_delay_min)"),
    Fact(name="minutes late at departure", table="flights", sql="sum(departure_delay_min)", lasting=False),
    Fact(
        name="cancelled flights",
        table="flights",
        sql="count(*) FILTER (WHERE status = 'cancelled')",
        lasting=False,
    ),
    Fact(
        name="diverted flights",
        table="flights",
        sql="count(*) FILTER (WHERE status = 'diverted')",
        lasting=False,
    ),
)


def fact_queries(*, fresh: bool) -> list[tuple[str, list[str]]]:
    """Return a query per table and the names of its columns: all facts for a fresh load, else the lasting ones."""
    chosen = [fact for fact in FACTS if fresh or fact.lasting]
    return [
        (f"SELECT {', '.join(fact.sql for fact in facts)} FROM {table}", [fact.name for fact in facts])  # noqa: S608 constants of this module
        for table, group in groupby(chosen, key=lambda fact: fact.table)
        for facts in [list(group)]
    ]


def differences(found: Mapping[str, int | None], expected: Mapping[str, int]) -> list[str]:
    """Return a line for every fact that differs."""
    return [
        f"{name}: expected {expected[name]:,}, found {number or 0:,}"
        for name, number in found.items()
        if (number or 0) != expected[name]
    ]
