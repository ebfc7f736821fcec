"""Valid and invalid requests are generated from the OpenAPI document, which describes every response to them."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import create_app
from service.database import Database
from service.techniques import ARMS
from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections
from service.upstream.readings import Readings, load_readings
from tests.reliability.effort import Effort
from tests.servers.arm import BEARER, QUIET, arm_settings, running_arm
from tests.servers.asgi import serving

CONFORMANCE: Final = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
DEADLINE_S: Final = 30.0
"""Far above the latency of these requests even on a busy machine; a request that hangs exceeds it."""
INTENTIONAL_ERROR: Final = "/error"
STREAM: Final = "/flights/{flight_id}/events"
KNOWN_FLIGHT: Final = 10

AnyCase = Case[Any]


@pytest.fixture(scope="module")
def upstream_url(sparse_flights: Path) -> Iterator[str]:
    async def readings() -> Readings:
        async with AsyncExitStack() as stack:
            database = Database(arm_settings("none", sparse_flights))
            stack.push_async_callback(database.close)
            return await load_readings(database)

    faults = FaultController(Behaviour(median_ms=0, p99_ms=0))
    with serving(create_upstream(asyncio.run(readings()), faults, connections=Connections(), random=Random(1))) as url:
        yield url


def operations(document: dict[str, Any]) -> list[Any]:
    schema = schemathesis.openapi.from_dict(document)
    readable = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(readable) == schema.statistic.operations.total
    return [operation for operation in readable if operation.path != INTENTIONAL_ERROR]


def cases(operation: Any) -> st.SearchStrategy[AnyCase]:
    """Return requests that conform to the document, and requests that violate it."""
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    return st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("arm_name", ARMS)
def test_every_response_to_a_generated_request_conforms_to_the_document(
    arm_name: str, sparse_flights: Path, tmp_path: Path, upstream_url: str, effort: Effort
) -> None:
    data_dir = Path(shutil.copytree(sparse_flights, tmp_path / "data"))
    chosen = arm_settings(
        ARMS[arm_name], data_dir, weather_url=upstream_url, write_rate_limit="none", export_rate_limit="none"
    )
    found = operations(create_app(chosen, telemetry=QUIET).openapi())
    each = -(-effort.cases // (len(found) * len(ARMS)))
    statuses: Counter[int] = Counter()
    slowest_s = 0.0

    with running_arm(chosen) as arm, requests.Session() as session:
        base_url = str(arm.client.base_url).rstrip("/")

        def check(case: AnyCase, *, bears_token: bool, knows_flight: bool) -> None:
            nonlocal slowest_s
            if bears_token:
                case.headers.update(BEARER)
            if knows_flight and "flight_id" in (case.path_parameters or {}):
                case.path_parameters["flight_id"] = KNOWN_FLIGHT
            began = perf_counter()
            if case.operation.path == STREAM:
                arguments = case.as_transport_kwargs(base_url=base_url)
                with session.request(**arguments, timeout=DEADLINE_S, stream=True) as stream:
                    response = schemathesis.Response.from_any(stream) if stream.status_code != 200 else None
                    status = stream.status_code
            else:
                response = case.call(base_url=base_url, session=session, timeout=DEADLINE_S)
                status = response.status_code
            slowest_s = max(slowest_s, perf_counter() - began)
            statuses[status] += 1
            assert status != 500, case.as_curl_command()
            if response is not None:
                case.validate_response(response, checks=CONFORMANCE)

        for operation in found:
            everything = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
            run = settings(
                max_examples=each,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=everything,
            )
            run(given(case=cases(operation), bears_token=st.booleans(), knows_flight=st.booleans())(check))()

    effort.record(
        "bad input",
        arm_name,
        operations=len(found),
        requests=statuses.total(),
        statuses={str(status): statuses[status] for status in sorted(statuses)},
        slowest_ms=round(1000 * slowest_s),
    )
    assert statuses[200] > 0
    assert statuses[422] > 0
    assert slowest_s < DEADLINE_S
