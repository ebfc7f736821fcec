"""Concurrent status updates on every kind of database."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from service.core.models import StatusChange
from tests.servers.arm import BEARER, arm_settings, running_arm
from tests.servers.databases import opened

UPDATES = 40


@pytest.mark.anyio
@pytest.mark.parametrize("techniques", ["none", "all"])
async def test_concurrent_updates_are_all_written_one_after_the_other(
    database_url: str, tmp_path: Path, techniques: str
) -> None:
    with (
        running_arm(arm_settings(techniques, tmp_path, database_url=database_url)) as arm,
        ThreadPoolExecutor(8) as clients,
    ):

        def update(delay: int) -> httpx.Response:
            body = {"status": "departed", "departure_delay_min": delay}
            rejected = {409, 503}  # a lock may take too long on a busy machine
            while (
                response := arm.client.patch("/flights/1/status", json=body, headers=BEARER)
            ).status_code in rejected:
                assert response.status_code == 503 or "nothing was written" in response.json()["detail"]
            return response

        responses = [clients.submit(update, delay) for delay in range(UPDATES)]
        written = [response.result().json() for response in responses]

    versions = {flight["version"]: flight["departure_delay_min"] for flight in written}
    assert sorted(versions) == list(range(2, UPDATES + 2))
    # `none` writes the twin, the database without secondary indexes.
    async with opened(database_url, techniques=techniques) as database, database.reading() as session:
        trail = list(await session.scalars(select(StatusChange).order_by(StatusChange.version)))
    assert {change.version: change.departure_delay_min for change in trail} == versions
    assert [change.status_before for change in trail] == ["arrived", *["departed"] * (UPDATES - 1)]
