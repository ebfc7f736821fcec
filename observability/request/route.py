"""The route template of a request in progress: `/items/{item_id}`, with every prefix."""

from typing import Final

from starlette.types import Scope

from observability.request.record import RequestRecord, request_record
from observability.request.route_table import UNMATCHED

NO_HANDLER: Final = "none"
"""The handler label of work outside of requests: startup, timers, background loops."""

_TEMPLATE: Final = "observability.request.route"


def route_template(scope: Scope) -> str:
    """Return the request's route template; `unmatched` before routing, unless it was set."""
    record = request_record(scope)
    if record is None:
        template = scope.get(_TEMPLATE)
        return str(template if template is not None else getattr(scope.get("route"), "path", UNMATCHED))
    return handler_of(record)


def handler_of(record: RequestRecord | None) -> str:
    """Return the route template of a request in progress or ended; `none` without a request."""
    if record is None:
        return NO_HANDLER
    if record.route is not None:
        return record.route
    return record.routes.template(record.routed or record.scope, root_path=record.root_path)


def final_route_template(record: RequestRecord, *, is_routed: bool) -> str:
    """Return the template of a request that has ended; without a route the path decides.

    `is_routed` is whether a response without a route may be that of a router which found none.
    """
    if record.route is not None:
        return record.route
    scope, root_path = record.routed or record.scope, record.root_path
    template = record.routes.template(scope, root_path=root_path)
    if template is UNMATCHED and not (is_routed and record.routed is not None):
        return record.routes.match(scope, root_path=root_path)
    return template


def set_route_template(scope: Scope, template: str) -> None:
    """Set the template of a request that a middleware responds to before routing; it must be from a closed set."""
    record = request_record(scope)
    if record is None:
        scope[_TEMPLATE] = template
    else:
        record.route = template
