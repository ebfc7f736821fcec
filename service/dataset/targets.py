"""Which databases the settings name."""

from service.core.database_url import embedded_path, is_embedded, parsed
from service.dataset.embedded import Embedded
from service.dataset.server import OnServer
from service.dataset.state import Target
from service.settings import Settings


def target(settings: Settings) -> Target:
    """Return the databases that a load fills under these settings."""
    indexed, unindexed = parsed(settings.database_url), parsed(settings.database_unindexed_url)
    if not is_embedded(indexed):
        return OnServer(indexed=indexed, unindexed=unindexed)
    return Embedded(indexed=embedded_path(indexed), unindexed=embedded_path(unindexed))
