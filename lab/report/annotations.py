"""Experiments as Grafana annotations, each a region from its start to its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from lab.analysis.result import ExperimentResult
from lab.report.formatting import Headline
from lab.report.observers import RunStep

TIMEOUT_S: Final = 3.0
TAGS: Final = ("flightdeck", "lab")


@dataclass(frozen=True, kw_only=True)
class Grafana:
    url: str
    token: str = ""
    """Token of a service account that may write annotations."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """Read `GRAFANA_URL` and `GRAFANA_TOKEN`; None without a URL."""
        url = environ.get("GRAFANA_URL", "")
        return cls(url=url.rstrip("/"), token=environ.get("GRAFANA_TOKEN", "")) if url else None


class Annotations:
    """Writes annotations; the first failure is reported, and no failure ends the run."""

    def __init__(self, grafana: Grafana, *, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._grafana = grafana
        self._clock = clock
        self._say = say
        self._has_warned = False
        self._open: int | None = None

    async def on_start(self, step: RunStep) -> None:
        body = {"time": self._now_ms(), "tags": [*TAGS, step.experiment], "text": f"{step.title}: in progress"}
        response = await self._send("POST", "/api/annotations", body)
        self._open = response.get("id") if isinstance(response.get("id"), int) else None

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        annotation, self._open = self._open, None
        if annotation is not None:
            body = {"timeEnd": self._now_ms(), "text": f"{step.title}: {_summary(result)}"}
            await self._send("PATCH", f"/api/annotations/{annotation}", body)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

    async def _send(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._grafana.token}"} if self._grafana.token else {}
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
                response = await client.request(method, f"{self._grafana.url}{path}", json=body, headers=headers)
                response.raise_for_status()
                body_json = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._warn(error)
            return {}
        return body_json if isinstance(body_json, dict) else {}

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            reason = f"status {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else repr(error)
            self._say(f"no annotations in Grafana at {httpx.URL(self._grafana.url).host}: {reason}")


def _summary(result: ExperimentResult | None) -> str:
    if result is None or result.headline not in result.metrics:
        return "not measured"
    headline = Headline.of(result)
    return f"{result.verdict}. {headline}{f', {headline.interval}' if headline.interval else ''}"
