"""Exports written in the request: their filters, their owners and the contents of their files."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from service.flights.schemas import FIELDS
from tests.servers.arm import BEARER, Arm, arm_settings, running_arm
from tests.service.exports.conftest import create_export, export_of


def listed(arm: Arm, query: str) -> list[dict[str, Any]]:
    """Return every flight of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = arm.client.get(f"/flights?limit=500&{query}{cursor}").json()
        items += page["items"]
        if page.get("next") is None:
            return items
        cursor = f"&cursor={page['next']}"


def file_of(arm: Arm, address: str, **headers: str) -> Any:
    return arm.client.get(f"{address}/file", headers=BEARER | headers)


def test_a_csv_file_has_the_flights_of_the_filter_by_departure(inline: Arm) -> None:
    created = create_export(inline, format="csv", origin="LGA", date_from="2013-01-01", date_to="2013-02-01")
    assert created.status_code == 201
    flights = listed(inline, "origin=LGA&date_from=2013-01-01&date_to=2013-02-01")
    response = file_of(inline, created.headers["Location"])
    rows = list(csv.DictReader(io.StringIO(response.text)))

    assert len(rows) > 500, "more than a page of the list"
    assert tuple(rows[0]) == FIELDS
    texts = [{name: "" if flight[name] is None else str(flight[name]) for name in FIELDS} for flight in flights]
    assert rows == texts
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["Content-Disposition"]


def test_a_parquet_file_has_the_same_flights_with_types(inline: Arm, tmp_path: Path) -> None:
    created = create_export(inline, format="parquet", carrier="B6", min_delay_min=60)
    file = tmp_path / "flights.parquet"
    file.write_bytes(file_of(inline, created.headers["Location"]).content)
    flights = listed(inline, "carrier=B6&min_delay_min=60")
    rows = pq.read_table(file).to_pylist()

    assert len(rows) > 20
    for row, flight in zip(rows, flights, strict=True):
        as_listed = row | {
            "date": row["date"].isoformat(),
            "scheduled_departure": row["scheduled_departure"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        assert as_listed == flight


def test_an_export_without_flights_is_a_file_with_a_header_only(inline: Arm) -> None:
    created = create_export(inline, format="csv", carrier="ZZ")

    assert created.json()["rows"] == 0
    assert created.json()["progress_percent"] == 100
    assert file_of(inline, created.headers["Location"]).text == ",".join(FIELDS) + "\r\n"


def test_a_range_of_the_file_is_sent_uncompressed(inline: Arm) -> None:
    address = create_export(inline, format="csv", origin="JFK").headers["Location"]
    whole = file_of(inline, address, **{"Accept-Encoding": "identity"})
    part = file_of(inline, address, Range="bytes=100-199", **{"Accept-Encoding": "gzip, zstd"})
    rest = file_of(inline, address, Range=f"bytes={len(whole.content) - 10}-", **{"If-Range": whole.headers["ETag"]})
    beyond = file_of(inline, address, Range="bytes=999999999-")
    changed = file_of(inline, address, Range="bytes=0-9", **{"If-Range": '"another"', "Accept-Encoding": "identity"})

    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.content)}"
    assert "Content-Encoding" not in part.headers
    assert (rest.status_code, rest.content) == (206, whole.content[-10:])
    assert beyond.status_code == 416
    assert (changed.status_code, changed.content) == (200, whole.content)


@pytest.mark.parametrize(
    ("range_header", "status", "start", "end"),
    [
        ("items=0-4", 200, 0, None),
        ("nonsense", 200, 0, None),
        ("bytes=0-4,999999999-", 206, 0, 5),
        ("bytes=999999999-,-5", 206, -5, None),
        ("bytes=-0", 416, 0, 0),
        ("bytes=4-1", 400, 0, 0),
        ("bytes=0-4,4-1", 400, 0, 0),
        ("bytes=1_0-20", 400, 0, 0),
    ],
)
def test_a_range_has_the_meaning_of_rfc_9110(
    inline: Arm, range_header: str, status: int, start: int, end: int | None
) -> None:
    address = create_export(inline, format="csv", carrier="ZZ").headers["Location"]
    whole = file_of(inline, address, **{"Accept-Encoding": "identity"})
    part = file_of(inline, address, Range=range_header, **{"Accept-Encoding": "identity"})

    assert part.status_code == status, part.text
    if status < 400:
        assert part.content == whole.content[start:end]
        assert part.headers["Vary"] == whole.headers["Vary"] == "Accept-Encoding"
        assert part.headers["ETag"] == whole.headers["ETag"]
    if status == 416:
        assert part.headers["Content-Range"] == f"bytes */{len(whole.content)}"


def test_head_ignores_a_range(inline: Arm) -> None:
    address = create_export(inline, format="csv", carrier="ZZ").headers["Location"]
    whole = file_of(inline, address, **{"Accept-Encoding": "identity"})
    for range_header in ("bytes=0-4", "bytes=999999999-", "bytes=4-1"):
        head = inline.client.head(
            f"{address}/file", headers={**BEARER, "Range": range_header, "Accept-Encoding": "identity"}
        )
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole.content)))


