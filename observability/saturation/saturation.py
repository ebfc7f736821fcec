"""The saturation metrics of a process: event loop, thread limiters, runtime."""

from prometheus_client import CollectorRegistry

from observability.core.internal_errors import suppress_internal_errors
from observability.saturation.event_loop import EventLoopMetrics
from observability.saturation.runtime import RuntimeMetrics
from observability.saturation.threads import ThreadMetrics


class Saturation:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.event_loop = EventLoopMetrics(registry)
        self.threads = ThreadMetrics(registry)
        self.runtime = RuntimeMetrics(registry)

    def start(self) -> None:
        for part in (self.event_loop, self.threads, self.runtime):
            with suppress_internal_errors("saturation"):
                part.start()

    def stop(self) -> None:
        for part in (self.event_loop, self.threads, self.runtime):
            with suppress_internal_errors("saturation"):
                part.stop()
