"""What Alertmanager sends to a webhook, version 4 of its payload, as far as the page needs it."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_STILL_FIRING: Final = datetime(1, 1, 1, tzinfo=UTC)


def _followable(value: object) -> str:
    """Return a link that a browser may follow; anything but http and https is no link."""
    text = str(value)
    return text if text.startswith(("http://", "https://")) else ""


Link = Annotated[str, BeforeValidator(_followable)]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Annotations(_Payload):
    """The texts and links of an alert."""

    summary: str = ""
    description: str = ""
    dashboard: Link = ""
    runbook_url: Link = ""


class ReceivedAlert(_Payload):
    """One alert of a notification."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: Annotations = Annotations()
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime = Field(alias="endsAt", default=_STILL_FIRING)
    generator_url: Link = Field(alias="generatorURL", default="")
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")


class Notification(_Payload):
    """One notification: alerts that Alertmanager grouped."""

    status: Literal["firing", "resolved"]
    receiver: str
    group_key: str = Field(alias="groupKey", default="")
    alerts: tuple[ReceivedAlert, ...] = Field(min_length=1)
