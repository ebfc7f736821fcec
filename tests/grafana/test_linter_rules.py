"""The rules of Grafana's dashboard-linter, a Go program, on our boards; those that other tests hold name them.

Held elsewhere: panel-datasource, panel-title-description, panel-units, target-promql and template-label-promql by
`test_boards.py`. Left out, with the reason: template-job, template-instance, target-job and target-instance want one
job and its instances on every board, ours compare arms across jobs; target-rate-interval wants `$__rate_interval`
everywhere, ours let their reader choose the window; the logql rules, because no board here queries Loki.
"""

import re
from typing import Any

from tests.each import each
from tests.grafana.panel import Place, boards, expressions, panels

REFRESHED_WITH_THE_TIME_RANGE = 2
SELECTOR = re.compile(r"""(?<!count\()\b(\w+_(?:total|bucket|sum|count))\b(?:\{(?:[^{}"']|"[^"]*"|'[^']*')*\})?(\[)?""")
GAUGES_IN_DISGUISE = {"db_client_connection_count", "pg_stat_activity_count", "pg_locks_count"}
"""Named like counters by their conventions."""
LABEL_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")


def variables(uid: str, kind: str) -> list[dict[str, Any]]:
    return [one for one in boards()[uid]["templating"]["list"] if one["type"] == kind]


@each("uid", boards)
class TestBoard:
    def test_template_datasource(self, uid: str) -> None:
        (datasource,) = variables(uid, "datasource")
        assert (datasource["name"], datasource["query"]) == ("datasource", "prometheus")

    def test_template_on_time_change_reload(self, uid: str) -> None:
        assert {one["refresh"] for one in variables(uid, "query")} <= {REFRESHED_WITH_THE_TIME_RANGE}

    def test_template_variables_read_the_chosen_data_source(self, uid: str) -> None:
        used = [one["datasource"]["uid"] for one in variables(uid, "query")]
        assert set(used) <= {"${datasource}"}

    def test_uneditable_dashboard(self, uid: str) -> None:
        assert boards()[uid]["editable"] is False, "what is changed by hand is lost when Grafana starts again"


@each("place", panels, ids=lambda place: place.name)
class TestPanel:
    def test_panel_no_targets(self, place: Place) -> None:
        assert place.targets or place.panel["type"] == "text"

    def test_panel_title(self, place: Place) -> None:
        assert place.panel["title"].strip() or place.panel["type"] == "text"


@each("query", lambda: list(expressions()), ids=lambda query: query[0])
def test_target_counter_agg(query: tuple[str, str]) -> None:
    _, expression = query
    found = SELECTOR.findall(LABEL_LISTS.sub("", expression))
    bare = {name for name, is_range in found if not is_range} - GAUGES_IN_DISGUISE
    if "label_values" in expression or re.fullmatch(r"\w+(\{.*\})?", expression):
        return  # a variable lists series, without their rate
    assert bare == set()
