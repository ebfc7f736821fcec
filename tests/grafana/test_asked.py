"""What counts as data, asked of a Prometheus that knows one series."""

from urllib.parse import parse_qs

import httpx
import promql_parser
import pytest

from tests.grafana.asked import Asked
from tests.grafana.template import Range
from tests.prometheus.exposition import names_in


def answer(request: httpx.Request) -> httpx.Response:
    """Bring a number for what reads only `there` or nothing at all, NaN for what reads `empty`, and nothing else."""
    (expression,) = parse_qs(request.content.decode())["query"]
    promql_parser.parse(expression)
    names = names_in(expression)
    value = "1" if names <= {"there"} else "NaN" if names == {"empty"} else None
    found = [] if value is None else [{"metric": {}, "values": [[0, value]], "value": [0, value]}]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": found}})


@pytest.fixture
def asked() -> Asked:
    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://prometheus")
    return Asked(client, Range(begins=0, ends=60, step_s=1, scrape_s=1))


@pytest.mark.parametrize(
    ("expression", "is_watched"),
    [
        ("there > 5", True),
        ("away > 5", False),
        ("empty > 5", False),
        ("there > 5 and there < 9", True),
        ("there > 5 and away < 9", False),
        ("there > 2 * there", True),
        ("there > 2 * away", False),
        ("away or there", True),
        ("away or away", False),
        ("there unless away", True),
        ("away unless there", False),
        ("absent(there == 1)", True),
        ("absent(away == 1)", False),
        ("sum by (job) (rate(there[5m])) / (sum by (job) (rate(there[5m])) > 0) > 0.1", True),
        ("sum(rate(away[5m])) > 0", False),
    ],
)
def test_an_alert_watches_something_when_every_side_of_its_limits_has_data(
    asked: Asked, expression: str, is_watched: bool
) -> None:
    assert asked.has_what_is_watched(expression) is is_watched


def test_a_series_that_is_never_a_number_is_no_data(asked: Asked) -> None:
    assert asked.over_time("empty") == []
    assert asked.now("empty") == []
    assert len(asked.over_time("there")) == 1


def test_an_expression_that_prometheus_refuses_is_an_error() -> None:
    refused = httpx.MockTransport(lambda _: httpx.Response(400, json={"status": "error", "error": "parse error"}))
    asked = Asked(
        httpx.Client(transport=refused, base_url="http://prometheus"), Range(begins=0, ends=1, step_s=1, scrape_s=1)
    )
    with pytest.raises(AssertionError, match="parse error"):
        asked.now("sum(")
