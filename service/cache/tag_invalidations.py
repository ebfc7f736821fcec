"""When each tag was last invalidated, for as long as a computation that began earlier may still end."""

from collections.abc import Iterable


class Stamps:
    """The time of the last invalidation by tag, bounded in number."""

    def __init__(self, *, most: int = 10_000) -> None:
        self._most = most
        self._at: dict[str, float] = {}
        self._floor = float("-inf")

    def stamp(self, tags: Iterable[str], at: float) -> None:
        """Remember that the tags were invalidated at this time, or that everything was when there are too many."""
        self._at.update(dict.fromkeys(tags, at))
        if len(self._at) > self._most:
            self.stamp_all(max(self._at.values()))

    def stamp_all(self, at: float) -> None:
        """Remember that everything was invalidated at this time."""
        self._floor = max(self._floor, at)
        self._at.clear()

    def allow(self, tags: Iterable[str], *, since: float) -> bool:
        """Return whether none of the tags was invalidated at `since` or later; a tie counts as invalidated."""
        return since > self._floor and all(self._at.get(tag, self._floor) < since for tag in tags)
