"""A collector that describes itself, so that a registry knows the names of its metrics."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector


class DescribedCollector(Collector, ABC):
    """Without `describe()` a registry neither finds duplicates nor serves `/metrics?name[]=…`."""

    @abstractmethod
    def collect(self) -> Iterable[Metric]: ...

    def describe(self) -> Iterable[Metric]:
        """Return the families; every one is collected, also without samples."""
        return self.collect()
