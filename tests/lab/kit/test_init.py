"""The description of a service that is written from its metrics."""

import pytest

from lab.kit.discovery import NotInstrumented, discover, discovered
from lab.kit.slo_file import slo_text
from prometheus.slo import parse
from tests.lab.kit.services import GATEWAY, ORDERS, described, exposition


def test_routes_are_grouped_by_their_own_traffic() -> None:
    orders = described(ORDERS, "orders")
    groups = {name: (group.handlers, group.latency.threshold_s) for name, group in orders.groups.items()}
    assert groups == {
        "reads": (("/orders/{order_id}", "/orders"), 0.5),
        "writes": (("/orders/{order_id}/refund",), 0.5),
        "slow": (("/statements/{year}",), 10.0),
        "rest": ("rest", 1.0),
    }
    assert set(orders.excluded) == {"/orders/events", "/healthz", "unmatched"}


def test_the_threshold_of_a_group_with_traffic_follows_its_latency() -> None:
    gateway = described(GATEWAY, "edge/gateway")
    assert gateway.groups["writes"].latency.threshold_s == 0.1
    assert gateway.groups["reads"].latency.threshold_s == 0.5  # one request does not say how fast the route is


@pytest.mark.parametrize(
    ("text", "job", "parts", "name", "prefix"),
    [
        (ORDERS, "orders", {"database", "export", "monitoring", "pool", "threads"}, "orders", "Orders"),
        (GATEWAY, "edge/gateway", {"cache", "clients", "monitoring", "tasks"}, "edge-gateway", "EdgeGateway"),
    ],
    ids=["orders", "gateway"],
)
def test_names_and_parts_are_those_of_the_service(text: str, job: str, parts: set[str], name: str, prefix: str) -> None:
    objectives = described(text, job)
    assert set(objectives.parts) == parts
    assert (objectives.jobs, objectives.name, objectives.alert_prefix) == ((job,), name, prefix)
    assert objectives.targets == {job: ("127.0.0.1:9464",)}
    assert not objectives.arms


def test_a_service_without_traffic_gets_the_group_of_all_routes() -> None:
    assert list(described(exposition({}, frozenset()), "quiet").groups) == ["rest"]


@pytest.mark.parametrize("handler", ['/a"b', "/a\\b", "/{path:path}", "/ü", "/a b"])
def test_a_route_is_quoted_as_toml_needs_it(handler: str) -> None:
    objectives = described(exposition({("GET", handler): (200, 0.01)}, frozenset()), "odd")
    assert objectives.groups["reads"].handlers == (handler,)


def test_the_file_explains_each_entry() -> None:
    text = slo_text(discovered(ORDERS), job="orders", targets=["a:1"])
    assert "# 620 requests seen; the threshold leaves twice the time" in text
    assert "# 30 requests seen, too few to judge the latency" in text
    assert parse(text, name="slo.toml").limits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "none of HTTP requests: call observability.instrument"),
        ("process_open_fds 3\n", "none of HTTP requests: call observability.instrument"),
    ],
    ids=["empty", "another exporter"],
)
def test_metrics_without_requests_are_an_error(text: str, message: str) -> None:
    with pytest.raises(NotInstrumented, match=message):
        discovered(text)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/metrics", "not a url", "http://[::1"], ids=str)
def test_an_address_that_cannot_be_read_is_an_error_that_names_it(url: str) -> None:
    with pytest.raises(NotInstrumented, match="cannot be read"):
        discover(url)
