import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import compile_path

from service.landing.contents import EXAMPLES, HEADERS, links
from service.landing.routes import prefers_json
from service.settings import Settings
from service.techniques import CATALOGUE, NAMES
from tests.servers.arm import Arm, arm_settings, running_arm


@pytest.fixture(scope="module")
def arm(few_flights: Path) -> Iterator[Arm]:
    techniques = set(NAMES) - {"compression", "pooling"}
    settings = arm_settings(
        techniques,
        few_flights,
        arm="nearly-all",
        grafana_url="http://grafana.test/",
        alerts_url="http://alerts.test/",
        weather_url="http://127.0.0.1:9",  # nothing listens on the discard port
    )
    with running_arm(settings) as running:
        yield running


def page(arm: Arm) -> str:
    response = arm.client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    return response.text


def test_the_page_shows_the_arm_and_its_techniques(arm: Arm) -> None:
    text = page(arm)

    assert "<title>nearly-all · Flightdeck</title>" in text
    assert f"<strong>{len(NAMES) - 2} of {len(NAMES)}</strong>" in text
    rows = re.findall(r'<tr class="(on|off)">.*?<code>(\w+)</code></td>', text, re.DOTALL)
    assert {name: state for state, name in rows} == {
        name: "off" if name in {"compression", "pooling"} else "on" for name in NAMES
    }
    for technique in CATALOGUE:
        assert technique.title in text


def test_every_example_request_has_the_described_response(arm: Arm) -> None:
    text = page(arm)
    for one in EXAMPLES:
        assert f'href="{one.path.replace("&", "&amp;")}"' in text
        wanted = 422 if "rejected" in one.description else 503 if "upstream" in one.description else 200
        assert arm.client.get(one.path).status_code == wanted, one.path


def test_every_get_route_is_linked_from_the_page(arm: Arm) -> None:
    hrefs = set(re.findall(r'href="(/[^"?]*)', page(arm)))

    paths = [
        str(context.path)
        for context in iter_route_contexts(arm.app.routes)
        if isinstance(context.route, APIRoute) and "GET" in (context.methods or ())
    ]
    assert len(paths) > 10
    for path in paths:
        if path not in {"/", "/livez"} and not path.startswith("/exports/"):  # an export is first created
            assert any(compile_path(path)[0].match(link) for link in hrefs), path


def test_every_header_of_the_page_is_sent_if_its_technique_is_on(arm: Arm) -> None:
    response = arm.client.get(EXAMPLES[0].path)

    for header in HEADERS:
        assert (header.name in response.headers) is (header.technique not in {"compression", "pooling"}), header


def test_the_page_loads_nothing_external_and_allows_only_its_own_script(arm: Arm) -> None:
    text = page(arm)
    policy = arm.client.get("/").headers["Content-Security-Policy"]

    assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1|(?:grafana|alerts)\.test)', text)
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for inline in (style, script):
        assert f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy


def test_the_page_links_to_what_is_configured(arm: Arm) -> None:
    text = page(arm)

    assert 'href="http://grafana.test/"' in text
    assert 'href="http://alerts.test/"' in text
    assert "Prometheus</strong>" not in text
    for address in ("/docs", "/openapi.json", "/readyz"):
        assert f'href="{address}"' in text
        assert arm.client.get(address).status_code == 200


def test_the_page_is_also_available_as_json(arm: Arm) -> None:
    response = arm.client.get("/", headers={"Accept": "application/json"})

    content = response.json()
    assert content["arm"] == "nearly-all"
    assert content["techniques"] == {name: name not in {"compression", "pooling"} for name in NAMES}
    assert content["links"]["Grafana"] == "http://grafana.test/"
    assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", False),
        ("application/json", True),
        ("APPLICATION/JSON; q=0.5", True),
        ("application/json;q=0", False),
        ("text/html,application/json;q=0.9", False),
        ("text/html;q=0.5,application/json", True),
        ("application/json;q=many", False),
        (";;,,", False),
    ],
)
def test_the_accept_header_chooses_between_html_and_json(accept: str, is_json: bool) -> None:
    assert prefers_json(accept) is is_json


def test_a_long_arm_name_is_shown_as_text(few_flights: Path) -> None:
    with running_arm(arm_settings({"pooling", "compression", "indexes"}, few_flights)) as arm:
        text = page(arm)

    assert '<h1 class="name mono">compression+indexes+pooling</h1>' in text


@pytest.mark.parametrize(("prometheus_url", "named"), [("", {"Metrics"}), ("http://prometheus.test", {"Prometheus"})])
def test_metrics_are_linked_unless_prometheus_is(prometheus_url: str, named: set[str]) -> None:
    settings = Settings(prometheus_url=prometheus_url)
    found = {link.name for link in links(settings, metrics_url="http://127.0.0.1:9464/metrics")}
    assert found & {"Metrics", "Prometheus"} == named
