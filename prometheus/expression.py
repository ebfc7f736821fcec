"""PromQL expressions of the generator: which series they read, whether they can have data, and their labels."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import promql_parser

VARIABLE: Final = re.compile(r"\$\{?\w+\}?")
"""Of Grafana, which writes a duration or a value in its place."""

_STRING: Final = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TOKEN: Final = re.compile(
    rf"(?P<string>{_STRING})|(?P<range>\[[^\]]*\])"
    r"|(?P<grouping>\b(?:by|without|on|ignoring|group_left|group_right)\s*\((?P<labels>[^)]*)\))"
    rf"|(?<![\w.$])(?P<name>[a-zA-Z_:][\w:]*)?(?P<matchers>\{{(?:[^\"'}}]|{_STRING})*\}})"
    r"|(?<![\w.$])(?P<word>[a-zA-Z_:][\w:]*)(?P<call>(?=\s*\(|\s+(?:by|without)\b))?"
)
_MATCHER: Final = re.compile(rf"(\w+)\s*(?:=~|!~|!=|=)\s*(?:{_STRING})")
_KEYWORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan"})


def has_data(expression: str, is_present: Callable[[str, str], bool]) -> bool:
    """Return whether the expression can have data where `is_present(name, job)` says which series exist.

    `job` is the value that the selector matches exactly, or empty. A constant has no data of its own, so that
    `errors or vector(0)` needs `errors`.
    """
    return _has_data(_parsed(expression), is_present)


@cache
def _parsed(expression: str) -> promql_parser.Expr:
    return promql_parser.parse(VARIABLE.sub("5m", expression))


def _has_data(node: promql_parser.Expr, is_present: Callable[[str, str], bool]) -> bool:
    if isinstance(node, promql_parser.VectorSelector):
        job = next((one.value for one in node.matchers.matchers if one.name == "job" and _is_exact(one)), "")
        return not node.name or is_present(node.name, job)
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "or":
        return _has_data(node.lhs, is_present) or (bool(_selectors(node.rhs)) and _has_data(node.rhs, is_present))
    return all(_has_data(one, is_present) for one in _needed(node))


def _needed(node: promql_parser.Expr) -> Sequence[promql_parser.Expr]:
    """Return the operands without which the expression has no data."""
    match node:
        case promql_parser.MatrixSelector():
            return [node.vector_selector]
        case promql_parser.BinaryExpr():
            return [node.lhs] if str(node.op) == "unless" else [node.lhs, node.rhs]
        case promql_parser.Call():
            return node.args
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return []
        case _:
            # An aggregation, parentheses, a sign or a subquery: the stubs have no common class for them.
            return [node.expr]  # type: ignore[attr-defined]


def _is_exact(matcher: promql_parser.Matcher) -> bool:
    return bool(matcher.op == promql_parser.MatchOp.Equal)


def series_in(expression: str) -> set[str]:
    """Return the names of the series that the expression selects."""
    return {one.name for one in _selectors(_parsed(expression)) if one.name}


@dataclass(frozen=True)
class Selector:
    """One selector of an expression."""

    name: str
    matchers: Mapping[str, tuple[str, str]]
    """Operator and value by label."""


def selectors(expression: str) -> list[Selector]:
    """Return the selectors of the expression; raise `ValueError` if it is not PromQL."""
    operators = (
        (promql_parser.MatchOp.Equal, "="),
        (promql_parser.MatchOp.NotEqual, "!="),
        (promql_parser.MatchOp.Re, "=~"),
        (promql_parser.MatchOp.NotRe, "!~"),
    )
    return [
        Selector(
            name=node.name or "",
            matchers={
                one.name: (next(text for operator, text in operators if one.op == operator), one.value)
                for one in node.matchers.matchers
            },
        )
        for node in _selectors(_parsed(expression))
    ]


def _selectors(node: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(node, found.append)
    return [one for one in found if isinstance(one, promql_parser.VectorSelector)]


def rewritten(
    expression: str, *, name: Callable[[str], str], matchers: Callable[[str], Iterable[str]], drop: str
) -> str:
    """Return the expression with other names of series, more matchers, and without a label.

    `matchers(name)` gives those that each selector of that (old) name gets unless it has one of the label already. The
    label `drop` leaves groupings, where `job` takes its place if it was the only one, and matchers.
    """

    def replaced(found: re.Match[str]) -> str:
        if found["grouping"]:
            return _without(found, drop)
        if found["string"] or found["range"] or found["call"] is not None or (found["word"] or "").lower() in _KEYWORDS:
            return found[0]
        series = found["name"] or found["word"] or ""
        own = [(m[1], m[0]) for m in _MATCHER.finditer(found["matchers"] or "") if m[1] != drop]
        labels = {label for label, _ in own}
        more = [one for one in matchers(series) if one.partition("=")[0].rstrip("!") not in labels]
        every = [*more, *(text for _, text in own)]
        return name(series) + (f"{{{', '.join(every)}}}" if every else "")

    return _TOKEN.sub(replaced, expression)


def _without(found: re.Match[str], label: str) -> str:
    labels = [one.strip() for one in found["labels"].split(",") if one.strip()]
    if label not in labels:
        return found[0]
    kept = [one for one in labels if one != label]
    if not set(kept) & {"job", "instance"}:
        kept.insert(0, "job")
    return found[0].replace(f"({found['labels']})", f"({', '.join(kept)})")
