from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from service.core.models import Airport, Flight
from service.itineraries.zones import DAY_MIN, UNLISTED_ZONES, local_day_start, local_time, next_wall_clock

ZONES = ("America/New_York", "America/Phoenix", "Pacific/Honolulu", "America/Anchorage", "America/Puerto_Rico")
JANUARY = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp()) // 60


@given(st.sampled_from(ZONES), st.integers(0, 365 * DAY_MIN), st.integers(0, DAY_MIN - 1))
def test_the_next_wall_clock_is_the_first_minute_with_that_local_time(zone: str, minute: int, clock: int) -> None:
    after = JANUARY + minute
    wanted = f"{clock // 60:02d}:{clock % 60:02d}"

    found = next_wall_clock(zone, after, wanted)

    local = local_time(zone, found)
    changes = {local_time(zone, moment).utcoffset() for moment in (after, found, after + DAY_MIN)}
    if len(changes) == 1:
        assert local.strftime("%H:%M") == wanted
        assert 0 < found - after <= DAY_MIN
    else:  # the night of the change: an hour is missing, or comes twice
        assert abs(found - after) <= DAY_MIN + 60


def test_the_change_to_summer_time_does_not_change_the_duration_of_a_flight() -> None:
    leaves = datetime(2013, 3, 9, 23, 0, tzinfo=ZoneInfo("America/New_York"))  # summer time begins at 2:00

    arrives = next_wall_clock("America/New_York", int(leaves.timestamp()) // 60, "05:00")

    assert arrives - int(leaves.timestamp()) // 60 == 5 * 60


def test_a_local_day_begins_at_local_midnight_and_may_have_23_hours() -> None:
    begin, end = (local_day_start("America/New_York", date(2013, 3, 10) + timedelta(days=n)) for n in (0, 1))

    assert local_time("America/New_York", begin).isoformat() == "2013-03-10T00:00:00-05:00"
    assert end - begin == 23 * 60


@pytest.mark.parametrize("faa", sorted(UNLISTED_ZONES))
def test_the_unlisted_zones_fit_the_times_of_the_flights(few_flights: Path, faa: str) -> None:
    engine = create_engine(f"sqlite:///{few_flights / 'flightdeck.db'}")
    with Session(engine) as session:
        assert session.get(Airport, faa) is None
        flights = session.execute(
            select(
                Flight.scheduled_departure, Flight.departure_delay_min, Flight.arrival_local, Flight.air_time_min
            ).where(Flight.destination == faa, Flight.air_time_min.is_not(None))
        ).all()
    engine.dispose()

    on_the_ground = []
    for scheduled, delay, arrival_clock, air_time in flights:
        assert delay is not None
        assert air_time is not None
        assert arrival_clock is not None
        left = int(scheduled.timestamp()) // 60 + delay
        on_the_ground.append(next_wall_clock(UNLISTED_ZONES[faa], left, arrival_clock) - left - air_time)

    assert flights
    assert 10 < median(on_the_ground) < 40, "what is left of the trip is taxiing; an hour more or less would show"


def test_every_listed_zone_is_a_valid_time_zone(few_flights: Path) -> None:
    engine = create_engine(f"sqlite:///{few_flights / 'flightdeck.db'}")
    with Session(engine) as session:
        zones = set(session.scalars(select(Airport.timezone).where(Airport.timezone.is_not(None))))
    engine.dispose()

    assert len(zones) > 5
    for zone in zones:
        local_day_start(str(zone), date(2013, 7, 1))
