"""A canary read from Prometheus: increases of counters, outages of the server, the published judgement."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from lab.core.errors import BadSetting, LabError
from lab.judge.canary import MOST_MISSED, Clock, Published, judged
from lab.judge.judge import Judge, Judgement
from lab.judge.series import Names, Prometheus, Version

NAMES = Names()
SELECTORS = ('{version="1"}', '{version="2"}')


def series(value: float, **labels: str) -> tuple[frozenset[tuple[str, str]], float]:
    return frozenset(labels.items()), value


def test_increases_are_counted_across_restarts_and_new_processes() -> None:
    version = Version('{version="2"}', NAMES)
    looks = [
        [series(100, instance="a", le="0.1"), series(120, instance="a", le="+Inf")],
        [series(104, instance="a", le="0.1"), series(130, instance="a", le="+Inf")],
        [series(1, instance="a", le="0.1"), series(2, instance="a", le="+Inf"), series(5, instance="b", le="+Inf")],
        [series(6, instance="b", le="+Inf")],
    ]
    found = [version.counts({"latency": dict(look)}).slower_than for look in looks]
    assert found == [{}, {0.0: 10, 0.1: 6}, {0.0: 7, 0.1: 6}, {0.0: 1}]


@pytest.mark.parametrize("selector", ["", "version", "{}", 'up{version="1"}'])
def test_what_is_no_selector_is_rejected(selector: str) -> None:
    with pytest.raises(BadSetting, match="is not one such as"):
        Version(selector, NAMES)


def server(handler: Callable[[httpx.Request], httpx.Response]) -> Prometheus:
    return Prometheus("http://prometheus.example/", token="t", transport=httpx.MockTransport(handler))


def vector(*found: tuple[dict[str, str], float]) -> httpx.Response:
    result = [{"metric": labels, "value": [0, str(value)]} for labels, value in found]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})


def test_prometheus_is_queried_at_one_time_with_the_token() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return vector()

    server(handler).look((Version(SELECTORS[0], NAMES), Version(SELECTORS[1], NAMES)), at=1234.5)
    assert [request.url.params["query"] for request in seen[:3]] == [
        'http_request_duration_seconds_bucket{version="1"}',
        'http_requests_total{version="1"}',
        'http_requests_total{version="1", status="5xx"}',
    ]
    assert {request.url.params["time"] for request in seen} == {"1234.500"}
    assert {request.headers["authorization"] for request in seen} == {"Bearer t"}


@pytest.mark.parametrize(
    ("response", "complaint"),
    [
        (httpx.Response(400, json={"status": "error", "error": "parse error"}), "parse error"),
        (httpx.Response(200, text="<html>"), "not a Prometheus"),
    ],
)
def test_an_error_of_prometheus_is_said(response: httpx.Response, complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        server(lambda _: response).values("up", at=0)


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def canary(is_down: Callable[[float], bool]) -> Iterator[Judgement]:
    """Judge two versions for 100 s; the server responds unless it is down at that time."""
    time = Time()

    def handler(_: httpx.Request) -> httpx.Response:
        if is_down(time.now - 1000):
            return httpx.Response(503, text="down")
        return vector(({"le": "0.1"}, time.now), ({"le": "+Inf"}, 2 * time.now))

    versions = Version(SELECTORS[0], NAMES), Version(SELECTORS[1], NAMES)
    clock = Clock(time=lambda: time.now, sleep=time.sleep)
    return judged(server(handler), versions, Judge(for_s=100, every_s=10), clock, say=lambda _: None)


def test_a_look_that_prometheus_misses_is_made_up_by_the_next_one() -> None:
    whole, interrupted = (list(canary(is_down))[-1] for is_down in (lambda _: False, lambda now: 20 <= now <= 30))
    assert (whole.looks, interrupted.looks) == (10, 8)
    assert whole.requests == interrupted.requests == {"baseline": 200, "candidate": 200}


@pytest.mark.parametrize("down", [(0, 0), (20, 20 + 10 * MOST_MISSED), (100, 100)], ids=["first", "long", "last"])
def test_a_longer_outage_ends_the_canary(down: tuple[float, float]) -> None:
    with pytest.raises(LabError, match="not a Prometheus"):
        list(canary(lambda now: down[0] <= now <= down[1]))


def test_the_judgement_is_served_for_argo_rollouts_and_flagger() -> None:
    published = Published()
    with published.served("127.0.0.1", 0) as url:
        assert httpx.get(url).json() == {"verdict": "undecided", "reason": "no look yet", "is_final": False}
        judgement = next(canary(lambda _: False))
        published.judgement = judgement
        assert httpx.get(url).json() == json.loads(judgement.model_dump_json())
        assert httpx.post(url, json={"name": "podinfo"}).status_code == 200
        published.judgement = judgement.model_copy(update={"verdict": "fail"})
        assert (httpx.post(url).status_code, httpx.get(url).status_code) == (412, 200)
        with pytest.raises(BadSetting, match="a free address"), published.served("127.0.0.1", httpx.URL(url).port):
            pass
    with published.served("127.0.0.1", None) as nothing:
        assert nothing == ""
