"""Options of the connection pool: the technique `pooling`."""

from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, NullPool

from service.settings import Settings

DEFAULT_TIMEOUT_S = 30.0
"""The default of SQLAlchemy's pool."""


def pool_timeout_s(settings: Settings) -> float:
    return settings.pool_timeout_s if settings.uses("timeouts") else DEFAULT_TIMEOUT_S


def pool_options(settings: Settings) -> dict[str, Any]:
    """Return the engine's options for a sized pool with pre-ping, or for a connection per session."""
    if not settings.uses("pooling"):
        return {"poolclass": NullPool}
    return {
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_max_overflow,
        "pool_timeout": pool_timeout_s(settings),
        "pool_recycle": settings.pool_recycle_s,
        "pool_pre_ping": True,
    }
