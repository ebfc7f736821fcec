"""Violations from pydantic's validation errors: location, message, and what is allowed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.types import Scope

from service.errors import Violation

BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def violations_of(errors: Iterable[Mapping[str, Any]], scope: Scope | None = None) -> list[Violation]:
    """Return one violation for each error; the route in the scope has the allowed parameters."""
    return [_violation(error, scope) for error in errors]


def _violation(error: Mapping[str, Any], scope: Scope | None) -> Violation:
    location, *names = [str(part) for part in error["loc"]] or ["request"]
    message = str(error["msg"]).removeprefix("Value error, ")
    allowed = _allowed(error.get("ctx") or {})
    if error["type"] == "extra_forbidden":
        message = "unknown " + ("parameter" if location == "query" else "field")
        if location == "query" and scope is not None:
            allowed = ", ".join(query_parameters(scope)) or "no parameters"
    return Violation(location=location, name=".".join(names)[:80], message=message, allowed=allowed)


def _allowed(context: Mapping[str, Any]) -> str | None:
    """Return what the violated constraint allows, from pydantic's error context."""
    if "allowed" in context:
        return str(context["allowed"])
    if "expected" in context:
        return str(context["expected"])
    if "pattern" in context:
        return f"text that matches {context['pattern']}"
    bounds = [f"{words} {context[bound]}" for bound, words in BOUNDS.items() if bound in context]
    lengths = [
        f"{words} {context[bound]} characters"
        for bound, words in (("min_length", "at least"), ("max_length", "at most"))
        if bound in context
    ]
    return ", ".join([*bounds, *lengths]) or None


def query_parameters(scope: Scope) -> Sequence[str]:
    """Return the names of the query parameters of the matched route."""
    route = scope.get("route")
    if not isinstance(route, APIRoute):
        return []
    names: list[str] = []
    for parameter in route.dependant.query_params:
        fields = getattr(parameter.field_info.annotation, "model_fields", None)
        names += [parameter.alias] if fields is None else list(fields)
    return names
