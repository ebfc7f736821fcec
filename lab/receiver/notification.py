"""Alertmanager's webhook payload, version 4, as far as the page needs it."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_STILL_FIRING: Final = datetime(1, 1, 1, tzinfo=UTC)


def _http_url(value: object) -> str:
    """Return the URL, or an empty text if its scheme is neither http nor https: `javascript:` would run."""
    text = str(value)
    return text if text.startswith(("http://", "https://")) else ""


Link = Annotated[str, BeforeValidator(_http_url)]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Annotations(_Payload):
    summary: str = ""
    description: str = ""
    dashboard_url: Link = ""
    runbook_url: Link = ""


class Alert(_Payload):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: Annotations = Annotations()
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime = Field(alias="endsAt", default=_STILL_FIRING)
    generator_url: Link = Field(alias="generatorURL", default="")
    fingerprint: str = ""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")


class Notification(_Payload):
    """The alerts of one group."""

    status: Literal["firing", "resolved"]
    receiver: str
    group_key: str = Field(alias="groupKey", default="")
    alerts: tuple[Alert, ...] = Field(min_length=1)
