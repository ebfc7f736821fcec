"""The tables. They have no foreign keys: flights refer to aircraft and airports that the reference tables lack."""

from datetime import UTC, date, datetime

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship, remote
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware timestamp in UTC, even if the database stores no time zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 the signature is SQLAlchemy's
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 the signature is SQLAlchemy's
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(AsyncAttrs, DeclarativeBase):
    """The base of all tables."""


class Airline(Base):
    __tablename__ = "airlines"

    carrier: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Airport(Base):
    __tablename__ = "airports"

    faa: Mapped[str] = mapped_column(String(3), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    latitude: Mapped[float] = mapped_column(Float)
    longitude: Mapped[float] = mapped_column(Float)
    altitude_ft: Mapped[int] = mapped_column(Integer)
    utc_offset_h: Mapped[float] = mapped_column(Float)
    dst: Mapped[str] = mapped_column(String(1))
    timezone: Mapped[str | None] = mapped_column(String(40))


class Aircraft(Base):
    """An aircraft, by its tail number."""

    __tablename__ = "aircraft"

    tail_number: Mapped[str] = mapped_column(String(6), primary_key=True)
    year: Mapped[int | None] = mapped_column(SmallInteger)
    type: Mapped[str] = mapped_column(String(40))
    manufacturer: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(40))
    engines: Mapped[int] = mapped_column(SmallInteger)
    seats: Mapped[int] = mapped_column(SmallInteger)
    speed: Mapped[int | None] = mapped_column(SmallInteger)
    engine: Mapped[str] = mapped_column(String(20))


class Flight(Base):
    """A scheduled departure from New York City in 2013 and its outcome."""

    __tablename__ = "flights"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    date: Mapped[date] = mapped_column(Date)
    """Local date of the scheduled departure."""
    hour: Mapped[int] = mapped_column(SmallInteger)
    """Local hour of the scheduled departure, 0 to 23."""
    carrier: Mapped[str] = mapped_column(String(2))
    number: Mapped[int] = mapped_column(Integer)
    tail_number: Mapped[str | None] = mapped_column(String(6))
    origin: Mapped[str] = mapped_column(String(3))
    destination: Mapped[str] = mapped_column(String(3))
    scheduled_departure: Mapped[datetime] = mapped_column(UtcDateTime)
    departure_delay_min: Mapped[int | None] = mapped_column(SmallInteger)
    scheduled_arrival_local: Mapped[str] = mapped_column(String(5))
    """Local time at the destination, HH:MM: the time zones of four destinations are unknown."""
    arrival_local: Mapped[str | None] = mapped_column(String(5))
    arrival_delay_min: Mapped[int | None] = mapped_column(SmallInteger)
    air_time_min: Mapped[int | None] = mapped_column(SmallInteger)
    distance_mi: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[str] = mapped_column(String(10))
    """One of `flights.status.Status`."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    """Starts at 1 and counts status updates."""
    source_record: Mapped[str] = mapped_column(Text)
    """The record of the source, as JSON."""

    airline: Mapped[Airline | None] = relationship(
        primaryjoin=lambda: foreign(Flight.carrier) == remote(Airline.carrier), viewonly=True
    )
    aircraft: Mapped[Aircraft | None] = relationship(
        primaryjoin=lambda: foreign(Flight.tail_number) == remote(Aircraft.tail_number), viewonly=True
    )
    destination_airport: Mapped[Airport | None] = relationship(
        primaryjoin=lambda: foreign(Flight.destination) == remote(Airport.faa), viewonly=True
    )


class Weather(Base):
    """The weather at a New York airport in one hour."""

    __tablename__ = "weather"

    origin: Mapped[str] = mapped_column(String(3), primary_key=True)
    time: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    temperature_f: Mapped[float | None] = mapped_column(Float)
    dew_point_f: Mapped[float | None] = mapped_column(Float)
    humidity_percent: Mapped[float | None] = mapped_column(Float)
    wind_direction_deg: Mapped[int | None] = mapped_column(SmallInteger)
    wind_speed_mph: Mapped[float | None] = mapped_column(Float)
    wind_gust_mph: Mapped[float | None] = mapped_column(Float)
    precipitation_in: Mapped[float | None] = mapped_column(Float)
    pressure_mbar: Mapped[float | None] = mapped_column(Float)
    visibility_mi: Mapped[float | None] = mapped_column(Float)


class StatusChange(Base):
    """The audit trail: one row for every accepted status update."""

    __tablename__ = "status_changes"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    flight_id: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    """The flight's version after this change."""
    status_before: Mapped[str] = mapped_column(String(10))
    status_after: Mapped[str] = mapped_column(String(10))
    departure_delay_min: Mapped[int | None] = mapped_column(SmallInteger)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    trace_id: Mapped[str | None] = mapped_column(String(32))


class OutboxEntry(Base):
    """A change to deliver to subscribers: inserted in the transaction of the change, deleted after the delivery."""

    __tablename__ = "outbox"

    change_id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    """The row of the audit trail."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When any process may deliver it, because the one that wrote the change has not."""


class ExportJob(Base):
    """An export and its state. The row is authoritative; a message only triggers a worker to read it."""

    __tablename__ = "export_jobs"
    __table_args__ = (UniqueConstraint("owner", "idempotency_key"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random, so that ids cannot be guessed."""
    owner: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the bearer token of the request."""
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request: Mapped[str] = mapped_column(Text)
    """The filter and the format, as JSON."""
    state: Mapped[str] = mapped_column(String(10))
    """One of `exports.schemas.State`."""
    lease: Mapped[str | None] = mapped_column(String(32))
    """The lease of the attempt that may write."""
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When an unfinished job is sent to the workers again, because its lease has expired."""
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    sendings: Mapped[int] = mapped_column(SmallInteger, default=1)
    rows_total: Mapped[int | None] = mapped_column(Integer)
    rows_done: Mapped[int] = mapped_column(Integer, default=0)
    file_name: Mapped[str | None] = mapped_column(String(80))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(String(200))
    traceparent: Mapped[str | None] = mapped_column(String(60))
    """The trace of the request, in W3C form."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DatasetLoad(Base):
    """The loaded data set, in one row that a load inserts when it is complete."""

    __tablename__ = "dataset_load"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the data set's manifest."""
    loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)


# The filters of lists, so that only matching flights are fetched from the table.
_FILTERED = (Flight.departure_delay_min, Flight.status)
# The columns of reports, so that they scan the index only, a tenth of the table.
_COUNTED = (Flight.carrier, Flight.destination, Flight.hour, Flight.status, Flight.departure_delay_min)

SECONDARY_INDEXES = (
    Index("ix_flights_departure", Flight.scheduled_departure, Flight.id, *_FILTERED),
    Index("ix_flights_origin_departure", Flight.origin, Flight.scheduled_departure, Flight.id, *_FILTERED),
    Index("ix_flights_destination_departure", Flight.destination, Flight.scheduled_departure, Flight.id, *_FILTERED),
    Index("ix_flights_carrier_departure", Flight.carrier, Flight.scheduled_departure, Flight.id, *_FILTERED),
    Index("ix_flights_departure_delay", Flight.departure_delay_min, Flight.id),
    Index("ix_flights_origin_date", Flight.origin, Flight.date, *_COUNTED),
    Index("ix_status_changes_flight", StatusChange.flight_id, StatusChange.version),
)
"""The indexes of the technique `indexes`; the twin database lacks them."""
