"""How connections are kept: the technique `pooling`."""

from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, NullPool

from service.settings import Settings

DEFAULT_TIMEOUT_S = 30.0
"""What SQLAlchemy's pool waits when nobody gave it a timeout."""


def pool_timeout_s(settings: Settings) -> float:
    """Return the longest wait for a pooled connection, in seconds."""
    return settings.pool_timeout_s if settings.uses("timeouts") else DEFAULT_TIMEOUT_S


def pool_options(settings: Settings) -> dict[str, Any]:
    """Return what an engine is told about its pool: sized and checked, or a connection per session."""
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
