"""Queries of panels: over the time range, at its end, as a table; and the selectors that follow the variables."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyQuery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The Prometheus that the variable `datasource` selects, so that boards can be imported anywhere."""
ARM: Final = 'arm=~"$arm"'
"""Matches the chosen arms; with All also targets without that label."""
ARM_AND_HANDLER: Final = f'{ARM}, handler=~"$handler"'
JOB: Final = f'job="$job", {ARM}'
JOB_AND_HANDLER: Final = f'{JOB}, handler=~"$handler"'
MAX_SERIES: Final = 12
"""More lines cannot be distinguished."""


def query(expr: str, legend: str) -> Dataquery:
    """Return a query over the time range; histograms bring their exemplars, which lead to traces."""
    return _query(expr).range().legend_format(legend).exemplar("_bucket" in expr)


def instant(expr: str, legend: str) -> Dataquery:
    """Return a query at the end of the time range."""
    return _query(expr).instant().legend_format(legend)


def rows(expr: str) -> Dataquery:
    """Return a query at the end of the time range with one row per series, for tables."""
    return _query(expr).instant().format(PromQueryFormat.TABLE)


def heatmap_query(expr: str) -> Dataquery:
    """Return a query for the buckets of a histogram, `sum by (le)`."""
    return _query(expr).range().format(PromQueryFormat.HEATMAP).legend_format("{{le}}").exemplar(True)


def _query(expr: str) -> Dataquery:
    return Dataquery().expr(expr).datasource(SOURCE)


def with_ref_ids(queries: Sequence[Dataquery]) -> list[Builder[AnyQuery]]:
    """Return the queries named A, B, C, by which transformations and overrides refer to them."""
    return [one.ref_id(letter) for letter, one in zip(ascii_uppercase, queries, strict=False)]


def top(series: str, *, number: int = MAX_SERIES) -> str:
    """Return the series with the highest mean over the whole time range: the same ones at every step.

    `series` is a selector. A plain `topk` selects again at every step, so that a panel shows many more lines.
    """
    return f"{series} and topk({number}, avg_over_time({series}[$__range] @ end()))"


def top_expr(expr: str, *, number: int = MAX_SERIES) -> str:
    """Return the same for any expression; slower, because it is evaluated over the whole range a second time."""
    return f"{expr}\nand topk({number}, avg_over_time(({expr})[$__range:$__rate_interval] @ end()))"


def arm_or_job(expr: str) -> str:
    """Return series by `job, arm, …` with the name of the job as the arm of those that have none.

    The legends of a third-party application would be empty otherwise.
    """
    both = f'label_join({expr}, "arm_or_job", ";", "arm", "job")'
    return f'label_replace({both}, "arm", "$1", "arm_or_job", ";(.+)")'


def quantile(q: float, histogram: str, *, by: str, matching: str = ARM) -> str:
    """Return the quantile of a histogram by these labels, with its exemplars."""
    return f"histogram_quantile({q:g}, sum by ({by}, le) (rate({histogram}_bucket{{{matching}}}[$window])))"
