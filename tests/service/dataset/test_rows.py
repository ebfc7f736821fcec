import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from service.dataset.rows import FACTS, TABLE_SOURCES, differences
from service.dataset.source import FILES, Manifest, Source


def row_of(file: str, line: str, number: int = 7) -> dict[str, Any]:
    """Return the row of a line of a source file, by column."""
    source = next(source for source in TABLE_SOURCES if source.file == file)
    row = source.row(next(csv.reader(io.StringIO(line))), number)
    return dict(zip(source.table.columns.keys(), row, strict=True))


def test_a_flight_keeps_every_field_of_its_record() -> None:
    line = "2013,6,30,2016,1930,46,NA,2220,NA,EV,4204,N14168,EWR,OKC,NA,1325,19,30,2013-06-30T23:00:00Z"
    row = row_of("flights.csv", line)
    assert json.loads(row.pop("source_record")) == {
        "year": "2013",
        "month": "6",
        "day": "30",
        "dep_time": "2016",
        "sched_dep_time": "1930",
        "dep_delay": "46",
        "arr_time": "NA",
        "sched_arr_time": "2220",
        "arr_delay": "NA",
        "carrier": "EV",
        "flight": "4204",
        "tailnum": "N14168",
        "origin": "EWR",
        "dest": "OKC",
        "air_time": "NA",
        "distance": "1325",
        "hour": "19",
        "minute": "30",
        "time_hour": "2013-06-30T23:00:00Z",
    }
    assert row == {
        "id": 7,
        "date": date(2013, 6, 30),
        "hour": 19,
        "carrier": "EV",
        "number": 4204,
        "tail_number": "N14168",
        "origin": "EWR",
        "destination": "OKC",
        "scheduled_departure": datetime(2013, 6, 30, 23, 30, tzinfo=UTC),
        "departure_delay_min": 46,
        "scheduled_arrival_local": "22:20",
        "arrival_local": None,
        "arrival_delay_min": None,
        "air_time_min": None,
        "distance_mi": 1325,
        "status": "diverted",
        "version": 1,
    }


@pytest.mark.parametrize(
    ("departure", "arrival_delay", "status"),
    [("NA", "NA", "cancelled"), ("517", "NA", "diverted"), ("517", "0", "arrived")],
)
def test_the_status_is_the_outcome_of_the_flight(departure: str, arrival_delay: str, status: str) -> None:
    line = f"2013,1,1,{departure},515,NA,NA,819,{arrival_delay},UA,1,NA,EWR,SJU,NA,1,5,15,2013-01-01T10:00:00Z"
    row = row_of("flights.csv", line)
    assert (row["status"], row["tail_number"], row["departure_delay_min"]) == (status, None, None)


@pytest.mark.parametrize(("written", "shown"), [("1", "00:01"), ("517", "05:17"), ("2400", "00:00"), ("2359", "23:59")])
def test_clock_times_are_hours_and_minutes(written: str, shown: str) -> None:
    line = f"2013,1,1,517,515,2,{written},819,11,UA,1,N1,EWR,IAH,1,1,5,15,2013-01-01T10:00:00Z"
    assert row_of("flights.csv", line)["arrival_local"] == shown


def test_missing_values_of_the_other_tables_are_null() -> None:
    assert row_of("airports.csv", "DVT,Deer Valley,33.4117,112.457,1478,8,A,NA")["timezone"] is None
    aircraft = row_of("planes.csv", "N1,NA,Fixed wing,BOEING,737,2,149,NA,Turbo-fan")
    assert (aircraft["year"], aircraft["speed"], aircraft["seats"]) == (None, None, 149)
    weather = row_of("weather.csv", "EWR,2013,1,1,1,NA,NA,NA,NA,NA,NA,0,NA,10,2013-01-01T06:00:00Z")
    assert [name for name, value in weather.items() if value is None] == [
        *("temperature_f", "dew_point_f", "humidity_percent", "wind_direction_deg"),
        *("wind_speed_mph", "wind_gust_mph", "pressure_mbar"),
    ]
    assert weather["time"] == datetime(2013, 1, 1, 6, tzinfo=UTC)


def test_every_table_of_the_source_has_the_columns_that_its_row_is_read_by() -> None:
    headers = {name: content.split(b"\n", 1)[0].decode() for name, content in Source().contents().items()}
    assert headers == {
        "airlines.csv": "carrier,name",
        "airports.csv": "faa,name,lat,lon,alt,tz,dst,tzone",
        "planes.csv": "tailnum,year,type,manufacturer,model,engines,seats,speed,engine",
        "weather.csv": (
            "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
        ),
        "flights.csv": (
            "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,"
            "carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
        ),
    }


def test_every_fact_is_counted_from_the_source_too() -> None:
    assert {fact.name for fact in FACTS} == Manifest.read(FILES).facts.keys()


def test_the_gaps_of_the_year_are_known() -> None:
    facts = Manifest.read(FILES).facts
    assert facts["flights"] == 336_776
    assert facts["cancelled flights"] == 8_255
    assert facts["flights without a tail number"] == 2_512
    assert facts["flights of an unknown aircraft"] == 50_094
    assert facts["flights to an unknown airport"] == 7_602


def test_a_difference_names_the_fact_and_both_numbers() -> None:
    assert differences({"flights": 1_000, "airlines": 16}, {"flights": 1_001, "airlines": 16, "aircraft": 5}) == [
        "flights: expected 1,001, found 1,000"
    ]


def test_a_sum_over_nothing_is_a_difference() -> None:
    assert differences({"miles scheduled": None}, {"miles scheduled": 9}) == ["miles scheduled: expected 9, found 0"]
