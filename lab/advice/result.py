"""The advice as data: one prediction for each technique."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["helps", "no difference", "hurts", "too little traffic", "not observed", "not observable"]
"""`not observed`: the metrics that it needs are missing; `not observable`: from outside of the code."""
Confidence = Literal["high", "medium", "low", "none"]

SCHEMA_VERSION: Final = 1


class Prediction(BaseModel):
    """What a technique would change; `effect` is above 1 where it helps."""

    technique: str
    title: str
    verdict: Verdict
    metric: str
    """Of the effect; lower is better."""
    unit: str
    off: float | None = None
    """As it is."""
    on: float | None = None
    """As predicted."""
    effect: float | None = None
    """off / on; null where `on` is 0."""
    interval: tuple[float, float | None] | None = None
    """Of the effect, 95 %: the noise of the time slices, and the assumptions of the method."""
    after_caching: float | None = None
    """The effect that remains behind a cache of responses; null where that cannot be predicted."""
    routes: dict[str, float] = {}
    """The share of the saving by route, the largest first."""
    basis: float = 0.0
    """Requests, statements, calls or bodies that it is predicted from."""
    basis_unit: str = "requests"
    confidence: Confidence = "none"
    cost: str
    notes: list[str] = []
    how_to: str = ""
    service: str = ""
    """Where the flights service does it."""


class Advice(BaseModel):
    """All predictions for a service, the largest effect first."""

    model_config = ConfigDict(json_schema_extra={"$id": "https://flightdeck.example/advice.schema.json"})

    schema_version: int = SCHEMA_VERSION
    source: str
    """The metrics endpoint or the Prometheus that was read."""
    seconds: float
    slices: int
    requests: float
    predictions: list[Prediction]

    @property
    def helping(self) -> list[Prediction]:
        return [one for one in self.predictions if one.verdict == "helps"]

    @property
    def conclusion(self) -> str:
        """The advice in one sentence."""
        if all(one.verdict in {"too little traffic", "not observable", "not observed"} for one in self.predictions):
            return f"Too little traffic for a prediction: {self.requests:,.0f} requests in {self.seconds:,.0f} s."
        if not self.helping:
            return "Nothing to gain: no technique is predicted to help with this traffic."
        names = [one.title for one in self.helping[:3]]
        return f"The largest predicted effects: {', '.join(names)}."
