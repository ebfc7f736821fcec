"""Ref ids of queries, by which transformations and overrides refer to them."""

from collections.abc import Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyQuery


def with_ref_ids(queries: Sequence[Dataquery]) -> list[Builder[AnyQuery]]:
    """Return the queries named A, B, C and so on."""
    return [one.ref_id(letter) for letter, one in zip(ascii_uppercase, queries, strict=False)]
