"""The time of the last invalidation of each tag, to reject computations that began before it."""

from collections.abc import Iterable


class TagInvalidations:
    """The last invalidation by tag, bounded in number."""

    def __init__(self, *, max_tags: int = 10_000) -> None:
        self._max_tags = max_tags
        self._at: dict[str, float] = {}
        self._floor = float("-inf")

    def record(self, tags: Iterable[str], at: float) -> None:
        """Record an invalidation of the tags; beyond `max_tags` it becomes one of every tag."""
        self._at.update(dict.fromkeys(tags, at))
        if len(self._at) > self._max_tags:
            self.record_all(max(self._at.values()))

    def record_all(self, at: float) -> None:
        """Record an invalidation of every tag."""
        self._floor = max(self._floor, at)
        self._at.clear()

    def allow(self, tags: Iterable[str], *, since: float) -> bool:
        """Return whether none of the tags was invalidated at `since` or later; a tie counts as invalidated."""
        return since > self._floor and all(self._at.get(tag, self._floor) < since for tag in tags)
