"""The files that are generated for third-party services, and for the flights service."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from grafana.build import boards
from lab.kit.build import kit_files, write
from lab.kit.queries import queries
from prometheus.build import rule_texts
from prometheus.catalogue import every_alert
from prometheus.duration import ACCELERATED, REAL
from prometheus.expression import Selector, selectors, series_in
from prometheus.parts import JOBS, SHARED, part_of
from prometheus.scope import ALERTS, OF_OBJECTIVES
from prometheus.slo import Objectives, load
from tests.lab.kit.services import GATEWAY, OPTIONAL, ORDERS, described, exposition
from tests.prometheus.test_expression import expressions_in

SERVICES = {"orders": described(ORDERS, "orders"), "gateway": described(GATEWAY, "edge/gateway")}
EVERYTHING = described(exposition({("GET", "/a"): (200, 0.01)}, OPTIONAL), "everything")

FILES: dict[str, dict[str, str]] = {}


def files_of(objectives: Objectives) -> dict[str, str]:
    """Return the kit of one of these services, which takes a second or two to make."""
    if objectives.name not in FILES:
        FILES[objectives.name] = kit_files(objectives, REAL)
    return FILES[objectives.name]


of_every_service = pytest.mark.parametrize("objectives", SERVICES.values(), ids=SERVICES)


def alerts_of(files: dict[str, str]) -> list[dict[str, dict[str, str]]]:
    return [
        rule
        for path, text in files.items()
        if path.startswith("prometheus/alerts/")
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the services and of one that has every part, by name."""
    folders = {}
    for name, objectives in {**SERVICES, "everything": EVERYTHING}.items():
        folders[name] = tmp_path_factory.mktemp(name.replace("/", "-"))
        write(files_of(objectives), folders[name])
    return folders


@pytest.mark.parametrize("name", [*SERVICES, "everything"])
def test_prometheus_accepts_rules_tests_and_configuration(
    promtool: Callable[..., str], built: dict[str, Path], name: str
) -> None:
    folder = built[name] / "prometheus"
    assert "FAILED" not in promtool("check", "config", folder / "prometheus.yml")
    assert "FAILED" not in promtool("test", "rules", *sorted((folder / "tests").glob("*.yml")))


@pytest.mark.parametrize("name", SERVICES)
def test_alertmanager_accepts_the_configuration(amtool: Callable[..., str], built: dict[str, Path], name: str) -> None:
    path = built[name] / "alertmanager/alertmanager.yml"
    assert "SUCCESS" in amtool("check-config", path)
    for severity, receiver in (("critical", "page"), ("warning", "ticket"), ("none", "heartbeat")):
        said = amtool("config", "routes", "test", f"--config.file={path}", f"severity={severity}")
        assert said.split() == [receiver]


@of_every_service
def test_nothing_of_the_flights_service_is_in_the_files_of_another(objectives: Objectives) -> None:
    alien = re.compile(r'arm=|\barm\b|\$arm|job="service"|/flights|/airports|baseline"|flightdeck-(?!trace)')
    for path, text in files_of(objectives).items():
        lines = text.splitlines()
        if path.endswith(".json"):
            lines = [*expressions_in(json.loads(text)), *re.findall(r'"(?:uid|url|legendFormat)": .*', text)]
        if not path.startswith("prometheus/tests/"):  # any route does there
            assert [line for line in lines if alien.search(line)] == [], path


def is_own(selector: Selector, objectives: Objectives) -> bool:
    """Return whether the selector can match no series of another service, but those of programs that many share."""
    label = {ALERTS: "alertname", **dict.fromkeys(OF_OBJECTIVES, "slo")}.get(selector.name, "job")
    operator, value = selector.matchers.get(label, ("", ""))
    if part_of(selector.name) in SHARED or operator not in {"=", "=~"}:
        return part_of(selector.name) in SHARED
    if label == "alertname":
        return value.startswith(objectives.alert_prefix)
    if label == "slo":
        own = {slo.name for slo in objectives.slos()}
        return all(re.fullmatch(value, name) for name in own) and not re.fullmatch(value, f"other-{min(own)}")
    jobs = {*objectives.jobs, *objectives.worker_jobs, *JOBS}
    return {job.replace("[-]", "-").replace("[.]", ".") for job in value.split("|")} <= jobs


@pytest.mark.parametrize("objectives", [*SERVICES.values(), EVERYTHING], ids=[*SERVICES, "everything"])
def test_no_query_selects_series_of_another_service(objectives: Objectives) -> None:
    files = files_of(objectives)
    expressions = {(query.where, query.expression) for query in queries(files)}
    for path, text in files.items():
        if path.startswith("grafana/dashboards/"):
            board = json.loads(text)
            expressions |= {(path, one["expr"]) for one in board["annotations"]["list"]}
            variables = (one["query"]["query"] for one in board["templating"]["list"] if isinstance(one["query"], dict))
            expressions |= {(path, one.removeprefix("label_values(").rpartition(",")[0]) for one in variables}
    assert len(expressions) > 100
    assert [one for one in expressions if not all(is_own(each, objectives) for each in selectors(one[1]))] == []


