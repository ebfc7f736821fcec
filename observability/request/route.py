"""The route template of the request that is being answered: `/items/{item_id}`, with every prefix."""

from typing import Final

from starlette.types import Scope

from observability.request.record import request_record
from observability.request.route_table import UNMATCHED

_NAMED: Final = "observability.request.route"


def route_template(scope: Scope) -> str:
    """Return the request's route template, or `unmatched`; before routing it is `unmatched`, unless named."""
    record = request_record(scope)
    if record is None:
        named = scope.get(_NAMED)
        return str(named if named is not None else getattr(scope.get("route"), "path", UNMATCHED))
    if record.route is not None:
        return record.route
    return record.routes.template(scope, root_path=record.root_path)


def set_route_template(scope: Scope, template: str) -> None:
    """Name the route of a request that is answered before routing; the template must come from a closed set."""
    record = request_record(scope)
    if record is None:
        scope[_NAMED] = template
    else:
        record.route = template
