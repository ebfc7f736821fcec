"""Queries of dashboards made for prometheus-fastapi-instrumentator have data.

The series are those of a real application; promtool evaluates the queries.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI, HTTPException
from prometheus_client.samples import Sample

from observability.testing import capture_telemetry, lifespan_client

RATES = {
    "requests": "sum(rate(http_requests_total[1m]))",
    "requests of a job": 'sum(rate(http_requests_total{job="api"}[1m]))',
    "requests by handler": "sum by (handler) (rate(http_requests_total[5m]))",
    "requests by method": "sum by (method) (rate(http_requests_total[5m]))",
    "requests by method and handler": "sum(irate(http_requests_total[5m])) by (method, handler)",
    "requests by status": "sum by (status) (rate(http_requests_total[5m]))",
    "requests of an instance": 'rate(http_requests_total{instance="api:9464"}[1m])',
    "requests without the metrics": 'sum(rate(http_requests_total{handler!="/metrics"}[1m])) by (handler)',
    "requests without several handlers": 'sum(rate(http_requests_total{handler!~"/metrics|/docs|none"}[1m]))',
    "requests of a template": 'rate(http_requests_total{handler=~"/items/.*"}[5m])',
    "number of requests": "sum(increase(http_requests_total[5m]))",
    "total": "sum(http_requests_total)",
    "busiest handlers": "topk(8, sum by (handler) (rate(http_requests_total[5m])))",
    "successes": 'sum(rate(http_requests_total{status="2xx"}[1m]))',
    "share of successes": 'sum(rate(http_requests_total{status="2xx"}[1m])) / sum(rate(http_requests_total[1m]))',
    "successes by expression": 'sum(rate(http_requests_total{status=~"2.*"}[1m]))',
    "requests in progress": "sum(http_requests_inprogress)",
    "requests per minute": "sum(rate(http_requests_total[1m])) * 60",
}
FAILURES = {
    "5xx": 'sum(rate(http_requests_total{status="5xx"}[1m]))',
    "5xx by handler": 'sum by (handler) (rate(http_requests_total{status="5xx"}[5m]))',
    "share of 5xx": (
        'sum(rate(http_requests_total{status="5xx"}[5m])) / clamp_min(sum(rate(http_requests_total[5m])), 1e-9)'
    ),
    "5xx by expression": '100 * sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))',
    "5xx by prefix": 'sum(increase(http_requests_total{status=~"5.*"}[5m])) by (handler, method)',
    "5xx of both kinds": 'sum(rate(http_requests_total{status=~"5..|5xx"}[1m])) or vector(0)',
    "4xx": 'sum(rate(http_requests_total{status="4xx"}[1m]))',
    "4xx and 5xx": 'sum(rate(http_requests_total{status=~"4xx|5xx"}[5m])) / sum(rate(http_requests_total[5m])) * 100',
    "what is not 2xx": 'sum(rate(http_requests_total{status!="2xx"}[1m])) by (status)',
    "what does not begin with 2": 'sum(rate(http_requests_total{status!~"2.."}[1m]))',
    "an exact code": 'sum by (code) (rate(http_requests_total{code="500"}[5m]))',
    "time of failed requests": 'sum(rate(http_request_duration_seconds_count{status="5xx"}[5m]))',
}
LATENCIES = {
    "p95": "histogram_quantile(0.95, sum(rate(http_request_duration_seconds_bucket[5m])) by (le))",
    "p99 by handler": "histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))",
    "p50 of each series": "histogram_quantile(0.5, rate(http_request_duration_seconds_bucket[5m]))",
    "p95 of successes": (
        'histogram_quantile(0.95, sum(rate(http_request_duration_seconds_bucket{status="2xx"}[5m])) by (le, handler))'
    ),
    "p99, many buckets": "histogram_quantile(0.99, sum(rate(http_request_duration_highr_seconds_bucket[1m])) by (le))",
    "mean": "sum(rate(http_request_duration_seconds_sum[1m])) / sum(rate(http_request_duration_seconds_count[1m]))",
    "mean of each series": (
        "rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])"
    ),
    "mean, many buckets": (
        "rate(http_request_duration_highr_seconds_sum[1m]) / rate(http_request_duration_highr_seconds_count[1m])"
    ),
    "share within 0.5 s": (
        'sum(rate(http_request_duration_seconds_bucket{le="0.5"}[5m])) by (handler)'
        " / sum(rate(http_request_duration_seconds_count[5m])) by (handler)"
    ),
    "bytes received": "sum(rate(http_request_size_bytes_sum[5m])) by (handler)",
    "bytes per response": (
        "rate(http_response_size_bytes_sum[5m]) / on (handler) rate(http_response_size_bytes_count[5m])"
    ),
}
QUERIES = RATES | FAILURES | LATENCIES


@pytest.mark.anyio
@pytest.mark.server("promtool")
async def test_every_query_has_data_and_those_of_failures_show_them(
    promtool: Callable[..., str], tmp_path: Path
) -> None:
    assert len(QUERIES) >= 40
    with capture_telemetry() as captured:
        app = FastAPI()

        @app.get("/items/{number}")
        def item(number: int) -> int:
            if number == 0:
                raise HTTPException(404)
            return 100 // (number - 1)

        captured.instrument(app)
        async with lifespan_client(app) as client:
            statuses = [(await client.get(f"/items/{number}")).status_code for number in (0, 1, 2, 3)]
        assert statuses == [404, 500, 200, 200]
        samples = [sample for family in captured.registry.collect() for sample in family.samples]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"tests": [_test_of(samples)]}))
    promtool("test", "rules", file)


def _test_of(samples: list[Sample]) -> dict[str, object]:
    """Return the test that expects 1 of each query: it has a number, and a positive one for failures."""
    return {
        "interval": "15s",
        "input_series": [
            {"series": _selector(sample), "values": f"0+{sample.value}x40"}
            for sample in samples
            if sample.name.startswith("http_")
        ],
        "promql_expr_test": [
            {
                "expr": f"clamp_max(count(({query}) {'> 0' if name in FAILURES else '> -1'}), 1)",
                "eval_time": "10m",
                "exp_samples": [{"value": 1}],
            }
            for name, query in QUERIES.items()
        ],
    }


def _selector(sample: Sample) -> str:
    labels = {**sample.labels, "job": "api", "instance": "api:9464"}
    matchers = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{sample.name}{{{matchers}}}"
