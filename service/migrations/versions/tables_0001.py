"""Create the tables, with primary keys only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("tables",)
depends_on = None


def upgrade() -> None:
    """Create the reference tables, the flights, the weather, and the tables that the service writes."""
    _create_reference_tables()
    _create_flights_and_weather()
    _create_written_tables()


def downgrade() -> None:
    """Drop every table and its rows."""
    for table in (
        "export_jobs",
        "dataset_load",
        "status_changes",
        "weather",
        "flights",
        "aircraft",
        "airports",
        "airlines",
    ):
        op.drop_table(table)


def _create_reference_tables() -> None:
    op.create_table(
        "airlines",
        sa.Column("carrier", sa.String(2), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )
    op.create_table(
        "airports",
        sa.Column("faa", sa.String(3), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("latitude", sa.Float, nullable=False),
        sa.Column("longitude", sa.Float, nullable=False),
        sa.Column("altitude_ft", sa.Integer, nullable=False),
        sa.Column("utc_offset_h", sa.Float, nullable=False),
        sa.Column("dst", sa.String(1), nullable=False),
        sa.Column("timezone", sa.String(40)),
    )
    op.create_table(
        "aircraft",
        sa.Column("tail_number", sa.String(6), primary_key=True),
        sa.Column("year", sa.SmallInteger),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("manufacturer", sa.String(40), nullable=False),
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("engines", sa.SmallInteger, nullable=False),
        sa.Column("seats", sa.SmallInteger, nullable=False),
        sa.Column("speed", sa.SmallInteger),
        sa.Column("engine", sa.String(20), nullable=False),
    )


def _create_flights_and_weather() -> None:
    op.create_table(
        "flights",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("hour", sa.SmallInteger, nullable=False),
        sa.Column("carrier", sa.String(2), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tail_number", sa.String(6)),
        sa.Column("origin", sa.String(3), nullable=False),
        sa.Column("destination", sa.String(3), nullable=False),
        sa.Column("scheduled_departure", sa.DateTime(timezone=True), nullable=False),
        sa.Column("departure_delay_min", sa.SmallInteger),
        sa.Column("scheduled_arrival_local", sa.String(5), nullable=False),
        sa.Column("arrival_local", sa.String(5)),
        sa.Column("arrival_delay_min", sa.SmallInteger),
        sa.Column("air_time_min", sa.SmallInteger),
        sa.Column("distance_mi", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("source_record", sa.Text, nullable=False),
    )
    op.create_table(
        "weather",
        sa.Column("origin", sa.String(3), primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("temperature_f", sa.Float),
        sa.Column("dew_point_f", sa.Float),
        sa.Column("humidity_percent", sa.Float),
        sa.Column("wind_direction_deg", sa.SmallInteger),
        sa.Column("wind_speed_mph", sa.Float),
        sa.Column("wind_gust_mph", sa.Float),
        sa.Column("precipitation_in", sa.Float),
        sa.Column("pressure_mbar", sa.Float),
        sa.Column("visibility_mi", sa.Float),
    )


def _create_written_tables() -> None:
    op.create_table(
        "status_changes",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("flight_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status_before", sa.String(10), nullable=False),
        sa.Column("status_after", sa.String(10), nullable=False),
        sa.Column("departure_delay_min", sa.SmallInteger),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(32)),
    )
    op.create_table(
        "dataset_load",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "export_jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("sendings", sa.SmallInteger, nullable=False),
        sa.Column("rows_total", sa.Integer),
        sa.Column("rows_done", sa.Integer, nullable=False),
        sa.Column("file_name", sa.String(80)),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("error", sa.String(200)),
        sa.Column("traceparent", sa.String(60)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
