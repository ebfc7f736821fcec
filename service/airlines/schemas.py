"""The response of the airline route."""

from pydantic import BaseModel, ConfigDict


class AirlineOut(BaseModel):
    """A carrier."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_extra={"examples": [{"carrier": "UA", "name": "United Air Lines Inc."}]}
    )

    carrier: str
    name: str


class AirlineList(BaseModel):
    """Carriers, ordered by code."""

    items: list[AirlineOut]
