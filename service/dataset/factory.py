"""The target of a load for the settings."""

from service.core.database_url import embedded_path, is_embedded, parsed
from service.dataset.embedded import SqliteTarget
from service.dataset.server import PostgresTarget
from service.dataset.target import Target
from service.settings import Settings


def create_target(settings: Settings) -> Target:
    indexed, unindexed = parsed(settings.database_url), parsed(settings.database_unindexed_url)
    if not is_embedded(indexed):
        return PostgresTarget(indexed=indexed, unindexed=unindexed)
    return SqliteTarget(indexed=embedded_path(indexed), unindexed=embedded_path(unindexed))
