"""SQLite and PostgreSQL return the same responses, to the last digit and in the same order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from tests.servers.arm import Arm, arm_settings, running_arm
from tests.service.test_contract import ADDRESSES, response_of

pytestmark = pytest.mark.server("postgresql")

NOT_FROM_THE_DATABASE = "/weather/"


def walked(arm: Arm, query: str) -> Iterator[Any]:
    """Yield the items of every page of a list, and its cursor."""
    address: str | None = f"/flights?{query}"
    while address:
        page = arm.client.get(address).json()
        yield page
        cursor = page.get("next")
        address = cursor and f"/flights?{query}&cursor={cursor}"


@pytest.mark.parametrize("techniques", ["none", "all"])
def test_both_databases_return_the_same_responses(few_flights: Path, postgres_url: URL, techniques: str) -> None:
    url = postgres_url.render_as_string(hide_password=False)
    with (
        running_arm(arm_settings(techniques, few_flights)) as embedded,
        running_arm(arm_settings(techniques, few_flights, database_url=url)) as server,
    ):
        for address in ADDRESSES:
            if not address.startswith(NOT_FROM_THE_DATABASE):
                assert response_of(server, address) == response_of(embedded, address), address


@pytest.mark.parametrize(
    "query",
    [
        "sort=departure_delay_min&limit=500",
        "sort=-departure_delay_min&limit=499&carrier=EV",
        "sort=-scheduled_departure&limit=300",
    ],
)
def test_both_databases_return_the_same_pages(few_flights: Path, postgres_url: URL, query: str) -> None:
    url = postgres_url.render_as_string(hide_password=False)
    with (
        running_arm(arm_settings("all", few_flights)) as embedded,
        running_arm(arm_settings("all", few_flights, database_url=url)) as server,
    ):
        pages = list(walked(embedded, query))
        assert list(walked(server, query)) == pages

    assert len(pages) > 1
    items = [item["id"] for page in pages for item in page["items"]]
    assert len(set(items)) == len(items)
