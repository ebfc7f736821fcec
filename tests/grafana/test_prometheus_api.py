"""What counts as data, with a Prometheus that has one series."""

from urllib.parse import parse_qs

import httpx
import promql_parser
import pytest

from prometheus.expression import series_in
from tests.grafana.prometheus_api import PrometheusApi
from tests.grafana.template import Range


def respond(request: httpx.Request) -> httpx.Response:
    """Return a number if the query reads only `there` or no series, NaN if it reads `empty`, otherwise no result."""
    (expression,) = parse_qs(request.content.decode())["query"]
    promql_parser.parse(expression)
    names = series_in(expression)
    value = "1" if names <= {"there"} else "NaN" if names == {"empty"} else None
    found = [] if value is None else [{"metric": {}, "values": [[0, value]], "value": [0, value]}]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": found}})


@pytest.fixture
def api() -> PrometheusApi:
    client = httpx.Client(transport=httpx.MockTransport(respond), base_url="http://prometheus")
    return PrometheusApi(client, Range(begins=0, ends=60, step_s=1, scrape_s=1))


@pytest.mark.parametrize(
    ("expression", "has_inputs"),
    [
        ("there > 5", True),
        ("missing > 5", False),
        ("empty > 5", False),
        ("there > 5 and there < 9", True),
        ("there > 5 and missing < 9", False),
        ("there > 2 * there", True),
        ("there > 2 * missing", False),
        ("missing or there", True),
        ("missing or missing", False),
        ("there unless missing", True),
        ("missing unless there", False),
        ("absent(there == 1)", True),
        ("absent(missing == 1)", False),
        ("sum by (job) (rate(there[5m])) / (sum by (job) (rate(there[5m])) > 0) > 0.1", True),
        ("sum(rate(missing[5m])) > 0", False),
    ],
)
def test_an_alert_has_inputs_when_every_side_of_its_comparisons_has_data(
    api: PrometheusApi, expression: str, has_inputs: bool
) -> None:
    assert api.has_inputs(expression) is has_inputs


def test_a_series_that_is_never_a_number_is_no_data(api: PrometheusApi) -> None:
    assert api.over_time("empty") == []
    assert api.now("empty") == []
    assert len(api.over_time("there")) == 1


def test_an_expression_that_prometheus_rejects_is_an_error() -> None:
    rejecting = httpx.MockTransport(lambda _: httpx.Response(400, json={"status": "error", "error": "parse error"}))
    api = PrometheusApi(
        httpx.Client(transport=rejecting, base_url="http://prometheus"), Range(begins=0, ends=1, step_s=1, scrape_s=1)
    )
    with pytest.raises(AssertionError, match="parse error"):
        api.now("sum(")
