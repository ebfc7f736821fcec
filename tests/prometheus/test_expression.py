import json
from collections.abc import Iterator

import promql_parser
import pytest

from grafana.build import boards
from prometheus.build import rule_files
from prometheus.expression import VARIABLE, has_data, rewritten
from prometheus.slo import load


def expressions_in(value: object) -> Iterator[str]:
    """Yield the queries of a dashboard, of its panels and its annotations."""
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        for one in value.values():
            yield from expressions_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from expressions_in(one)


RULES = {rule.expr for groups in rule_files(load()).values() for group in groups for rule in group.rules}
EXPRESSIONS = sorted(RULES | set(expressions_in(boards(load()))))


def parsed(expression: str) -> promql_parser.Expr:
    return promql_parser.parse(VARIABLE.sub("5m", expression))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(here_total[5m])", True),
        ("rate(gone_total[5m])", False),
        ("here_total / gone_total", False),
        ("here_total unless gone_total", True),
        ("gone_total unless here_total", False),
        ("gone_total or here_total", True),
        ("gone_total or here_total * 0", True),
        ("sum(gone_total) or vector(0)", False),
        ("vector(1)", True),
        ('count(up{job="gone"} == 1) or vector(0)', False),
        ('count(up{job!="gone"})', True),
        ("topk(3, max_over_time(gone_total[5m:1m]))", False),
        ("-(gone_total)", False),
        ("absent(gone_total)", False),
        ('{__name__=~".+"}', True),
        ("rate(here_total[$window])", True),
    ],
)
def test_an_expression_has_data_where_what_it_needs_is_present(expression: str, expected: bool) -> None:
    assert has_data(expression, lambda name, job: "gone" not in (name.removesuffix("_total"), job)) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up", 'up{job="x"}'),
        ('up{job="y"} == 0', 'up{job="y"} == 0'),
        ('up{arm=~"$arm"}', 'up{job="x"}'),
        ('a{b="arm, {c}", arm="d"}', 'a{job="x", b="arm, {c}"}'),
        ("sum by (job, arm) (rate(a[5m]))", 'sum by (job) (rate(a{job="x"}[5m]))'),
        ("sum(a) by (arm, handler)", 'sum(a{job="x"}) by (job, handler)'),
        ("a / on (arm) group_left () b", 'a{job="x"} / on (job) group_left () b{job="x"}'),
        ("max without (arm) (a)", 'max without (job) (a{job="x"})'),
        ("a < Inf and b offset 6h", 'a{job="x"} < Inf and b{job="x"} offset 6h'),
        ("1e6 * a[1d:15s]", '1e6 * a{job="x"}[1d:15s]'),
        ('label_replace(a, "arm", "$1", "b", "(.+)")', 'label_replace(a{job="x"}, "arm", "$1", "b", "(.+)")'),
    ],
)
def test_an_expression_gets_the_job_and_loses_a_label(expression: str, expected: str) -> None:
    rewrite = rewritten(expression, name=str, matchers=lambda _: ['job="x"'], drop="arm")
    assert rewrite == expected


def test_nothing_else_of_an_expression_changes() -> None:
    changed = [
        expression
        for expression in EXPRESSIONS
        if rewritten(expression, name=str, matchers=lambda _: (), drop="").replace(" ", "")
        != expression.replace(" ", "")
    ]
    assert changed == []


def test_every_selector_of_every_rule_and_panel_gets_the_job() -> None:
    without: list[str] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and "job" not in json.dumps(
            [one.name for one in node.matchers.matchers]
        ):
            without.append(node.prettify())

    for expression in EXPRESSIONS:
        rewrite = rewritten(expression, name=str, matchers=lambda _: ['job="x"'], drop="arm")
        promql_parser.walk(parsed(rewrite), visit)
    assert without == []
