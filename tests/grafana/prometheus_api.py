"""Queries to a Prometheus over one time range."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import promql_parser

from tests.grafana.template import Range

COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}


@dataclass(frozen=True)
class PrometheusApi:
    """The HTTP API of a Prometheus; instant queries are evaluated at the end of the range.

    The range is over, so no query has to be sent twice.
    """

    client: httpx.Client
    range: Range
    _received: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    def now(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of every series that has a number at the end of the range."""
        found = self._data("query", query=expression, time=self.range.ends)
        return [one["metric"] for one in found["result"] if _has_number([one["value"]])]

    def over_time(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of every series that has a number anywhere in the range."""
        bounds = {"start": self.range.begins, "end": self.range.ends, "step": self.range.step_s}
        found = self._data("query_range", query=expression, **bounds)
        return [one["metric"] for one in found["result"] if _has_number(one["values"])]

    def label_values(self, label: str, selector: str) -> list[str]:
        """Return the values of a label on these series, sorted, as a variable offers them."""
        return sorted(self._data(f"label/{label}/values", **{"match[]": selector}, **self._bounds()))

    def exemplars(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of the exemplars of these series."""
        found = self._data("query_exemplars", query=expression, **self._bounds())
        return [one["labels"] for series in found for one in series["exemplars"]]

    def names(self) -> set[str]:
        """Return the names of all series."""
        return set(self._data("label/__name__/values", **self._bounds()))

    def has_inputs(self, expression: str) -> bool:
        """Whether each side of every comparison has data at some time: the expression without its thresholds."""
        return self._has_inputs(promql_parser.parse(expression))

    def _has_inputs(self, node: promql_parser.Expr) -> bool:
        match node:
            case promql_parser.ParenExpr():
                return self._has_inputs(node.expr)
            case promql_parser.BinaryExpr() if str(node.op) == "or":
                return self._has_inputs(node.lhs) or self._has_inputs(node.rhs)
            case promql_parser.BinaryExpr() if str(node.op) == "unless":
                return self._has_inputs(node.lhs)
            case promql_parser.BinaryExpr() if str(node.op) in {"and", *COMPARISONS}:
                return self._has_inputs(node.lhs) and self._has_inputs(node.rhs)
            case promql_parser.Call() if node.func.name == "absent":
                return all(map(self._has_inputs, node.args))
        return bool(self.over_time(str(node)))

    def _bounds(self) -> Mapping[str, float]:
        return {"start": self.range.begins, "end": self.range.ends}

    def _data(self, path: str, **parameters: str | float) -> Any:
        query = (path, *parameters.items())
        if query not in self._received:
            self._received[query] = self._send(path, parameters)
        return self._received[query]

    def _send(self, path: str, parameters: Mapping[str, str | float]) -> Any:
        url = f"/api/v1/{path}"
        if path.startswith("query"):  # too long for a URL, sometimes
            body = self.client.post(url, data=parameters).json()
        else:
            body = self.client.get(url, params=parameters).json()
        assert body["status"] == "success", f"{body.get('error')}: {parameters}"
        return body["data"]


def _has_number(points: Iterable[tuple[float, str]]) -> bool:
    return any(math.isfinite(float(value)) for _, value in points)
