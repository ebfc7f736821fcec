"""Create the secondary indexes of the technique `indexes`."""

from alembic import op

revision = "0002"
down_revision = None
branch_labels = ("indexes",)
depends_on = "0001"

FILTERED = ["departure_delay_min", "status"]
COUNTED = ["carrier", "destination", "hour", "status", "departure_delay_min"]
INDEXES = {
    "ix_flights_departure": ("flights", ["scheduled_departure", "id", *FILTERED]),
    "ix_flights_origin_departure": ("flights", ["origin", "scheduled_departure", "id", *FILTERED]),
    "ix_flights_destination_departure": ("flights", ["destination", "scheduled_departure", "id", *FILTERED]),
    "ix_flights_carrier_departure": ("flights", ["carrier", "scheduled_departure", "id", *FILTERED]),
    "ix_flights_departure_delay": ("flights", ["departure_delay_min", "id"]),
    "ix_flights_origin_date": ("flights", ["origin", "date", *COUNTED]),
    "ix_status_changes_flight": ("status_changes", ["flight_id", "version"]),
}


def upgrade() -> None:
    """Create them; meanwhile the tables can be read, not written."""
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Drop them; rows are unchanged."""
    for name, (table, _columns) in INDEXES.items():
        op.drop_index(name, table)
