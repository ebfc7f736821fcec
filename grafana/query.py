"""Queries of panels: over time, at this moment, as a table; and the selectors that follow the variables."""

from typing import Final

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.source import SOURCE

ARM: Final = 'arm=~"$arm"'
"""Matches the arms that are chosen; with All also targets that have no such label."""
ARM_AND_HANDLER: Final = f'{ARM}, handler=~"$handler"'
JOB: Final = f'job="$job", {ARM}'
"""Matches the targets of the chosen job, whoever's they are."""
JOB_AND_HANDLER: Final = f'{JOB}, handler=~"$handler"'
MAX_SERIES: Final = 12
"""More lines than that cannot be told apart."""


def query(expr: str, legend: str) -> Dataquery:
    """Return a query over the range of time; histograms bring their exemplars, the dots that lead to traces."""
    return _query(expr).range().legend_format(legend).exemplar("_bucket" in expr)


def instant(expr: str, legend: str) -> Dataquery:
    """Return a query for the end of the range."""
    return _query(expr).instant().legend_format(legend)


def rows(expr: str) -> Dataquery:
    """Return a query for the end of the range with a row per series, for tables."""
    return _query(expr).instant().format(PromQueryFormat.TABLE)


def heatmap_query(expr: str) -> Dataquery:
    """Return a query for the buckets of a histogram, `sum by (le)`, for heatmaps."""
    return _query(expr).range().format(PromQueryFormat.HEATMAP).legend_format("{{le}}").exemplar(True)


def top(series: str, *, number: int = MAX_SERIES) -> str:
    """Return the largest of these series over the whole range: as many lines as said, the same ones all the time.

    `series` is a selector. A plain `topk` chooses anew at every step: a panel then shows many more.
    """
    return f"{series} and topk({number}, avg_over_time({series}[$__range] @ end()))"


def top_expr(expr: str, *, number: int = MAX_SERIES) -> str:
    """Return the same of any expression; dearer, because it is computed over the whole range a second time."""
    return f"{expr}\nand topk({number}, avg_over_time(({expr})[$__range:$__rate_interval] @ end()))"


def arm_or_job(expr: str) -> str:
    """Return series by `job, arm, …` with the job's name as the arm of those that have none.

    The legends of somebody else's application would be empty otherwise.
    """
    both = f'label_join({expr}, "arm_or_job", ";", "arm", "job")'
    return f'label_replace({both}, "arm", "$1", "arm_or_job", ";(.+)")'


def quantile(q: float, histogram: str, *, by: str, matching: str = ARM) -> str:
    """Return the quantile of a histogram by these labels; its exemplars come along."""
    return f"histogram_quantile({q:g}, sum by ({by}, le) (rate({histogram}_bucket{{{matching}}}[$window])))"


def _query(expr: str) -> Dataquery:
    return Dataquery().expr(expr).datasource(SOURCE)
