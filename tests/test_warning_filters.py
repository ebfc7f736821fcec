"""Warnings are errors, whatever other threads do to the filters meanwhile."""

import warnings
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter
from pydantic.warnings import UnsupportedFieldAttributeWarning


def test_a_warning_is_an_error() -> None:
    with pytest.raises(UserWarning, match="of any kind"):
        warnings.warn("of any kind", stacklevel=1)


def test_the_fields_of_a_route_meet_no_warning_while_another_thread_changes_the_filters() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
        # The other thread silences it too: `simplefilter` takes an equal filter out before it puts its own in.
        warnings.filters.remove(("ignore", None, UnsupportedFieldAttributeWarning, None, 0))  # type: ignore[attr-defined]
        TypeAdapter(Annotated[int, Field(alias="departure")])
