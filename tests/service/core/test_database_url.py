from pathlib import Path

import pytest

from service.core.database_url import embedded_url, parsed, unindexed_twin


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("sqlite+aiosqlite:////var/a b.db", "sqlite+aiosqlite:////var/a b.db"),
        ("postgres://me:secret@host:5433/flights", "postgresql+asyncpg://me:secret@host:5433/flights"),
        ("postgresql://host/flights", "postgresql+asyncpg://host/flights"),
        ("postgresql+asyncpg://host/flights?ssl=require", "postgresql+asyncpg://host/flights?ssl=require"),
    ],
)
def test_the_urls_that_people_write_get_the_drivers_of_the_service(written: str, meant: str) -> None:
    assert parsed(written).render_as_string(hide_password=False) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("flights", "mysql://host/flights", "postgresql+psycopg2://host/flights", "postgresql://host", "://", ""),
        *("sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "postgresql://host:port/flights"),
    ],
)
def test_other_urls_are_rejected_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: sqlite\+aiosqlite:.* or postgresql\+asyncpg:"):
        parsed(text)


@pytest.mark.parametrize(
    ("url", "twin"),
    [
        ("sqlite:////data/flightdeck.db", "sqlite+aiosqlite:////data/flightdeck-unindexed.db"),
        ("sqlite:///year", "sqlite+aiosqlite:///year-unindexed"),
        ("postgresql://me:secret@host/flights", "postgresql+asyncpg://me:secret@host/flights_unindexed"),
    ],
)
def test_the_twin_stands_beside_the_database(url: str, twin: str) -> None:
    assert unindexed_twin(parsed(url)).render_as_string(hide_password=False) == twin


def test_a_path_survives_its_way_through_a_url() -> None:
    path = Path("/data of mine/ä%20#1/flightdeck.db")
    assert parsed(embedded_url(path)).database == str(path)
