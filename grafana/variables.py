"""The variables at the top of boards: the same names everywhere, so that links carry the choice along."""

from collections.abc import Callable, Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import CustomVariable, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import VariableModel, VariableOption, VariableRefresh, VariableSort

from grafana.source import SOURCE

ALL: Final = VariableOption(selected=True, text="All", value="$__all")
WINDOWS: Final = ("1m", "5m", "15m", "1h", "6h")


def datasource() -> Builder[VariableModel]:
    """Return the choice of a Prometheus."""
    return (
        DatasourceVariable("datasource")
        .label("Prometheus")
        .type("prometheus")
        .current(VariableOption(selected=True, text="Prometheus", value="prometheus"))
    )


def arm() -> Builder[VariableModel]:
    """Return the choice of arms; All matches targets without that label too."""
    return _values("arm", "Arm", "label_values(http_requests_total, arm)")


def handler() -> Builder[VariableModel]:
    """Return the choice of routes among those that the chosen arms have answered."""
    return _values("handler", "Route", 'label_values(http_requests_total{arm=~"$arm"}, handler)')


def window() -> Builder[VariableModel]:
    """Return the choice of the window that rates are taken over; recorded series keep theirs."""
    return (
        CustomVariable("window")
        .label("Rate window")
        .values(",".join(WINDOWS))
        .current(VariableOption(selected=True, text="5m", value="5m"))
        .options([VariableOption(selected=one == "5m", text=one, value=one) for one in WINDOWS])
    )


def _values(name: str, label: str, query: str) -> Builder[VariableModel]:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": name, "qryType": 1})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
    )


VARIABLES: Final[Mapping[str, Callable[[], Builder[VariableModel]]]] = {
    "datasource": datasource,
    "arm": arm,
    "handler": handler,
    "window": window,
}