def test_a_target_that_is_down_is_one_of_the_service_or_of_its_workers() -> None:
    for objectives, jobs in (
        (SERVICES["orders"], ("=", "orders")),
        (EVERYTHING, ("=~", "everything|everything[-]worker")),
    ):
        [expression] = [
            str(alert["expr"]) for alert in alerts_of(files_of(objectives)) if "TargetDown" in str(alert["alert"])
        ]
        assert [dict(one.matchers) for one in selectors(expression)] == [{"job": jobs}]


def test_a_service_without_a_prefix_selects_its_alerts_by_their_job() -> None:
    unprefixed = SERVICES["orders"].model_copy(update={"alert_prefix": ""})
    found = [
        one.matchers
        for query in queries(kit_files(unprefixed, REAL))
        for one in selectors(query.expression)
        if one.name == ALERTS and "alertname" not in one.matchers
    ]
    assert found
    assert all(one["job"] == ("=~", "orders|") for one in found)


@of_every_service
def test_no_inhibition_is_about_alerts_of_another_service(objectives: Objectives) -> None:
    rules = yaml.safe_load(files_of(objectives)["alertmanager/alertmanager.yml"])["inhibit_rules"]
    named = re.findall(r'alertname!?=~?"([^"]+)"', json.dumps(rules).replace("\\", ""))
    assert named
    assert [one for one in named if not all(each.startswith(objectives.alert_prefix) for each in one.split("|"))] == []


@of_every_service
def test_every_alert_has_its_runbook_and_its_board(objectives: Objectives) -> None:
    files = files_of(objectives)
    boards = {json.loads(text)["uid"] for path, text in files.items() if path.startswith("grafana/dashboards/")}
    alerts = alerts_of(files)
    for alert in alerts:
        assert f"runbooks/{alert['annotations']['runbook_url'].rpartition('/')[2]}.md" in files
        assert alert["annotations"]["dashboard_url"].partition("/d/")[2].partition("?")[0] in boards
        assert str(alert["alert"]).startswith(objectives.alert_prefix)
    pages = [path for path in files if path.startswith("runbooks/")]
    assert len(pages) == len({alert["annotations"]["runbook_url"] for alert in alerts})


@pytest.mark.parametrize("part", sorted(OPTIONAL))
def test_rules_about_what_a_service_does_not_have_are_left_out(part: str) -> None:
    without = EVERYTHING.model_copy(update={"parts": tuple(one for one in EVERYTHING.parts if one != part)})
    before, after = (rule_texts(one, REAL) for one in (EVERYTHING, without))
    assert set(after) <= set(before)
    alerts = alerts_of({f"prometheus/{path}": text for path, text in after.items()})
    read = {name for alert in alerts for name in series_in(str(alert["expr"]))}
    assert {name for name in read if part_of(name) == part} == set()


def test_panels_about_what_a_service_does_not_have_are_left_out() -> None:
    bare = EVERYTHING.model_copy(update={"parts": ()})
    targets = [target for board in boards(bare).values() for target in expressions_in(board)]
    # An alternative that is absent is no reason to leave out what is there.
    kept = {part_of(name) for target in targets if " or " not in target for name in series_in(target)}
    assert kept == {None}
    assert set(boards(bare)) == {"service", "runtime", "async", "monitoring"}


def test_a_service_with_every_part_has_every_alert() -> None:
    everything = EVERYTHING.model_copy(update={"parts": (*EVERYTHING.parts, "collector")})
    named = {str(alert["alert"]).removeprefix("Everything") for alert in alerts_of(kit_files(everything, REAL))}
    shared = {"ReplicaLag", "ReplicaDown"}
    assert {alert.name for alert in every_alert(load())} - shared <= named


def test_two_services_do_not_record_the_same_series() -> None:
    recorded = []
    for objectives in SERVICES.values():
        for path, text in files_of(objectives).items():
            if path.startswith("prometheus/rules/"):
                for rule in yaml.safe_load(text)["groups"][0]["rules"]:
                    own = any(f'job{operator}"{objectives.jobs[0]}' in rule["expr"] for operator in ("=", "=~"))
                    recorded.append(own or rule["labels"]["slo"].startswith(objectives.name))
    assert all(recorded)


def test_accelerated_rules_have_short_windows() -> None:
    files = kit_files(SERVICES["orders"], ACCELERATED)
    assert "[5s]" in files["prometheus/rules/slo.yml"]
    assert "[5m]" not in files["prometheus/rules/slo.yml"]


def test_a_second_build_writes_what_changed_and_deletes_what_is_left_over(tmp_path: Path) -> None:
    orders = SERVICES["orders"]
    write(kit_files(orders, REAL), tmp_path)
    assert write(kit_files(orders, REAL), tmp_path) == []
    (tmp_path / "notes.md").write_text("mine")
    without = orders.model_copy(update={"parts": tuple(one for one in orders.parts if one != "pool")})
    changed = write(kit_files(without, REAL), tmp_path)
    assert "runbooks/pool-exhausted.md" in changed
    assert not (tmp_path / "runbooks/pool-exhausted.md").exists()
    assert (tmp_path / "notes.md").exists()
