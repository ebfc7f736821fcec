"""Why a query has no data, by what Prometheus declares and has."""

import httpx
import pytest

from lab.kit.check import Server, _without_data
from lab.kit.queries import Query
from tests.lab.kit.services import ORDERS, described

ORDERS_SERVICE = described(ORDERS, "orders")


def server(*, declared: set[str], with_data: set[str]) -> Server:
    def respond(request: httpx.Request) -> httpx.Response:
        data: object = {"result": [{}] if request.url.params.get("query") in with_data else []}
        if request.url.path.endswith(("metadata", "values")):
            data = sorted(declared)
        return httpx.Response(200, json={"status": "success", "data": data})

    return Server(httpx.Client(base_url="http://prometheus", transport=httpx.MockTransport(respond)))


@pytest.mark.parametrize(
    ("expression", "is_alert", "expected"),
    [
        ("here", False, None),
        ("quiet_total", False, ("no data", "nothing has been counted in quiet_total yet")),
        ("here > 5", False, ("no data", "its condition holds for no series now")),
        ("here > 5", True, None),
        ("gone", False, ("problem", "no target exposes gone")),
        ("gone > 5", True, ("problem", "no target exposes gone")),
        ("db_client_connection_max", False, ("problem", "remove pool from parts")),
        ("cache_size_bytes", False, ("no data", "the service has no cache")),
    ],
)
def test_a_query_without_data_has_a_reason(expression: str, is_alert: bool, expected: tuple[str, str] | None) -> None:
    query = Query(where="somewhere", expression=expression, is_alert=is_alert)
    finding = _without_data(query, ORDERS_SERVICE, server(declared={"here", "quiet"}, with_data={"here"}))
    if expected is None:
        assert finding is None
    else:
        assert finding is not None
        assert finding.kind == expected[0]
        assert expected[1] in finding.text
