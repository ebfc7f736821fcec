"""The names of attributes and events that the semantic conventions lack, or their package until 2025 did, and which
conventions the official instrumentations use. The former are declared in `observability/semconv/`.
"""

import os
from typing import Final

SERVICE_INSTANCE_ID: Final = "service.instance.id"
SERVICE_PEER_NAME: Final = "service.peer.name"
CODE_STACKTRACE: Final = "code.stacktrace"
DB_NAMESPACE: Final = "db.namespace"
DB_OPERATION_BATCH_SIZE: Final = "db.operation.batch.size"
DB_OPERATION_NAME: Final = "db.operation.name"
DB_QUERY_SUMMARY: Final = "db.query.summary"
DB_QUERY_TEXT: Final = "db.query.text"
DB_RESPONSE_STATUS_CODE: Final = "db.response.status_code"
DB_SYSTEM_NAME: Final = "db.system.name"
POOL_NAME: Final = "db.client.connection.pool.name"

CACHE_NAME: Final = "flightdeck.cache.name"
CACHE_LEVEL: Final = "flightdeck.cache.level"
CACHE_RESULT: Final = "flightdeck.cache.result"
QUERY_FINGERPRINT: Final = "flightdeck.db.query.fingerprint"
QUERY_EXECUTIONS: Final = "flightdeck.db.query.executions"
BLOCKED_S: Final = "flightdeck.event_loop.blocked_seconds"
REQUEST_ID: Final = "flightdeck.request.id"
REQUEST_DURATION_S: Final = "flightdeck.request.duration_seconds"
RETROACTIVE: Final = "flightdeck.retroactive"
LOG_TRUNCATED: Final = "flightdeck.log.truncated"

CACHE_LOOKUP: Final = "flightdeck.cache.lookup"
N_PLUS_ONE_SUSPECTED: Final = "flightdeck.db.n_plus_one_suspected"
EVENT_LOOP_BLOCKED: Final = "flightdeck.event_loop.blocked"


def exception_type(error: BaseException) -> str:
    """Return the value of `exception.type` and `error.type`: with the module, but for builtins."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def prefer_stable_conventions() -> None:
    """Let instrumentations that start later use the stable conventions, unless the environment says otherwise.

    They read this variable when the first of them starts; without it they use the names of 2022.
    """
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
