"""The errors inside the cache; no client sees one, the answer is computed instead.

CacheError
└── StoreDown
"""


class CacheError(Exception):
    """The base of what can go wrong with a cache."""


class StoreDown(CacheError):
    """The shared store did not answer in time, or is left alone because it did not."""
