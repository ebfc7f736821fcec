"""Conversion between UTC, in minutes since 1970, and the local time of airports."""

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

DAY_MIN: Final = 24 * 60

# Missing in the airport table; the flight times of the data fit no other zones.
UNLISTED_ZONES: Final = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}


@lru_cache(maxsize=16_384)
def _offset_at_hour(zone: str, hour: int) -> int:
    """Return minutes east of UTC in an hour since 1970; no zone here changes its offset within an hour."""
    offset = datetime.fromtimestamp(hour * 3600, ZoneInfo(zone)).utcoffset()
    assert offset is not None  # noqa: S101 for the type checker: the time is aware
    return int(offset.total_seconds()) // 60


def utc_offset_min(zone: str, minute: int) -> int:
    """Return minutes east of UTC at a minute since 1970."""
    return _offset_at_hour(zone, minute // 60)


def local_day_start(zone: str, day: date) -> int:
    """Return the minute, since 1970 in UTC, at which a calendar day begins in a zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) // 60


def next_wall_clock(zone: str, after: int, clock: str) -> int:
    """Return the first minute after `after` at which the local time in a zone is HH:MM."""
    wanted = int(clock[:2]) * 60 + int(clock[3:])
    local = after + utc_offset_min(zone, after)
    ahead = (wanted - local) % DAY_MIN or DAY_MIN
    guess = after + ahead
    # The offset may change in between.
    return guess + utc_offset_min(zone, after) - utc_offset_min(zone, guess)


def local_time(zone: str, minute: int) -> datetime:
    """Return a minute since 1970 as an aware time in a zone."""
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))
