"""Shared query parameters, and the rule for all: no unknown and no repeated parameters."""

import re
from collections import Counter
from datetime import date
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.errors import InvalidRequest, Violation


class Parameters(BaseModel):
    """The query parameters of a route. Unknown ones are rejected, because they would bypass caches."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParameters(Parameters):
    pass


async def no_repeated_parameters(request: Request) -> None:
    """Reject a query with a repeated parameter, which would be ambiguous."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise InvalidRequest(
            [
                Violation(location="query", name=name[:80], message="given more than once", allowed="one value")
                for name in repeated
            ]
        )


def _day(value: object) -> object:
    """Accept the full ISO form only: pydantic alone would also accept timestamps."""
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        raise PydanticCustomError("day", "is not a calendar day", {"allowed": "YYYY-MM-DD, such as 2013-07-04"})
    return value


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A calendar day, YYYY-MM-DD."""

AirportCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3}$")]
"""An FAA code of three capital letters or digits."""

CarrierCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2}$")]
"""An airline's code of two capital letters or digits."""


Month = Annotated[str, StringConstraints(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$")]
"""A calendar month, YYYY-MM."""


def days_of(month: str) -> tuple[date, date]:
    """Return the first day of the month and the first day of the next one."""
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, 1), date(year + number // 12, number % 12 + 1, 1)
