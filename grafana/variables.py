"""The variables of boards: the same names everywhere, so that links keep the choice."""

from collections.abc import Callable, Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import CustomVariable, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import VariableModel, VariableOption, VariableRefresh, VariableSort

from grafana.query import SOURCE
from prometheus.slo import Objectives

ALL: Final = VariableOption(selected=True, text="All", value="$__all")
WINDOWS: Final = ("1m", "5m", "15m", "1h", "6h")


def datasource() -> Builder[VariableModel]:
    return (
        DatasourceVariable("datasource")
        .label("Prometheus")
        .type("prometheus")
        .current(VariableOption(selected=True, text="Prometheus", value="prometheus"))
    )


def job(first: str, series: str = "http_response_last_byte_seconds_count") -> Builder[VariableModel]:
    """Return the choice of one service by its Prometheus job, of those with the series; the default is `first`."""
    return (
        QueryVariable("job")
        .label("Service")
        .datasource(SOURCE)
        .query(_label_values("job", series, "job"))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .current(VariableOption(selected=True, text=first, value=first))
    )


def jobs() -> Builder[VariableModel]:
    """Return the choice among jobs whose processes run Python."""
    return _values("job", "Job", "python_info", all_value=None)


def arm(of: str = "") -> Builder[VariableModel]:
    """Return the choice of arms; All matches targets without that label too."""
    return _values("arm", "Arm", f"http_requests_total{of}")


def handler(of: str = 'arm=~"$arm"') -> Builder[VariableModel]:
    """Return the choice among the routes of the chosen arms."""
    return _values("handler", "Route", f"http_requests_total{{{of}}}")


def window() -> Builder[VariableModel]:
    """Return the choice of the rate window; recorded series keep their own."""
    return (
        CustomVariable("window")
        .label("Rate window")
        .values(",".join(WINDOWS))
        .current(VariableOption(selected=True, text="5m", value="5m"))
        .options([VariableOption(selected=one == "5m", text=one, value=one) for one in WINDOWS])
    )


def _label_values(name: str, series: str, label: str) -> dict[str, object]:
    return {"query": f"label_values({series}, {label})", "refId": name, "qryType": 1}


def _values(name: str, label: str, series: str, *, all_value: str | None = ".*") -> Builder[VariableModel]:
    variable = (
        QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(_label_values(name, series, name))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(ALL)
    )
    return variable if all_value is None else variable.all_value(all_value)


VARIABLES: Final[Mapping[str, Callable[[Objectives], Builder[VariableModel]]]] = {
    "datasource": lambda _: datasource(),
    "job": lambda objectives: job(objectives.jobs[0]),
    "job with what-if metrics": lambda objectives: job(objectives.jobs[0], "whatif_requests_total"),
    "jobs": lambda _: jobs(),
    "arm": lambda _: arm(),
    "arm of job": lambda _: arm('{job="$job"}'),
    "handler": lambda _: handler(),
    "handler of job": lambda _: handler('job="$job", arm=~"$arm"'),
    "window": lambda _: window(),
}
"""By the names in `Board.variables`; queries use `datasource`, `job`, `arm`, `handler` and `window`."""