def test_the_whole_file_can_be_sent_compressed(inline: Arm) -> None:
    address = create_export(inline, format="csv", origin="JFK").headers["Location"]

    plain = file_of(inline, address, **{"Accept-Encoding": "identity"})
    packed = file_of(inline, address, **{"Accept-Encoding": "gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == plain.content
    assert packed.headers["Cache-Control"] == "private, no-store"


def test_a_repeated_idempotency_key_returns_the_first_export(inline: Arm) -> None:
    first = create_export(inline, key="mine", format="csv", carrier="UA")
    again = create_export(inline, key="mine", format="csv", carrier="UA")
    other_body = create_export(inline, key="mine", format="csv", carrier="AA")
    other_key = create_export(inline, key="yours", format="csv", carrier="UA")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert other_body.status_code == 422
    assert other_body.json()["type"].endswith("idempotency-key-reused")
    assert other_key.json()["id"] != first.json()["id"]


def test_concurrent_requests_with_one_key_create_one_export(inline: Arm) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: create_export(inline, key="at-once", format="csv", carrier="UA"), range(8)))

    assert {response.status_code for response in responses} <= {200, 201}
    assert len({response.json()["id"] for response in responses}) == 1
    assert [response.status_code for response in responses].count(201) == 1


def test_a_deleted_export_has_no_file_and_says_so(inline: Arm, data_dir: Path) -> None:
    address = create_export(inline, format="csv", carrier="UA").headers["Location"]

    assert inline.client.delete(address, headers=BEARER).status_code == 204
    assert inline.client.delete(address, headers=BEARER).status_code == 204
    assert export_of(inline, address)["state"] == "cancelled"
    assert file_of(inline, address).status_code == 410
    assert list((data_dir / "exports").iterdir()) == []


def test_a_deleted_file_is_a_410(inline: Arm, data_dir: Path) -> None:
    address = create_export(inline, format="csv", carrier="UA").headers["Location"]
    for file in (data_dir / "exports").iterdir():
        file.unlink()

    assert file_of(inline, address).status_code == 410


@pytest.mark.parametrize("path", ["", "/file"])
def test_an_export_is_visible_only_with_the_token_that_created_it(inline: Arm, data_dir: Path, path: str) -> None:
    address = create_export(inline, format="csv", carrier="UA").headers["Location"] + path

    assert inline.client.get(address).status_code == 401
    assert inline.client.get(address, headers={"Authorization": "Bearer another"}).status_code == 401
    with running_arm(arm_settings({"indexes"}, data_dir, write_token="another")) as other:
        assert other.client.get(address, headers={"Authorization": "Bearer another"}).status_code == 404
    with running_arm(arm_settings({"indexes"}, data_dir, write_token="")) as closed:
        assert closed.client.get(address, headers=BEARER).status_code == 403


def test_ids_are_long_random_texts(inline: Arm) -> None:
    ids = {create_export(inline, format="csv", carrier="ZZ").json()["id"] for _ in range(5)}

    assert len(ids) == 5
    assert all(len(one) == 24 for one in ids)
    assert inline.client.get("/exports/1", headers=BEARER).status_code == 404


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"format": "xlsx"}, "csv"),
        ({"format": "csv", "origin": "jfk"}, "origin"),
        ({"format": "csv", "date_from": "2013-02-30"}, "date_from"),
        ({"format": "csv", "date_from": "2013-07-02", "date_to": "2013-07-01"}, "date_from on or before date_to"),
        ({"format": "csv", "limit": 5}, "limit"),
        ({"format": "csv", "status": "late"}, "status"),
    ],
)
def test_an_invalid_export_is_rejected_and_writes_nothing(
    inline: Arm, data_dir: Path, body: dict[str, Any], text: str
) -> None:
    rejected = create_export(inline, **body)

    assert rejected.status_code == 422
    assert text in rejected.text
    assert not (data_dir / "exports").exists()


def test_a_body_that_is_not_json_is_rejected(inline: Arm) -> None:
    assert inline.client.post("/exports", content=b"{", headers=BEARER).status_code == 415
    malformed = inline.client.post("/exports", content=b"{", headers=BEARER | {"Content-Type": "application/json"})
    assert malformed.status_code == 400


def test_a_malformed_idempotency_key_is_rejected(inline: Arm) -> None:
    assert create_export(inline, key="a b", format="csv").status_code == 422
    assert create_export(inline, key="x" * 201, format="csv").status_code == 422


def test_a_disk_error_is_a_503_and_the_key_can_be_used_again(inline: Arm, data_dir: Path) -> None:
    (data_dir / "exports").write_text("a file where the directory should be")
    rejected = create_export(inline, key="mine", format="csv")
    (data_dir / "exports").unlink()

    assert rejected.status_code == 503
    assert int(rejected.headers["Retry-After"]) >= 1
    assert create_export(inline, key="mine", format="csv").status_code == 201
